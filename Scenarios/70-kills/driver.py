"""Kills the programs of Pouch while mail goes through them, and counts what became of each message.

driver.py WORK KILLS SEED - WORK is an empty folder; the programs are found by PATH. A kill is SIGKILL to a program at a
random moment; it counts only when a transaction is open or acknowledged mail is still undelivered. Afterwards the queue
is drained. Ends with 0 when

- each acknowledged recipient (250 after the final dot, or status 0 of mail-enqueue) was delivered or, where the sink
  refuses it, returned to its sender;
- what was delivered twice was under way when its carrier was killed;
- no body was damaged, and nothing is left in the spool.
"""
import asyncio
import hashlib
import pathlib
import random
import signal
import sys
import time

import pouch
from pouch import Failure

SMTP_CLIENTS = 5
SUBMITTERS = 3
# So much mail may wait before the clients pause: the end has to come.
BACKLOG = 150
# What its carrier had no time to note before it was killed is delivered again. So long before the kill may the final
# dot have been answered, and so long after it: the sink goes on with what has reached it already.
ANSWERED_BEFORE = 1.0
ANSWERED_AFTER = 1.0
# A DSN is made before its message is marked as failed. If the kill comes between, there is a second one when the first
# has left the queue before the message is tried again.
RETURNED_AFTER = 5.0
# About as long as mail-enqueue runs.
ENQUEUE_LIFE = 0.03


