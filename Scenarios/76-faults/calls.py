"""Makes system calls of the programs fail while mail goes through them.

calls.py WORK KIND ALL SEED - KIND is plain or sealed. strace is attached to a daemon for a while and makes some of its
calls fail, or takes their time; of mail-enqueue it runs each of some while. ALL is 0 for half of the faults on each kind.
"""
import asyncio
import os
import pathlib
import random
import signal
import sys
import time

import load
import pouch
from pouch import Failure

# Program, call, what becomes of it, and of which calls: only of those in this directory of the spool.
DAEMON_FAULTS = [
    ("mail-listen", "fdatasync", "error=EIO:when=2+3", None),
    ("mail-listen", "fdatasync", "error=ENOSPC:when=1+2", None),
    ("mail-listen", "fdatasync", "delay_enter=200000", None),
    ("mail-listen", "pwrite64", "error=ENOSPC:when=2+5", None),
    ("mail-listen", "pwrite64", "error=EIO", None),
    ("mail-listen", "pwrite64", "error=EINTR:when=1+2", None),
    ("mail-listen", "openat", "error=EMFILE", "incoming"),
    ("mail-listen", "linkat", "error=EIO:when=1+2", None),
    ("mail-listen", "fsync", "error=EIO:when=1+2", None),
    ("mail-listen", "ftruncate", "error=EIO", None),
    ("mail-relay", "fdatasync", "error=EIO:when=3+4", None),
    ("mail-relay", "fdatasync", "error=EIO", None),
    ("mail-relay", "fdatasync", "delay_enter=200000", None),
    ("mail-relay", "fsync", "error=EIO:when=2+3", None),
    ("mail-relay", "pwrite64", "error=ENOSPC:when=3+4", None),
    ("mail-relay", "pwrite64", "error=EIO", None),
    ("mail-relay", "openat", "error=EMFILE:when=1+3", "queue"),
    ("mail-relay", "openat", "error=EACCES", "offline"),
    ("mail-relay", "openat", "error=EIO", "incoming"),
    ("mail-relay", "linkat", "error=ENOSPC:when=1+2", None),
    ("mail-relay", "unlinkat", "error=EIO:when=1+2", None),
    ("mail-relay", "unlinkat", "error=EROFS", None),
    ("mail-relay", "fallocate", "error=ENOSPC:when=1+2", None),
    ("mail-relay", "pread64", "error=EIO:when=5+7", None),
    ("mail-relay", "getdents64", "error=EIO:when=1+2", None),
    ("agent", "fsync", "error=EIO:when=1+2", None),
    ("agent", "openat", "error=ENOSPC:when=1+2", "../Maildir/tmp"),
    ("agent", "link,linkat,rename,renameat,renameat2", "error=EDQUOT", None),
]
SUBMISSION_FAULTS = [
    ("mail-enqueue", "fsync", "error=EIO", None),
    ("mail-enqueue", "fsync", "delay_enter=100000", None),
    ("mail-enqueue", "pwrite64", "error=ENOSPC:when=3", None),
    ("mail-enqueue", "pwrite64", "error=EIO:when=1", None),
    ("mail-enqueue", "linkat", "error=ENOSPC", None),
    ("mail-enqueue", "openat", "error=EMFILE", "offline"),
    ("mail-enqueue", "fchmod", "error=EIO", None),
    ("mail-enqueue", "flock", "error=ENOLCK", None),
]
# A fault lasts until so many calls were hit, or its time is over.
HITS, SHORTEST, LONGEST = 4, 0.3, 6
RESUMPTION = 5


class Fault:
    def __init__(self, bench, program, calls, effect, place):
        self.bench, self.program = bench, program
        self.name = f"{program} {calls} {effect}{f' in {place}' if place else ''}"
        self.record = bench.work / "strace.out"
        # mail-enqueue is run in numbers: all of them write one record.
        self.strace = ["strace", "-f", "-qq", "-A", "-o", str(self.record), "-e", f"trace={calls}",
                       "-e", f"inject={calls}:{effect}"]
        if place:
            self.strace += ["-P", os.path.normpath(bench.spool / place)]

    def hits(self):
        return self.record.read_bytes().count(b"(INJECTED)") + self.record.read_bytes().count(b"(DELAYED)")

    async def apply(self):
        """Returns how often it hit."""
        self.record.write_bytes(b"")
        tracer = None
        if self.program == "mail-enqueue":
            self.bench.load.submission = [*self.strace, "mail-enqueue"]
        else:
            pid = self.bench.singles[self.program].process.pid
            tracer = await asyncio.create_subprocess_exec(*self.strace, "-p", str(pid), stderr=asyncio.subprocess.PIPE)
        await self.wait(tracer)
        self.bench.load.submission = ["mail-enqueue"]
        if tracer:
            tracer.send_signal(signal.SIGINT)
            await tracer.wait()
        if not (hits := self.hits()):
            raise Failure(f"{self.name}: hit nothing")
        return hits

    async def wait(self, tracer):
        begin = time.monotonic()
        while (age := time.monotonic() - begin) < LONGEST and (age < SHORTEST or self.hits() < HITS):
            if tracer and tracer.returncode is not None:
                raise Failure(f"{self.name}: strace ended: {(await tracer.stderr.read()).decode()}")
            await asyncio.sleep(0.05)


class Troublemaker:
    def __init__(self, bench, chance):
        self.bench, self.chance = bench, chance
        self.hits, self.slowest = 0, 0
        # When the agent may have delivered what it could not make durable and so refused.
        self.moments = []

    async def work(self, faults):
        for fault in faults:
            begin = time.monotonic()
            with self.bench.load.trouble():
                hits = await fault.apply()
            if fault.program == "agent":
                self.moments += [begin + n / 2 for n in range(int(2 * (time.monotonic() - begin)) + 2)]
            pause = await self.bench.load.resumption(fault.name, RESUMPTION)
            self.hits, self.slowest = self.hits + hits, max(self.slowest, pause)
            print(f"checked {fault.name}: {hits} calls, all goes on after {pause:.1f} s")


async def main(work, kind, everything, seed):
    asyncio.get_running_loop().set_exception_handler(load.complain)
    chance = random.Random(seed)
    bench = pouch.Bench(pathlib.Path(work), seed, sealed=kind == "sealed")
    bench.load = load.Load(bench, random.Random(chance.random()))
    faults = [Fault(bench, *row) for row in DAEMON_FAULTS + SUBMISSION_FAULTS]
    chance.shuffle(faults)
    if everything == "0":
        faults = faults[kind == "sealed"::2]
    maker = Troublemaker(bench, chance)
    await bench.start()
    await bench.load.during(maker.work(faults))
    await bench.drain()
    print(f"sum: {len(faults)} faults hit {maker.hits} calls, slowest resumption {maker.slowest:.1f} s,"
          f" refusals {bench.load.refusals};")
    bench.load.judge(maker.moments, least=5 * len(faults))


if __name__ == "__main__":
    load.command(main, *sys.argv[1:4], int(sys.argv[4]))
