"""Cuts the power while mail goes through the programs, and counts what became of each message.

driver.py WORK IMAGE KIND CUTS SEED - WORK/mount is where the file system of IMAGE is mounted; KIND is plain or sealed.
A cut shuts the file system down as it is: what was not written by then never will be, its journal included. It counts
only when a transaction is open or acknowledged mail is still undelivered. What peers accepted in the last second before
a cut may be delivered again; nothing may be lost.

In a real cut nobody hears a promise after it. Here they would: a sync that waits for the journal while the file system
is shut down can return success (seen with Linux 6.18 and eight processes that only write and sync, up to 40 ms after
the call, never before it). So what clients read after the call was begun is no promise.
"""
import asyncio
import fcntl
import os
import pathlib
import random
import struct
import subprocess
import sys
import time

import load
import pouch

# FS_IOC_SHUTDOWN of linux/fs.h, and its flag for not writing the journal.
SHUTDOWN = 0x8004587D
NO_LOG_FLUSH = struct.pack("I", 2)
# By default the kernel writes data before the names that lead to it, and all of it every five seconds.
MOUNTS = ["defaults", "data=writeback,commit=60"]


class Power:
    """The file system of an image, and what happens to it."""

    def __init__(self, image, place):
        self.image, self.place, self.mounts, self.cuts = image, place, 0, []
        self.root = None

    def on(self):
        options = MOUNTS[self.mounts % len(MOUNTS)]
        self.mounts += 1
        subprocess.run(["mount", "-o", f"loop,{options}", self.image, self.place], check=True)
        self.root = os.open(self.place, os.O_RDONLY)

    def cut(self):
        self.cuts.append(time.monotonic())
        fcntl.ioctl(self.root, SHUTDOWN, NO_LOG_FLUSH)

    def off(self):
        os.close(self.root)
        subprocess.run(["umount", self.place], check=True)


class Cutter:
    def __init__(self, bench, power, chance):
        self.bench, self.power, self.chance = bench, power, chance
        self.idle = 0

    async def work(self, cuts):
        while len(self.power.cuts) - self.idle < cuts:
            await asyncio.sleep(0.3 + self.chance.random() * 1.2)
            with self.bench.load.trouble():
                await self.cut()
                await self.quiet()
                self.power.off()
                self.power.on()
                await self.bench.start_singles()
            self.bench.load.is_deaf = False
            self.bench.load.gate.set()

    async def cut(self):
        """At any moment, or in the worst: a client has read that its message is safe."""
        if self.chance.random() < 0.5:
            acknowledged = asyncio.Event()
            self.bench.load.on_acknowledgement.append(lambda: (self.pull_the_plug(), acknowledged.set()))
            await acknowledged.wait()
        else:
            self.pull_the_plug()
        if not self.bench.load.something_to_lose:
            self.idle += 1
        self.bench.load.gate.clear()
        # The programs may see what happened before they die; none may end by itself.
        await asyncio.sleep(self.chance.choice([0, 0, 0.05]))
        for program in self.bench.singles.values():
            await program.kill()

    def pull_the_plug(self):
        self.bench.load.is_deaf = True
        self.power.cut()

    async def quiet(self):
        """Nobody may hold the file system."""
        while self.bench.load.open:
            for process in self.bench.load.submissions:
                pouch.kill(process)
            await asyncio.sleep(0.01)


async def main(work, image, kind, cuts, seed):
    asyncio.get_running_loop().set_exception_handler(load.complain)
    chance = random.Random(seed)
    work = pathlib.Path(work)
    power = Power(image, work / "mount")
    power.on()
    bench = pouch.Bench(work, seed, spool=work / "mount" / "spool", sealed=kind == "sealed")
    bench.load = load.Load(bench, random.Random(chance.random()))
    cutter = Cutter(bench, power, chance)
    await bench.start()
    await bench.load.during(cutter.work(cuts))
    await bench.drain()
    # A drop whose name was written by the cut and its content was not: its submitter was told nothing, and the runner
    # waits an hour for the rest.
    bench.allow("offline", r"[0-9a-z]+\.drop")
    print(f"cuts {cuts}, refused meanwhile {sum(bench.load.refusals.values())}, too late {bench.load.unheard};")
    bench.load.judge(power.cuts, least=5 * cuts)
    power.off()


if __name__ == "__main__":
    load.command(main, *sys.argv[1:4], int(sys.argv[4]), int(sys.argv[5]))