class Load:
    """The clients, and what they were promised."""

    def __init__(self, bench, chance):
        self.bench, self.chance = bench, chance
        self.promised = {}
        self.open = 0
        self.sessions = 0
        self.submissions = set()
        # Called, once each, in the instant a client reads that its message is stored.
        self.on_acknowledgement = []
        self.number = 0
        self.goes_on = True

    def compose(self):
        """A message with its envelope: token, sender, recipients, content with CR LF."""
        self.number += 1
        token = f"{self.number:06d}{self.chance.randrange(16**6):06x}"
        size = self.chance.choices([300, 3000, 40_000, 400_000], [6, 6, 2, 1])[0]
        lines, left = [], self.chance.randrange(size)
        while left > 0:
            line = self.chance.choice([b".", b"..", b"", b"word " * self.chance.randrange(1, 15)])
            lines.append(line)
            left -= len(line) + 2
        body = b"".join(line + b"\r\n" for line in lines)
        header = (f"Subject: {token}\r\nFrom: <from.{token}@sink.example>\r\nTo: <all@sink.example>\r\n"
                  f"Date: Sun, 22 Nov 2026 10:00:00 +0000\r\nMessage-ID: <{token}@sink.example>\r\n"
                  f"X-Token: {token} {hashlib.sha256(body).hexdigest()}\r\n\r\n")
        recipients = [f"{n}.{token}@{domain}" for n, domain in enumerate(self.bench.domains(self.chance))]
        if self.chance.random() < 0.08:
            recipients.append(f"no.{token}@sink.example")
        return token, f"from.{token}@sink.example", recipients, header.encode() + body

    def promise(self, token, recipients):
        for recipient in recipients:
            self.promised[(token, recipient)] = time.monotonic()

    async def pause(self):
        while self.goes_on and len(self.bench.undelivered()) > BACKLOG:
            await asyncio.sleep(0.05)
        await asyncio.sleep(self.chance.random() * 0.08)

    async def smtp_client(self):
        while self.goes_on:
            try:
                await asyncio.wait_for(self.smtp_session(), 60)
            except (ConnectionError, asyncio.IncompleteReadError, EOFError):
                await asyncio.sleep(0.02)

    async def smtp_session(self):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.bench.port)
        try:
            peer = pouch.Client(reader, writer)
            await peer.expect("220")
            await peer.command("EHLO client.example", "250")
            for _ in range(self.chance.randrange(1, 12)):
                if not self.goes_on:
                    break
                await self.pause()
                await self.transaction(peer)
            await peer.command("QUIT", "221")
            self.sessions += 1
        finally:
            writer.close()

    async def transaction(self, peer):
        token, sender, recipients, content = self.compose()
        self.open += 1
        try:
            envelope = [f"MAIL FROM:<{sender}>"] + [f"RCPT TO:<{r}>" for r in recipients] + ["DATA"]
            if self.chance.random() < 0.5:
                peer.send("".join(line + "\r\n" for line in envelope).encode())
                for _ in envelope[:-1]:
                    await peer.expect("250")
                await peer.expect("354")
            else:
                for line in envelope[:-1]:
                    await peer.command(line, "250")
                await peer.command("DATA", "354")
            stuffed = content.replace(b"\r\n.", b"\r\n..") + b".\r\n"
            cut = self.chance.randrange(len(stuffed))
            for part in (stuffed[:cut], stuffed[cut:]):
                await asyncio.sleep(self.chance.choice([0, 0, 0.01, 0.05]))
                peer.send(part)
                await peer.drain()
            await peer.expect("250")
            self.promise(token, recipients)
            if self.on_acknowledgement:
                self.on_acknowledgement.pop()()
        finally:
            self.open -= 1

    async def submitter(self):
        while self.goes_on:
            await self.pause()
            token, sender, recipients, content = self.compose()
            self.open += 1
            process = None
            try:
                process = await asyncio.create_subprocess_exec(
                    "mail-enqueue", "-i", "-C", self.bench.conf, "-f", sender, *recipients,
                    stdin=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
                self.submissions.add(process)
                said = await pouch.feed(process, content.replace(b"\r\n", b"\n"))
            finally:
                self.submissions.discard(process)
                self.open -= 1
            if process.returncode == 0:
                self.promise(token, recipients)
            elif process.returncode != -signal.SIGKILL:
                raise Failure(f"mail-enqueue ended with {process.returncode}: {said.decode()}")

    async def run(self):
        async with asyncio.TaskGroup() as group:
            for _ in range(SMTP_CLIENTS):
                group.create_task(self.smtp_client())
            for _ in range(SUBMITTERS):
                group.create_task(self.submitter())


class Killer:
    """Chooses who dies, and when."""

    def __init__(self, bench, load, chance):
        self.bench, self.load, self.chance = bench, load, chance
        self.counts = {}
        self.sink_kills = 0
        # When a carrier of mail was killed.
        self.carrier_kills = []

    @property
    def total(self):
        return sum(self.counts.values())

    @property
    def something_to_lose(self):
        return self.load.open > 0 or len(self.bench.undelivered()) > 0

    def count(self, name):
        self.counts[name] = self.counts.get(name, 0) + 1

    async def work(self, kills):
        """Most of the kills hit programs that were started one by one, the rest what mail-supervise runs."""
        alone = kills * 5 // 6
        while self.total < alone:
            # Each deck has all, in random order: no run is without one of them.
            deck = ["mail-enqueue", "mail-enqueue", "sink", *self.bench.singles, "mail-relay", "mail-listen"]
            await self.deal(deck, alone, self.kill_program)
        await self.bench.change_to_supervisor()
        while self.total < kills:
            # Each start after a kill waits longer than the one before: none is hit often.
            await self.deal([*self.bench.singles, "mail-enqueue", "mail-supervise"], kills, self.kill_supervised)

    async def deal(self, deck, kills, kill):
        self.chance.shuffle(deck)
        for name in deck:
            await asyncio.sleep(self.chance.random() * self.chance.choice([0.05, 0.3, 0.8]))
            await (self.kill_submission() if name == "mail-enqueue" else kill(name))
            if self.total >= kills:
                break

    async def kill_program(self, name):
        program = self.bench.sink if name == "sink" else self.bench.singles[name]
        if name == "mail-listen" and self.chance.random() < 0.5:
            # The worst moment: the client knows that its message is safe.
            acknowledged = asyncio.Event()
            self.load.on_acknowledgement.append(lambda: (program.kill_now(), acknowledged.set()))
            await acknowledged.wait()
        self.note(name)
        await program.kill()
        await asyncio.sleep(self.chance.random() * 0.1)
        await program.start()

    async def kill_supervised(self, name):
        self.note(name)
        if name == "mail-supervise":
            await self.bench.supervisor.kill()
            await self.bench.supervisor.start()
        else:
            await self.bench.supervisor.kill_child(name)

    def note(self, name):
        if name != "mail-listen":
            self.carrier_kills.append(time.monotonic())
        if name == "sink":
            self.sink_kills += 1
        elif self.something_to_lose:
            self.count(name)

    async def kill_submission(self):
        """One that has just begun, anywhere from its start to its end; tries until one was still there."""
        while self.load.goes_on:
            known = set(self.load.submissions)
            while not (fresh := self.load.submissions - known):
                await asyncio.sleep(0.001)
            await asyncio.sleep(self.chance.random() * ENQUEUE_LIFE)
            process = fresh.pop()
            if process.returncode is None:
                pouch.kill(process)
                if await process.wait() == -signal.SIGKILL:
                    return self.count("mail-enqueue")


class Verdict:
    """Compares what was promised with what arrived."""

    def __init__(self, load, killer, arrivals):
        self.promised, self.killer = load.promised, killer
        self.arrivals, self.damaged = {}, []
        for when, what, token, recipient in arrivals:
            if what == "damaged":
                self.damaged.append((token, recipient))
            else:
                self.arrivals.setdefault((token, recipient), []).append(when)
        self.lost = sorted(key for key in self.promised if key not in self.arrivals)
        self.unasked = sum(1 for key in self.arrivals if key not in self.promised)
        again = {key: times for key, times in self.arrivals.items() if len(times) > 1}
        self.duplicates = sum(len(times) - 1 for times in again.values())
        self.unexcused = sorted(
            key for key, times in again.items() if not all(self.excused(key[1], t) for t in sorted(times)[:-1]))

    def excused(self, recipient, when):
        after = RETURNED_AFTER if recipient.startswith("no.") else ANSWERED_AFTER
        return any(when - after <= kill <= when + ANSWERED_BEFORE for kill in self.killer.carrier_kills)

    def near(self, when):
        return [f"{kill:.3f}" for kill in self.killer.carrier_kills if abs(kill - when) < 5]

    def print(self):
        kills = ", ".join(f"{name} {n}" for name, n in sorted(self.killer.counts.items()))
        print(f"kills {self.killer.total} ({kills}; the sink besides {self.killer.sink_kills})")
        print(f"acknowledged {len(self.promised)}, delivered {len(self.arrivals)} "
              f"(of them never acknowledged {self.unasked}), duplicates {self.duplicates}, "
              f"lost {len(self.lost)}, damaged {len(self.damaged)}")

    def faults(self):
        yield from (f"lost: {token} for {recipient}" for token, recipient in self.lost[:20])
        yield from (f"damaged: {token} for {recipient}" for token, recipient in self.damaged[:20])
        for key in self.unexcused[:20]:
            times = sorted(self.arrivals[key])
            yield f"twice, and nobody was killed: {key[1]} at {times}; kills near: {self.near(times[0])}"
        if len(self.promised) < 2 * self.killer.total:
            yield f"only {len(self.promised)} acknowledged: that proves little"


def complain(loop, context):
    """asyncio tells of pipes to processes that were killed; that is what we do here."""
    if not isinstance(context.get("exception"), ConnectionError):
        loop.default_exception_handler(context)


async def main(work, kills, seed):
    asyncio.get_running_loop().set_exception_handler(complain)
    chance = random.Random(seed)
    bench = pouch.Bench(pathlib.Path(work), seed)
    load = Load(bench, random.Random(chance.random()))
    bench.load = load
    killer = Killer(bench, load, chance)
    await bench.start()
    clients = asyncio.create_task(load.run())
    murder = asyncio.create_task(killer.work(kills))
    done, _ = await asyncio.wait([clients, murder], return_when=asyncio.FIRST_COMPLETED)
    load.goes_on = False
    for task in done:
        task.result()
    await clients
    await bench.drain()
    verdict = Verdict(load, killer, bench.arrivals.all)
    verdict.print()
    faults = list(verdict.faults()) + bench.remains()
    for fault in faults:
        print(fault)
    if faults:
        raise Failure(f"{len(faults)} faults")


if __name__ == "__main__":
    try:
        asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
    except* Failure as group:
        while isinstance(group, ExceptionGroup):
            group = group.exceptions[0]
        sys.exit(f"seed {sys.argv[3]}: {group}")
