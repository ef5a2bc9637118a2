"""Steps the wall clock of the programs: an hour, five days, to 2038, and back.

clock.py WORK SHIM KIND SEED - SHIM is clock.c as a library; KIND is plain or sealed. First under load, with steps to and
fro. Then with a message that nobody takes: a step neither hurries nor expires it, and after a start with another clock
it gets an attempt before it may expire, and its next attempt is no further off than the longest pause.
"""
import asyncio
import os
import pathlib
import random
import struct
import subprocess
import sys
import time

import load
import pouch
from pouch import Failure

HOUR, DAY = 3600, 86400
# Past the end of 32 bits.
TO_2038 = 2**31 + HOUR - int(time.time())
STEPS = [HOUR, 5 * DAY, TO_2038, -HOUR, -5 * DAY, 0]


class Clock:
    def __init__(self, path, shim):
        self.path = path
        path.write_bytes(struct.pack("q", 0))
        os.environ.update(POUCH_CLOCK=str(path), LD_PRELOAD=shim)

    def set(self, seconds):
        """So far ahead. In place, for the programs have the file mapped."""
        with open(self.path, "r+b", buffering=0) as file:
            file.write(struct.pack("q", seconds))


async def steps_under_load(bench, clock):
    """With nothing deferred nothing expires."""
    slowest = 0
    for step in STEPS:
        await asyncio.sleep(0.7)
        clock.set(step)
        slowest = max(slowest, await bench.load.resumption(f"a clock {step} s ahead", 5))
    print(f"checked {len(STEPS)} steps of the clock under load: mail was always taken and delivered"
          f" within {slowest:.1f} s")


class Waiting:
    """A message that nobody takes, and what the queue knows of it."""

    def __init__(self, bench, clock):
        self.bench, self.clock = bench, clock

    async def submit(self):
        token, sender, recipients, content = self.bench.load.compose()
        self.key = (token, f"0.{token}@sink.example")
        subprocess.run(["mail-enqueue", "-i", "-C", self.bench.conf, "-f", sender, self.key[1]],
                       input=content.replace(b"\r\n", b"\n"), check=True)
        self.bench.load.promised[self.key] = (time.monotonic(), "mail-enqueue")
        await self.until_tried(1)

    def row(self):
        rows = self.bench.listing()
        return rows[0] if rows else None

    async def until_tried(self, attempts):
        end = time.monotonic() + 10
        while (row := self.row()) is None or row["attempts"] < attempts:
            if time.monotonic() > end:
                raise Failure(f"not tried {attempts} times: {row}")
            await asyncio.sleep(0.05)

    async def expect_still(self, attempts, what):
        """For longer than the runner looks at its queue by itself."""
        for _ in range(5):
            await asyncio.sleep(0.5)
            row = self.row()
            if row is None or row["attempts"] != attempts:
                raise Failure(f"{what}: the message was tried or is gone: {row}")

    async def expect_delivered(self, what):
        end = time.monotonic() + 10
        while self.key not in self.bench.arrivals.keys:
            if time.monotonic() > end:
                raise Failure(f"{what}: not delivered, {self.row()}")
            self.bench.arrivals.look()
            await asyncio.sleep(0.05)
        if self.bench.listing():
            await asyncio.sleep(0.5)

    async def restart_relay(self):
        await self.bench.singles["mail-relay"].stop()
        await self.bench.singles["mail-relay"].start()


async def waiting(bench, clock):
    """A step neither hurries nor expires what waits."""
    message = Waiting(bench, clock)
    await message.submit()
    for step in (HOUR, 5 * DAY, TO_2038, 0):
        clock.set(step)
    await message.expect_still(1, "after steps")
    clock.set(5 * DAY)
    await message.expect_still(1, "five days ahead")
    await bench.sink.start()
    subprocess.run(["mail-queue", "-C", bench.conf, "flush"], check=True, capture_output=True)
    await message.expect_delivered("five days ahead, flushed")
    print("checked a message that waits: steps neither hurry nor expire it")
    await bench.sink.kill()


async def restarts(bench, clock):
    for step, what in ((5 * DAY, "five days later"), (TO_2038, "in 2038")):
        clock.set(0)
        message = Waiting(bench, clock)
        await message.submit()
        await bench.singles["mail-relay"].stop()
        clock.set(step)
        await bench.sink.start()
        await bench.singles["mail-relay"].start()
        await message.expect_delivered(f"started {what}")
        await bench.sink.kill()
    print("checked starts five days later and in 2038: an attempt before it may expire")


async def backwards(bench, clock):
    clock.set(TO_2038)
    message = Waiting(bench, clock)
    await message.submit()
    await bench.singles["mail-relay"].stop()
    clock.set(0)
    await bench.singles["mail-relay"].start()
    # The longest pause is two seconds and a tenth of it.
    await bench.sink.start()
    begin = time.monotonic()
    await message.expect_delivered("started years earlier")
    if (pause := time.monotonic() - begin) > 5:
        raise Failure(f"started years earlier: tried only after {pause:.1f} s")
    print("checked a start years earlier: the next attempt is no further off than the longest pause")


async def main(work, shim, kind, seed):
    asyncio.get_running_loop().set_exception_handler(load.complain)
    chance = random.Random(seed)
    work = pathlib.Path(work)
    bench = pouch.Bench(work, seed, sealed=kind == "sealed", calm=True)
    clock = Clock(work / "clock", shim)
    bench.load = load.Load(bench, random.Random(chance.random()))
    await bench.start()
    await bench.load.during(steps_under_load(bench, clock))
    await bench.settle()
    for settings, part in (("mta retry 1h\n", waiting), ("mta retry 1h\n", restarts), ("mta retry 2s\n", backwards)):
        await bench.sink.kill()
        await bench.singles["mail-relay"].stop()
        bench.configure(f"queue ttl 1d\n{settings}")
        await bench.singles["mail-relay"].start()
        await part(bench, clock)
        if part is not backwards:
            await bench.sink.start()
    await bench.drain()
    print("sum: clock steps;")
    bench.load.judge([], least=50)


if __name__ == "__main__":
    load.command(main, *sys.argv[1:4], int(sys.argv[4]))
