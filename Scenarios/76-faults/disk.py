"""Fills the disk under the spool while mail goes through the programs, and makes room again.

disk.py WORK KIND SEED - KIND is plain or sealed; WORK/mount is a small file system of its own. New mail gets 452 4.3.1 or
status 75 while it is full; when there is room all goes on by itself. Then the queue itself fills the disk, with nobody to
deliver to, and must flow again when there is somebody.
"""
import asyncio
import os
import pathlib
import random
import sys
import time

import load
import pouch
from pouch import Failure

RESUMPTION = 5
OCTETS_FOR_MAIL = 6 << 20


class Disk:
    def __init__(self, bench, seed):
        self.bench, self.filler = bench, bench.work / "mount" / "filler"

    def fill(self):
        """To the last block."""
        with open(self.filler, "ab", buffering=0) as file:
            for size in (1 << 20, 4096, 512):
                try:
                    while True:
                        file.write(bytes(size))
                        os.fsync(file.fileno())
                except OSError:
                    pass

    def leave(self, octets):
        """Fills it but for so much."""
        free = os.statvfs(self.filler.parent)
        with open(self.filler, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_frsize - octets)

    def make_room(self):
        self.filler.unlink()

    async def refusals(self, *kinds):
        """Until both ways in refused for want of room."""
        end = time.monotonic() + 30
        before = dict(self.bench.load.refusals)
        while not all(self.bench.load.refusals.get(kind, 0) > before.get(kind, 0) for kind in kinds):
            if time.monotonic() > end:
                raise Failure(f"the disk is full, and the refusals are {self.bench.load.refusals}")
            self.bench.check_alive("the disk is full")
            await asyncio.sleep(0.05)

    async def filled_from_outside(self):
        with self.bench.load.trouble():
            self.fill()
            await self.refusals("452 4.3.1", "status 75")
            # Whatever was freed meanwhile goes too.
            self.fill()
            await asyncio.sleep(0.5)
            self.make_room()
        pause = await self.bench.load.resumption("a full disk", RESUMPTION)
        print(f"checked a full disk: all goes on after {pause:.1f} s")
        return pause

    async def filled_by_mail(self):
        """Nobody takes mail; the backlog must not be what stops the clients."""
        await self.bench.sink.kill()
        backlog, self.bench.load.backlog = self.bench.load.backlog, 10**6
        self.leave(OCTETS_FOR_MAIL)
        with self.bench.load.trouble():
            await self.refusals("452 4.3.1", "status 75")
            self.bench.load.gate.clear()
            await asyncio.sleep(0.3)
            await self.bench.sink.start()
            begin, before = time.monotonic(), len(self.bench.arrivals.all)
            while len(self.bench.arrivals.all) < before + 20:
                if time.monotonic() - begin > 3 * RESUMPTION:
                    raise Failure("a queue that filled its disk does not flow any more")
                self.bench.arrivals.look()
                await asyncio.sleep(0.05)
            pause = time.monotonic() - begin
            self.bench.load.backlog = backlog
            # The clients wait until little is left.
            self.bench.load.gate.set()
            while (left := len(self.bench.undelivered())) > backlog:
                if time.monotonic() - begin > 60:
                    raise Failure(f"of a queue that filled its disk {left} recipients are left after a minute")
                await asyncio.sleep(0.1)
        print(f"checked a disk full of mail: it flows {pause:.1f} s after somebody takes it")

    async def work(self):
        await asyncio.sleep(0.5)
        slowest = max(await self.filled_from_outside(), await self.filled_from_outside())
        await self.filled_by_mail()
        print(f"sum: full disk, slowest resumption {slowest:.1f} s, refusals {self.bench.load.refusals};")


async def main(work, kind, seed):
    asyncio.get_running_loop().set_exception_handler(load.complain)
    chance = random.Random(seed)
    work = pathlib.Path(work)
    bench = pouch.Bench(work, seed, spool=work / "mount" / "spool", sealed=kind == "sealed")
    bench.load = load.Load(bench, random.Random(chance.random()))
    await bench.start()
    await bench.load.during(Disk(bench, seed).work())
    await bench.drain()
    bench.load.judge([], least=50)


if __name__ == "__main__":
    load.command(main, *sys.argv[1:3], int(sys.argv[3]))
