"""The other side of mail-listen in this scenario: one peer a subcommand. Each says what is wrong and ends with 1, or
prints the number of its checks."""

import json
import os
import random
import re
import signal
import smtplib
import socket
import struct
import subprocess
import sys
import threading
import time

checks = 0


def expect(what, condition, *found):
    global checks
    if not condition:
        sys.exit("%s: %s" % (what, " ".join(repr(f) for f in found)))
    checks += 1


class Peer:
    """A raw socket."""

    def __init__(self, port, source=None):
        self.socket = socket.create_connection(("127.0.0.1", port), 30, (source, 0) if source else None)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.unread = b""

    def send(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode("latin-1"))

    def reply(self):
        """One whole reply, or what came before the end."""
        while not re.search(rb"(?m)^\d{3} [^\n]*\n", self.unread):
            more = self.socket.recv(65536)
            if not more:
                break
            self.unread += more
        end = re.search(rb"(?m)^\d{3} [^\n]*\n", self.unread)
        end = end.end() if end else len(self.unread)
        found, self.unread = self.unread[:end], self.unread[end:]
        return found.decode("latin-1")

    def say(self, line, code):
        self.send(line + "\r\n")
        reply = self.reply()
        expect(line[:60], reply.startswith(code), reply)
        return reply

    def rest(self):
        data = self.unread
        while True:
            more = self.socket.recv(65536)
            if not more:
                return data.decode("latin-1")
            data += more

    def begin(self, sender="a@client.example", recipient="root@example.test"):
        expect("banner", self.reply().startswith("220 "))
        self.say("EHLO client.example", "250")
        self.say("MAIL FROM:<%s>" % sender, "250")
        self.say("RCPT TO:<%s>" % recipient, "250")
        self.say("DATA", "354")

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


GLUED = (
    "EHLO client.example\r\nMAIL FROM:<a@client.example> SIZE=100 BODY=8BITMIME\r\nRCPT TO:<root@example.test>\r\n"
    "DATA\r\nSubject: glued\r\n\r\n..dot\r\n.\r\nQUIT\r\n"
)


def identity(reply):
    found = re.search(r"250 2\.0\.0 ([0-9a-v]{20}) Message accepted for delivery\r\n", reply)
    expect("the reply names the queue ID", found, reply)
    return found.group(1)


def talk(port):
    """Prints the queue ID of each message it stored, in order, then the number of checks."""
    ids = []
    client = smtplib.SMTP("127.0.0.1", port, "client.example")
    client.ehlo()
    expect("what EHLO offers", set(client.esmtp_features) == {"pipelining", "size", "8bitmime", "enhancedstatuscodes"},
           client.esmtp_features)
    code, text = client.verify("root")
    expect("VRFY", code == 252, code, text)
    client.mail("")
    for recipient, expected in [
        ("root@example.test", 250), ("root+sub@example.test", 250), ("nobody-of-that-name@example.test", 550),
        ("foobar@example.test", 550), ("tired@example.test", 451), ("Postmaster", 250),
        ("postmaster@example.test", 250), ("any@elsewhere.example", 250),
    ]:
        code, text = client.rcpt(recipient)
        expect(recipient, code == expected, code, text)
        if recipient.startswith("foobar"):
            expect("the alias's own words", text == b"5.7.1 gone fishing", text)
        if recipient.startswith("nobody"):
            expect("an unknown user's code", text.startswith(b"5.1.1 "), text)
    code, text = client.data(b"Subject: smtplib\r\n\r\nbody\r\n")
    expect("smtplib's message", code == 250, code, text)
    ids.append(text.decode().split()[1])
    client.rset()
    client.quit()

    peer = Peer(port)
    peer.send(GLUED)
    text = peer.rest()
    ids.append(identity(text))
    expect("one reply for each command", [line[:4] for line in text.split("\r\n")[:-1] if line[3] == " "] ==
           ["220 ", "250 ", "250 ", "250 ", "354 ", "250 ", "221 "], text)

    peer = Peer(port)
    for octet in GLUED.replace("glued", "bytes").encode():
        peer.send(bytes([octet]))
    ids.append(identity(peer.rest()))

    peer = Peer(port, "127.0.0.2")
    peer.reply()
    peer.say("HELO stranger", "250")
    peer.say("MAIL FROM:<a@client.example>", "250")
    peer.say("RCPT TO:<any@elsewhere.example>", "550 5.7.1 Relaying denied")
    peer.say("RCPT TO:<root@example.test>", "250")
    peer.say("DATA", "354")
    ids.append(identity(peer.say("Subject: from a stranger\r\n\r\n.", "250")))
    peer.say("QUIT", "221")

    refuse(port)
    print("\n".join(ids))


