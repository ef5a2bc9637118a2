"""The receiving end of the kills: an SMTP server in a process of its own, so that it can be killed too.

sink.py PORT RECORD SEED [calm] - writes a line to RECORD for each recipient just before it answers the final dot with 250:

    TIME delivered TOKEN RECIPIENT      a message of the load, its body whole
    TIME returned TOKEN RECIPIENT       a DSN that names the recipient as failed
    TIME damaged TOKEN RECIPIENT        a message whose body is not what was sent: never right

TIME is that of the monotonic clock, in seconds. Recipients that begin with "no." get 550. So that the queue has more
than one kind of work, some are deferred unless it is calm: 451 to RCPT, 451 to the final dot, a connection that breaks off.
"""
import asyncio
import hashlib
import os
import random
import re
import sys
import time

TOKEN = re.compile(rb"^X-Token: ([0-9a-z]+) ([0-9a-f]{64})\r$", re.M)
FAILED = re.compile(rb"^Final-Recipient: *rfc822; *<?no\.([0-9a-z]+)([^>\s]*)>?", re.M | re.I)


def body_digest(content):
    """Of what follows the header; the driver computes the same before sending."""
    return hashlib.sha256(content.partition(b"\r\n\r\n")[2]).hexdigest()


def line_for(when, recipient, content):
    found = TOKEN.search(content)
    token = found.group(1).decode() if found else "none"
    whole = found is not None and found.group(2).decode() == body_digest(content)
    return f"{when:.6f} {'delivered' if whole else 'damaged'} {token} {recipient}"


def lines_for(reverse_path, recipients, content):
    now = time.monotonic()
    if reverse_path == "":
        # One line a failed recipient, whoever the DSN goes to.
        return [f"{now:.6f} returned {token.decode()} no.{token.decode()}{rest.decode()}"
                for token, rest in FAILED.findall(content)]
    return [line_for(now, recipient, content) for recipient in recipients]


class Session:
    def __init__(self, reader, writer, record, chance, calm):
        self.reader, self.writer, self.record, self.chance, self.calm = reader, writer, record, chance, calm
        self.reset()

    def reset(self):
        self.reverse_path, self.recipients = None, []

    async def say(self, text):
        self.writer.write(text.encode() + b"\r\n")
        await self.writer.drain()

    async def run(self):
        await self.say("220 sink.example ESMTP")
        while line := await self.reader.readline():
            verb, _, rest = line.decode("latin-1").strip().partition(" ")
            if not await self.take(verb.upper(), rest):
                return

    async def take(self, verb, rest):
        address = re.search(r"<([^>]*)>", rest)
        if verb == "EHLO":
            await self.say("250-sink.example\r\n250-PIPELINING\r\n250-SIZE 50000000\r\n250 8BITMIME")
        elif verb == "MAIL":
            self.reset()
            self.reverse_path = address.group(1)
            await self.say("250 2.1.0 sender ok")
        elif verb == "RCPT":
            await self.say(self.judge(address.group(1)))
        elif verb == "DATA":
            return await self.data()
        elif verb == "QUIT":
            await self.say("221 2.0.0 bye")
            return False
        else:
            self.reset()
            await self.say("250 2.0.0 ok")
        return True

    def judge(self, recipient):
        if recipient.startswith("no."):
            return "550 5.1.1 no such user here"
        if not self.calm and self.chance.random() < 0.03:
            return "451 4.3.2 not now"
        self.recipients.append(recipient)
        return "250 2.1.5 recipient ok"

    async def data(self):
        if not self.recipients:
            await self.say("554 5.5.1 no valid recipients")
            return True
        await self.say("354 go on")
        lines = []
        while (line := await self.reader.readline()) != b".\r\n":
            if not line:
                return False
            lines.append(line[1:] if line.startswith(b".") else line)
        # Work takes a while, and what may be hit by a kill is not only the reading.
        await asyncio.sleep(self.chance.random() * 0.02)
        mishap = 1 if self.calm else self.chance.random()
        if mishap < 0.02:
            return False
        if mishap < 0.05:
            await self.say("451 4.3.0 try again")
        else:
            self.accept(b"".join(lines))
            await self.say("250 2.0.0 accepted")
        self.reset()
        return True

    def accept(self, content):
        lines = lines_for(self.reverse_path, self.recipients, content)
        if any(" damaged " in line for line in lines):
            # In the log, for whoever has to find out.
            sys.stderr.write(f"damaged: {lines}\n{content[:4000]!r}\n... {content[-2000:]!r}\n")
        os.write(self.record, "".join(line + "\n" for line in lines).encode())


async def main(port, path, seed, *calm):
    record = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    chance = random.Random(seed)

    async def serve(reader, writer):
        try:
            await Session(reader, writer, record, chance, bool(calm)).run()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # The other side was killed.
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port, limit=1 << 20, reuse_address=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), *sys.argv[4:]))
