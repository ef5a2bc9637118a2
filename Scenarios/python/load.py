"""Mail for the programs of Pouch to carry, what its senders were promised, and what became of it."""
import asyncio
import contextlib
import hashlib
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


class Load:
    """The clients, and what they were promised."""
    # What mail-enqueue may end with in times of trouble.
    refusing_statuses = (75,)

    def __init__(self, bench, chance, backlog=BACKLOG):
        self.bench, self.chance, self.backlog = bench, chance, backlog
        self.promised = {}
        self.open = 0
        self.sessions = 0
        self.submissions = set()
        # Called, once each, in the instant a client reads that its message is stored.
        self.on_acknowledgement = []
        self.number = 0
        self.goes_on = True
        # Begins nothing new while this is not set.
        self.gate = asyncio.Event()
        self.gate.set()
        # How often, by the two ways in.
        self.accepted = {"SMTP": 0, "mail-enqueue": 0}
        # Takes no promise for one, and counts those.
        self.is_deaf, self.unheard = False, 0
        self.submission = ["mail-enqueue"]
        # What was refused for now, by what was said.
        self.refusals = {}
        self._trouble = (False, 0)

    @contextlib.contextmanager
    def trouble(self):
        """While something is wrong with the spool on purpose, what is under way may be refused for now."""
        self._trouble = (True, self._trouble[1] + 1)
        try:
            yield
        finally:
            self._trouble = (False, self._trouble[1])

    def may_fail(self, since):
        """Whether there was trouble at any time since then."""
        return self._trouble[0] or since != self._trouble

    def refused(self, what):
        self.refusals[what] = self.refusals.get(what, 0) + 1

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

    def promise(self, token, recipients, way):
        if self.is_deaf:
            self.unheard += 1
            return
        self.accepted[way] += 1
        for recipient in recipients:
            self.promised[(token, recipient)] = (time.monotonic(), way)

    async def pause(self):
        while self.goes_on and (not self.gate.is_set() or len(self.bench.undelivered()) > self.backlog):
            await asyncio.sleep(0.05)
        await asyncio.sleep(self.chance.random() * 0.08)

    async def smtp_client(self):
        while self.goes_on:
            before = self._trouble
            try:
                await asyncio.wait_for(self.smtp_session(), 60)
            except (ConnectionError, asyncio.IncompleteReadError, EOFError):
                await asyncio.sleep(0.02)
            except pouch.Refused as refusal:
                if not refusal.reply.startswith(("451", "452")) or not self.may_fail(before):
                    raise
                self.refused(refusal.reply[:10].strip())
                await asyncio.sleep(0.02)

    async def smtp_session(self):
        await self.pause()
        if not self.goes_on:
            return
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
            self.promise(token, recipients, "SMTP")
            if self.on_acknowledgement:
                self.on_acknowledgement.pop()()
        finally:
            self.open -= 1

    async def submitter(self):
        while self.goes_on:
            await self.pause()
            token, sender, recipients, content = self.compose()
            if not self.goes_on:
                return
            self.open += 1
            before, process = self._trouble, None
            try:
                process = await asyncio.create_subprocess_exec(
                    *self.submission, "-i", "-C", self.bench.conf, "-f", sender, *recipients,
                    stdin=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
                self.submissions.add(process)
                said = await pouch.feed(process, content.replace(b"\r\n", b"\n"))
            finally:
                self.submissions.discard(process)
                self.open -= 1
            if process.returncode == 0:
                self.promise(token, recipients, "mail-enqueue")
            elif process.returncode in self.refusing_statuses and self.may_fail(before):
                self.refused(f"status {process.returncode}")
                await asyncio.sleep(0.02)
            elif process.returncode != -signal.SIGKILL:
                raise Failure(f"mail-enqueue ended with {process.returncode}: {said.decode()}")

    async def run(self):
        async with asyncio.TaskGroup() as group:
            for _ in range(SMTP_CLIENTS):
                group.create_task(self.smtp_client())
            for _ in range(SUBMITTERS):
                group.create_task(self.submitter())

    async def during(self, work):
        """Clients at work until the work is done, or something failed."""
        clients, work = asyncio.create_task(self.run()), asyncio.create_task(work)
        done, _ = await asyncio.wait([clients, work], return_when=asyncio.FIRST_COMPLETED)
        self.goes_on = False
        for task in done:
            task.result()
        await clients


    async def resumption(self, what, limit):
        """Waits until the daemons, still the same ones, take mail and deliver it again; how long that took."""
        begin, accepted, arrived = time.monotonic(), dict(self.accepted), len(self.bench.arrivals.all)
        while (pause := time.monotonic() - begin) < limit:
            self.bench.check_alive(what)
            self.bench.arrivals.look()
            if len(self.bench.arrivals.all) > arrived and all(self.accepted[w] > accepted[w] for w in accepted):
                return pause
            await asyncio.sleep(0.02)
        raise Failure(f"{what}: {limit} s after it: accepted {self.accepted} (before {accepted}),"
                      f" arrived {len(self.bench.arrivals.all)} (before {arrived})")

    @property
    def something_to_lose(self):
        return self.open > 0 or len(self.bench.undelivered()) > 0

    def judge(self, moments, least):
        """Prints the counts; raises when mail was lost, damaged or repeated without cause, or something is left."""
        verdict = Verdict(self.promised, self.bench.arrivals.all, moments)
        verdict.print()
        faults = list(verdict.faults(least)) + self.bench.remains()
        for fault in faults:
            print(fault)
        if faults:
            raise Failure(f"{len(faults)} faults")


class Verdict:
    """Compares what was promised with what arrived."""

    def __init__(self, promised, arrivals, moments):
        """Of the moments, on the monotonic clock, each may have cost the note of a delivery that was made just then."""
        self.promised, self.moments = promised, moments
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
        return any(when - after <= moment <= when + ANSWERED_BEFORE for moment in self.moments)

    def near_promise(self, token, recipient):
        when = self.promised[token, recipient][0]
        return [f"{when - m:.6f}" for m in self.moments if abs(m - when) < 1]

    def near(self, when):
        return [f"{moment:.3f}" for moment in self.moments if abs(moment - when) < 5]

    def print(self):
        print(f"acknowledged {len(self.promised)}, delivered {len(self.arrivals)} "
              f"(of them never acknowledged {self.unasked}), duplicates {self.duplicates}, "
              f"lost {len(self.lost)}, damaged {len(self.damaged)}")

    def faults(self, least):
        yield from (f"lost: {token} for {recipient}, taken by {self.promised[token, recipient][1]} {self.near_promise(token, recipient)}"
                    for token, recipient in self.lost[:20])
        yield from (f"damaged: {token} for {recipient}" for token, recipient in self.damaged[:20])
        for key in self.unexcused[:20]:
            times = sorted(self.arrivals[key])
            yield f"twice without cause: {key[1]} at {times}; moments near: {self.near(times[0])}"
        if len(self.promised) < least:
            yield f"only {len(self.promised)} acknowledged: that proves little"


def complain(loop, context):
    """asyncio tells of pipes to processes that were killed; that is what we do here."""
    if not isinstance(context.get("exception"), ConnectionError):
        loop.default_exception_handler(context)


def command(main, *words):
    """Runs a driver; a failure is a sentence on standard error."""
    try:
        asyncio.run(main(*words))
    except* Failure as group:
        while isinstance(group, ExceptionGroup):
            group = group.exceptions[0]
        sys.exit(f"{' '.join(map(str, words))}: {group}")