def refuse(port):
    """Messages that are refused whole; the session goes on."""
    peer = Peer(port)
    peer.begin()
    peer.say("Received: x\r\n" * 101 + "\r\nbody\r\n.", "554 5.4.6 ")
    for line in ["x\ny", "x\ry"]:
        peer.say("MAIL FROM:<a@client.example>", "250")
        peer.say("RCPT TO:<root@example.test>", "250")
        peer.say("DATA", "354")
        peer.say("Subject: bare\r\n\r\n%s\r\n." % line, "5")
    peer.say("MAIL FROM:<a@client.example> SIZE=99999999", "552 5.3.4 ")
    peer.say("MAIL FROM:<a b@client.example>", "501")
    peer.say("MAIL FROM:<%s@client.example>" % ("x" * 65), "501")
    peer.say("MAIL FROM:<a@client.example>", "250")
    peer.say("RCPT TO:<>", "501")
    peer.say("DATA", "503")
    peer.say("NOOP", "250")
    peer.say("QUIT", "221")


def large(port, megabytes):
    """Prints the queue ID of one message of so many MiB, and refuses to believe one over the limit."""
    line = b"0123456789abcdef" * 63 + b"\r\n"
    peer = Peer(port)
    peer.begin()
    peer.send(b"Subject: large\r\n\r\n")
    for _ in range((megabytes << 20) // len(line)):
        peer.send(line)
    name = identity(peer.say(".", "250"))
    peer.say("MAIL FROM:<a@client.example>", "250")
    peer.say("RCPT TO:<root@example.test>", "250")
    peer.say("DATA", "354")
    for _ in range((36 << 20) // len(line)):
        peer.send(line)
    peer.say(".", "552 5.3.4 ")
    peer.say("QUIT", "221")
    print(name)


def breakoff(port):
    """Ends the talk after every octet of a transaction, politely and rudely, with a small and a streamed message."""
    end = GLUED.index("\r\n.\r\nQUIT") + 4  # The final dot without its CR LF.
    for cut in range(0, end, 3):
        for rude in (False, True):
            peer = Peer(port)
            peer.send(GLUED[:cut])
            peer.reset() if rude else peer.socket.close()
    for _ in range(3):
        peer = Peer(port)
        peer.begin()
        peer.send(b"x" * 998 + b"\r\n")
        for _ in range(600):
            peer.send(b"x" * 998 + b"\r\n")
        peer.reset()
    expect("it still answers", Peer(port).reply().startswith("220 "))


def sequence(port, count):
    """Sends messages one after another: a small one, then one that is streamed, in turn."""
    peer = Peer(port)
    expect("banner", peer.reply().startswith("220 "))
    peer.say("EHLO client.example", "250")
    for number in range(count):
        peer.say("MAIL FROM:<a@client.example>", "250")
        peer.say("RCPT TO:<root@example.test>", "250")
        peer.say("DATA", "354")
        peer.say("Subject: %d\r\n\r\n%s." % (number, ("x" * 998 + "\r\n") * (400 if number % 2 else 4)), "250")
    peer.say("QUIT", "221")


def trace(path):
    """Reads strace's file: before each acceptance the data were written, and synced after the last write."""
    unfinished, events = {}, []
    for line in open(path, errors="replace"):
        pid, _, call = line.partition(" ")
        call = call.strip()
        if call.endswith("<unfinished ...>"):
            unfinished[pid] = call
            continue
        resumed = re.match(r"<\.\.\. (\w+) resumed>(.*)", call)
        if resumed:
            call = unfinished.pop(pid, resumed.group(1) + "(").replace("<unfinished ...>", "") + resumed.group(2)
        name, _, rest = call.partition("(")
        if name == "pwrite64" and not re.search(r", 16, 448\s*\) +=", rest):  # Not the committed offset.
            events.append("write")
        elif name in ("fdatasync", "fsync") and rest.rstrip().endswith("= 0"):
            events.append("sync")
        elif name in ("write", "sendto", "writev") and "Message accepted" in rest and "250 2.0.0" in rest:
            events.append("accept")
    accepted, since = 0, []
    for event in events:
        if event != "accept":
            since.append(event)
            continue
        accepted += 1
        expect("message %d: written, then synced, then accepted" % accepted,
               "write" in since and since[-1] == "sync", since[-6:])
        since = []
    print(accepted)


def load(port, seconds, path):
    """Eight sessions as fast as they can; appends the queue IDs that were acknowledged to a file."""
    end = time.monotonic() + seconds
    lock, names = threading.Lock(), []

    def session(number):
        try:
            peer = Peer(port)
            peer.reply()
            peer.send("EHLO client.example\r\n")
            peer.reply()
            while time.monotonic() < end:
                size = random.choice([10, 3000, 60000, 400000] if number == 0 else [10, 3000])
                peer.send("MAIL FROM:<a@client.example>\r\nRCPT TO:<root@example.test>\r\nDATA\r\n")
                for _ in range(3):
                    peer.reply()
                peer.send("Subject: load\r\n\r\n" + ("x" * 70 + "\r\n") * (size // 72) + ".\r\n")
                found = re.match(r"250 2\.0\.0 (\w{20}) ", peer.reply())
                if not found:
                    return
                with lock:
                    names.append(found.group(1))
        except OSError:
            return

    threads = [threading.Thread(target=session, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with open(path, "a") as out:
        out.writelines(name + "\n" for name in names)
    print(len(names))


def inherit(command):
    """Runs the command with two listening sockets as systemd passes them, and prints their ports first."""
    sockets = []
    for _ in range(2):
        s = socket.socket()
        s.bind(("127.0.0.1", 0))
        s.listen(5)
        sockets.append(s)
    print(*[s.getsockname()[1] for s in sockets], flush=True)
    for number, s in enumerate([os.dup(s.fileno()) for s in sockets]):
        os.dup2(s, 3 + number)
    os.closerange(5, 64)
    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="2", LISTEN_FDNAMES="listener-1:other")
    os.execvp(command[0], command)


def stop(port, pid):
    """SIGTERM while one session is idle and one is in the middle of its message."""
    idle, busy = Peer(port), Peer(port)
    expect("banner", idle.reply().startswith("220 "))
    busy.begin()
    busy.send("Subject: last\r\n")
    os.kill(pid, signal.SIGTERM)
    expect("the idle session", idle.rest().startswith("421 4.3.2 "))
    busy.send("\r\nbody\r\n.\r\n")
    text = busy.rest()
    name = identity(text)
    expect("then the end", "\r\n421 4.3.2 " in text, text)
    print(name)


def main():
    name, arguments = sys.argv[1], sys.argv[2:]
    if name == "inherit":
        inherit(arguments)
    functions = dict(talk=talk, large=large, breakoff=breakoff, sequence=sequence, trace=trace, load=load, stop=stop)
    values = [float(a) if re.fullmatch(r"\d+\.\d+", a) else int(a) if a.isdigit() else a for a in arguments]
    functions[name](*values)
    if name not in ("load",):
        print("checks", checks)


main()
