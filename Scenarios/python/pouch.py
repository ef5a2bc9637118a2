"""What the drivers drive: the programs, a client of SMTP, the spool's remains."""
import asyncio
import atexit
import json
import os
import pathlib
import pwd
import re
import signal
import socket
import subprocess
import sys
import time

import sink

HERE = pathlib.Path(__file__).parent
# A debug build on a busy machine is ready within a second.
READY_LIMIT = 30
DRAIN_LIMIT = 60
# What may lie in the spool when no mail is there (pouch-spool(5)).
LEFT_OVER = {
    "offline": re.compile(r"(?!)"),
    "incoming": re.compile(r"spare\.[0-9a-z]+"),
    "queue": re.compile(r"spare\.[0-9a-z]+"),
    "quarantine": re.compile(r"(?!)"),
}
# Those and the rest of a spool; the last two of a sealed one.
PLACES = {"spool.meta", "trigger", "run", "spool.key", "ledger", *LEFT_OVER}
SETTINGS = "queue ttl 1d\nmta retry 1s\n"
PASSPHRASE = "a passphrase of the scenarios"


class Failure(Exception):
    """A sentence for the person who runs the scenario."""


class Refused(Failure):
    """Another reply than the one that was hoped for."""

    def __init__(self, reply, code):
        super().__init__(f"mail-listen said {reply!r} instead of {code}")
        self.reply = reply


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def kill(process):
    """SIGKILL. Process.kill() would wait for the process too, and asyncio's own wait would miss its status."""
    try:
        os.kill(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


async def feed(process, data):
    """Gives it its standard input; what it says on standard error when it ends, however it does."""
    try:
        process.stdin.write(data)
        await process.stdin.drain()
        process.stdin.close()
        await process.stdin.wait_closed()
    except ConnectionError:
        pass  # It is gone.
    said = await process.stderr.read()
    await process.wait()
    return said


class Client:
    """One side of an SMTP session."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    def send(self, data):
        self.writer.write(data)

    async def drain(self):
        await self.writer.drain()

    async def expect(self, code):
        while True:
            line = await self.reader.readline()
            if not line.endswith(b"\n"):
                raise EOFError
            if line[3:4] != b"-":
                break
        if line.startswith(b"421"):
            raise EOFError  # The server is about to stop.
        if not line.startswith(code.encode()):
            raise Refused(line.decode("latin-1"), code)

    async def command(self, line, code):
        self.send(line.encode() + b"\r\n")
        await self.drain()
        await self.expect(code)


class Program:
    """A daemon that is started anew after each kill. That it ends by itself is a failure."""

    def __init__(self, bench, name, *command, tells_ready=True):
        self.bench, self.name, self.command, self.tells_ready = bench, name, command, tells_ready
        self.process = None
        # Whatever happens to the driver, nobody stays behind.
        atexit.register(lambda: self.process and self.process.returncode is None and kill(self.process))
        self.log = open(bench.work / f"{name.replace(' ', '')}.log", "ab")

    async def start(self):
        reader, writer = os.pipe()
        ready = ("--ready-fd", str(writer)) if self.tells_ready else ()
        try:
            self.process = await asyncio.create_subprocess_exec(
                *self.command, *ready, stdin=asyncio.subprocess.DEVNULL, stdout=self.log, stderr=self.log,
                pass_fds=(writer,) if self.tells_ready else ())
        finally:
            os.close(writer)
        try:
            await asyncio.wait_for(self.ready(reader), READY_LIMIT)
        except TimeoutError:
            raise Failure(f"{self.name} is not ready after {READY_LIMIT} s") from None
        finally:
            os.close(reader)

    async def ready(self, descriptor):
        if self.tells_ready:
            os.set_blocking(descriptor, False)
            while True:
                try:
                    word = os.read(descriptor, 1)
                    break
                except BlockingIOError:
                    await asyncio.sleep(0.005)
            if word != b"\n":
                raise Failure(f"{self.name} ended at its start with {await self.process.wait()}")
            return
        while not self.bench.answers(self.bench.sink_port):
            await asyncio.sleep(0.005)

    def kill_now(self):
        kill(self.process)

    async def kill(self):
        """Of a process that was killed just now, the end."""
        kill(self.process)
        status = await self.process.wait()
        if status != -signal.SIGKILL:
            raise Failure(f"{self.name} had ended by itself with status {status}")

    async def stop(self, limit=40):
        self.process.terminate()
        try:
            status = await asyncio.wait_for(self.process.wait(), limit)
        except TimeoutError:
            raise Failure(f"{self.name} did not end within {limit} s after SIGTERM") from None
        if status != 0:
            raise Failure(f"{self.name} ended with status {status} after SIGTERM")


class Supervisor(Program):
    """mail-supervise, with the three below it."""

    def __init__(self, bench):
        super().__init__(bench, "mail-supervise", "mail-supervise", "-C", bench.conf)

    def children(self):
        """Their pids by name."""
        found = {}
        for pid in pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split():
            try:
                words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            except OSError:
                continue  # Gone meanwhile.
            name = pathlib.Path(words[0].decode()).name
            found["agent" if b"--agent" in words else name] = int(pid)
        return found

    async def kill_child(self, name):
        """Until another one is there in its place."""
        before = self.children()[name]
        os.kill(before, signal.SIGKILL)
        await self.until(lambda: self.children().get(name, before) != before, f"{name} is not started again")
        if name == "mail-listen":
            await self.until(lambda: self.bench.answers(self.bench.port), "the port does not answer")

    async def kill(self):
        """With nobody left behind, and started again as soon as the port is free."""
        orphans = self.children().values()
        await super().kill()
        await self.until(lambda: not any(pathlib.Path(f"/proc/{pid}").exists() for pid in orphans),
                         "a program outlives mail-supervise")

    async def until(self, condition, sentence):
        end = time.monotonic() + READY_LIMIT
        while not condition():
            if time.monotonic() > end:
                raise Failure(f"{sentence} within {READY_LIMIT} s")
            await asyncio.sleep(0.02)


class Arrivals:
    """What has come to its end: at the sink, and in the Maildir."""

    def __init__(self, record, maildir):
        self.record, self.maildir = record, maildir
        # Time on the monotonic clock, what, token, recipient.
        self.all = []
        self.keys = set()
        self._offset = 0
        self._seen = set()
        self._epoch = time.time() - time.monotonic()

    def look(self):
        """Takes what is new."""
        with open(self.record, "rb") as file:
            file.seek(self._offset)
            data = file.read()
        data = data[:data.rfind(b"\n") + 1]
        self._offset += len(data)
        fresh = [line.split(" ") for line in data.decode().splitlines()]
        fresh += [self.delivered(path) for path in self.unseen()]
        for when, what, token, recipient in fresh:
            self.all.append((float(when), what, token, recipient))
            self.keys.add((token, recipient))

    def unseen(self):
        folder = self.maildir / "new"
        names = set(os.listdir(folder)) - self._seen if folder.exists() else set()
        self._seen |= names
        return [folder / name for name in names]

    def delivered(self, path):
        content = path.read_bytes().replace(b"\n", b"\r\n")
        recipient = re.search(rb"^Delivered-To: ([^\r]+)\r$", content, re.M).group(1).decode()
        # A rename changes this time and nothing else does.
        when = path.stat().st_ctime - self._epoch
        return sink.line_for(when, recipient, content).split(" ")


class Bench:
    """A spool with all that works on it."""

    def __init__(self, work, seed, spool=None, sealed=False, settings=SETTINGS, calm=False):
        self.work, self.spool, self.conf = work, spool or work / "spool", str(work / "pouch.conf")
        self.sealed, self.left_over = sealed, dict(LEFT_OVER)
        self.port, self.sink_port = free_ports(2)
        self.load = None
        record = work / "record"
        record.touch()
        self.arrivals = Arrivals(record, work / "Maildir")
        self.user = self.deliverer()
        self.configure(settings)
        self.sink = Program(self, "sink", sys.executable, str(HERE / "sink.py"), str(self.sink_port), str(record),
                            str(seed), *(["calm"] if calm else []), tells_ready=False)
        self.singles = {
            "agent": Program(self, "agent", "mail-relay", "--agent", "-C", self.conf),
            "mail-relay": Program(self, "mail-relay", "mail-relay", "-C", self.conf),
            "mail-listen": Program(self, "mail-listen", "mail-listen", "-C", self.conf),
        }
        self.supervisor = Supervisor(self)

    def deliverer(self):
        """Nothing is delivered as root."""
        (self.work / "Maildir").mkdir(mode=0o700)
        if os.geteuid() != 0:
            return pwd.getpwuid(os.geteuid()).pw_name
        account = pwd.getpwnam("nobody")
        os.chown(self.work / "Maildir", account.pw_uid, account.pw_gid)
        return "nobody"

    def configure(self, settings):
        sealing = f'queue encryption key "{PASSPHRASE}"\nqueue compression\n' if self.sealed else ""
        path = pathlib.Path(self.conf)
        path.touch(mode=0o600)
        path.write_text(f"""\
{sealing}queue directory "{self.spool}"
{settings}bounce warn-interval 1d
agent socket "{self.work}/agent.sock"
supervise user none
smtp limit max-mails 1000
listen on 127.0.0.1 port {self.port} hostname kills.example
action "out" relay host "smtp://127.0.0.1:{self.sink_port}"
action "here" maildir "{self.work}/Maildir" user "{self.user}"
match from any for domain "local.example" action "here"
match from any for any action "out"
""")
        made = subprocess.run(["mail-queue", "-C", self.conf, "init", "--quiet"], capture_output=True, check=False)
        if made.returncode != 0:
            raise Failure(f"mail-queue init ended with {made.returncode}: {made.stderr.decode()}")

    def domains(self, chance):
        """Of the recipients of a message."""
        return chance.choices(["sink.example", "local.example"], [3, 2], k=chance.choices([1, 2, 5], [6, 2, 1])[0])

    async def start(self):
        await self.sink.start()
        await self.start_singles()

    async def start_singles(self):
        for program in self.singles.values():
            await program.start()

    async def stop(self):
        if self.supervisor.process:
            return await self.supervisor.stop(limit=100)
        for name in ("mail-listen", "mail-relay", "agent"):
            await self.singles[name].stop()

    async def change_to_supervisor(self):
        await self.stop()
        await self.supervisor.start()

    def check_alive(self, what):
        for program in self.singles.values():
            if program.process.returncode is not None:
                raise Failure(f"{what}: {program.name} ended with {program.process.returncode}")

    def answers(self, port):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return True
        except OSError:
            return False

    def undelivered(self):
        """Promised and not yet arrived."""
        self.arrivals.look()
        return [key for key in self.load.promised if key not in self.arrivals.keys]

    def listing(self):
        found = subprocess.run(["mail-queue", "-C", self.conf, "list", "--json"], capture_output=True, check=False)
        if found.returncode != 0:
            raise Failure(f"mail-queue list ended with {found.returncode}: {found.stderr.decode()}")
        return [json.loads(line) for line in found.stdout.splitlines()]

    async def settle(self):
        """Until the queue is empty."""
        end = time.monotonic() + DRAIN_LIMIT
        while left := self.listing():
            if time.monotonic() > end:
                raise Failure(f"{len(left)} messages are left after {DRAIN_LIMIT} s; the first is {left[0]}")
            await asyncio.sleep(0.1)

    async def drain(self):
        """Until the queue is empty; then all stop in order, and nothing is left for another run."""
        await self.settle()
        await self.stop()
        once = subprocess.run(["mail-relay", "--once", "-C", self.conf], capture_output=True, check=False)
        if once.returncode != 0:
            raise Failure(f"mail-relay --once ended with {once.returncode}: {once.stderr.decode()}")
        await self.sink.kill()
        self.arrivals.look()

    def allow(self, place, pattern):
        """More names may be left there."""
        self.left_over[place] = re.compile(pattern)

    def remains(self):
        """What should not be in the spool any more."""
        faults = [f"{self.spool}/{place}/{path.name} is left" for place, allowed in self.left_over.items()
                  for path in (self.spool / place).iterdir() if not allowed.fullmatch(path.name)]
        faults += [f"{path} is left" for path in self.spool.iterdir() if path.name not in PLACES]
        return faults
