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
import pathlib
import random
import signal
import sys
import time

import load
import pouch

# About as long as mail-enqueue runs.
ENQUEUE_LIFE = 0.03


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

    def print(self):
        kills = ", ".join(f"{name} {n}" for name, n in sorted(self.counts.items()))
        print(f"kills {self.total} ({kills}; the sink besides {self.sink_kills})")

    def note(self, name):
        if name != "mail-listen":
            self.carrier_kills.append(time.monotonic())
        if name == "sink":
            self.sink_kills += 1
        elif self.load.something_to_lose:
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


async def main(work, kills, seed):
    asyncio.get_running_loop().set_exception_handler(load.complain)
    chance = random.Random(seed)
    bench = pouch.Bench(pathlib.Path(work), seed)
    bench.load = load.Load(bench, random.Random(chance.random()))
    killer = Killer(bench, bench.load, chance)
    await bench.start()
    await bench.load.during(killer.work(kills))
    await bench.drain()
    killer.print()
    bench.load.judge(killer.carrier_kills, least=2 * killer.total)


if __name__ == "__main__":
    load.command(main, sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
