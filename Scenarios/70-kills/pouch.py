"""What the killer drives: the programs, a client of SMTP, the spool's remains."""
import asyncio
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

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


class Failure(Exception):
    """A sentence for the person who runs the scenario."""


def free_ports(count):
    import socket
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
            raise Failure(f"mail-listen said {line!r} instead of {code}")

    async def command(self, line, code):
        self.send(line.encode() + b"\r\n")
        await self.drain()
        await self.expect(code)


class Program:
    """A daemon that is started anew after each kill. That it ends by itself is a failure."""

    def __init__(self, bench, name, *command, tells_ready=True):
        self.bench, self.name, self.command, self.tells_ready = bench, name, command, tells_ready
        self.process = None
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


class Bench:
    """A spool with all that works on it."""

    def __init__(self, work, seed):
        self.work, self.spool, self.conf = work, work / "spool", str(work / "pouch.conf")
        self.port, self.sink_port = free_ports(2)
        self.record_path = work / "record"
        self.record_path.touch()
        self.maildir = work / "Maildir"
        self.load = None
        self._arrived, self._offset = set(), 0
        self.configure()
        self.programs = {
            "sink": Program(self, "sink", sys.executable, str(HERE / "sink.py"), str(self.sink_port),
                            str(self.record_path), str(seed), tells_ready=False),
            "mail-relay": Program(self, "mail-relay", "mail-relay", "-C", self.conf),
            "mail-listen": Program(self, "mail-listen", "mail-listen", "-C", self.conf),
        }

    def configure(self):
        pathlib.Path(self.conf).write_text(f"""\
queue directory "{self.spool}"
queue ttl 1d
bounce warn-interval 1d
mta retry 1s
agent socket "{self.work}/agent.sock"
supervise user none
smtp limit max-mails 1000
listen on 127.0.0.1 port {self.port} hostname kills.example
action "out" relay host "smtp://127.0.0.1:{self.sink_port}"
match from any for any action "out"
""")
        subprocess.run(["mail-queue", "-C", self.conf, "init", "--quiet"], check=True)

    def domains(self, chance):
        """Of the recipients of a message."""
        return ["sink.example"] * chance.choices([1, 2, 5], [6, 2, 1])[0]

    async def start(self):
        for program in self.programs.values():
            await program.start()

    def answers(self, port):
        import socket
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return True
        except OSError:
            return False

    def lines(self, data):
        for line in data.decode().splitlines():
            when, what, token, recipient = line.split(" ")
            yield float(when), what, token, recipient

    def record(self):
        """All arrivals: time, what, token, recipient."""
        return list(self.lines(self.record_path.read_bytes()))

    def undelivered(self):
        """Promised and not yet arrived."""
        with open(self.record_path, "rb") as file:
            file.seek(self._offset)
            data = file.read()
        data = data[:data.rfind(b"\n") + 1]
        self._offset += len(data)
        self._arrived.update((token, recipient) for _, _, token, recipient in self.lines(data))
        return [key for key in self.load.promised if key not in self._arrived]

    def listing(self):
        found = subprocess.run(["mail-queue", "-C", self.conf, "list", "--json"], capture_output=True, check=False)
        if found.returncode != 0:
            raise Failure(f"mail-queue list ended with {found.returncode}: {found.stderr.decode()}")
        return [json.loads(line) for line in found.stdout.splitlines()]

    async def drain(self):
        """Until the queue is empty; then all stop in order, and what was still closed at the end goes out too."""
        end = time.monotonic() + DRAIN_LIMIT
        while left := self.listing():
            if time.monotonic() > end:
                raise Failure(f"{len(left)} messages are left after {DRAIN_LIMIT} s; the first is {left[0]}")
            await asyncio.sleep(0.1)
        for name in ("mail-listen", "mail-relay"):
            await self.programs[name].stop()
        once = subprocess.run(["mail-relay", "--once", "-C", self.conf], capture_output=True, check=False)
        if once.returncode != 0:
            raise Failure(f"mail-relay --once ended with {once.returncode}: {once.stderr.decode()}")
        for program in self.programs.values():
            if program.process.returncode is None:
                await program.kill()

    def remains(self):
        """What should not be in the spool any more."""
        faults = [f"{self.spool}/{place}/{path.name} is left" for place, allowed in LEFT_OVER.items()
                  for path in (self.spool / place).iterdir() if not allowed.fullmatch(path.name)]
        known = {"spool.meta", "trigger", "run", *LEFT_OVER}
        faults += [f"{path} is left" for path in self.spool.iterdir() if path.name not in known]
        return faults
