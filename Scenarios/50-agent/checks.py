"""Checks of mail-relay --agent: run by ./run, which starts the agent and says where everything is."""
import glob
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time

from lmtp import LMTP

SOCKET, MAIL, AGENT, UID = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
# Root never acts as root; nobody else can.
FOR_ROOT = "550 5.7.1" if os.environ.get("AGENT_IS_ROOT") == "1" else "451 4.3.0"
count = 0


def check(what, good, seen=""):
    global count
    if not good:
        print("not ok: %s: %r" % (what, seen), file=sys.stderr)
        sys.exit(1)
    count += 1


def until(what, condition):
    for _ in range(1000):
        if condition():
            return check(what, True)
        time.sleep(0.01)
    check(what, False)


def files(user, box):
    return sorted(glob.glob("%s/example.org/%s/%s/*" % (MAIL, user, box)))


def children():
    return [int(p) for p in open("/proc/%d/task/%d/children" % (AGENT, AGENT)).read().split()] or [
        int(line) for line in subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(AGENT)], capture_output=True, text=True).stdout.split()]


def take(user, content, sender="s@example.net"):
    """The one new message of a user: right to the last octet? It is taken away."""
    found = files(user, "new")
    check("one message for " + user, len(found) == 1, found)
    data = open(found[0], "rb").read()
    head = b"Return-Path: <%s>\nDelivered-To: %s@example.org\n" % (sender.encode(), user.encode())
    check("octets for " + user, data == head + content.replace(b"\r\n", b"\n"), data[:300])
    status = os.stat(found[0])
    check("mode and owner", (status.st_mode & 0o777, status.st_uid) == (0o600, UID), oct(status.st_mode))
    check("size in the name", found[0].endswith(",S=%d" % status.st_size), found[0])
    check("name", re.fullmatch(r"\d+\.M\d+P\d+Q1R[0-9a-f]+\.[^/:]+,S=\d+", os.path.basename(found[0])), found[0])
    check("nothing in tmp", files(user, "tmp") == [], files(user, "tmp"))
    os.unlink(found[0])


HEADER = b"Subject: x\r\nFrom: s@example.net\r\n\r\n"
random.seed(50)
eight = bytes(b for b in range(256) if b not in (0, 10, 13))

client = LMTP(SOCKET)
check("capabilities", "XACTION" in client.capabilities, client.capabilities)

# Contents that must arrive as they are.
contents = {
    "plain": HEADER + b"hello\r\n",
    "dots": HEADER + b".\r\n..\r\n.x\r\n\r\n.\r\n",
    "eightbit": HEADER + eight + b"\r\n" + "ä\u20ac".encode() + b"\r\n",
    "empty": b"",
    "bodyless": b"Subject: x\r\n",
    "borders": HEADER + b"\r\n".join(b"x" * random.randrange(0, 998) for _ in range(6000)) + b"\r\n",
    "shortlines": HEADER + b"\r\n" * 200000,
    "big": HEADER + (eight * 3 + b"\r\n") * 20000,
}
for name, content in contents.items():
    replies = client.deliver("s@example.net", [name + "@example.org"], "virtual", content)
    check("delivered " + name, replies == ["250 2.0.0 delivered"], replies)
    take(name, content)
for box in ("", "/tmp", "/new", "/cur"):
    status = os.stat("%s/example.org/plain%s" % (MAIL, box))
    check("directory mode", (status.st_mode & 0o7777, status.st_uid) == (0o700, UID), box)

# The null reverse-path, a quoted local-part, several recipients, each with its own file and reply.
check("null", client.deliver("", ["null@example.org"], "virtual", HEADER) == ["250 2.0.0 delivered"])
take("null", HEADER, sender="")
replies = client.deliver("s@example.net", ['"a/../b c"@example.org'], "virtual", HEADER)
check("quoted", replies == ["250 2.0.0 delivered"], replies)
check("harmless path", len(glob.glob(MAIL + "/example.org/a:..:b:c/new/*")) == 1, os.listdir(MAIL + "/example.org"))
many = ["m%d" % i for i in range(30)]
replies = client.deliver("s@example.net", [m + "@example.org" for m in many], "virtual", contents["borders"])
check("thirty recipients", replies == ["250 2.0.0 delivered"] * 30, replies)
for user in many:
    take(user, contents["borders"])

# Refusals.
refusals = [
    ("..@example.org".replace("..", '".."'), "virtual", "550 5.1.3"),
    ("a@example.org", "nothing", "451 4.3.5"),
    ("a@example.org", "outbound", "550 5.3.5"),
    ("nosuchuser-x@example.org", "local", "550 5.1.1"),
    ("root@example.org", "local", FOR_ROOT),
    ("root+x@example.org", "local", FOR_ROOT),
]
for recipient, action, code in refusals:
    replies = client.deliver("s@example.net", [recipient], action, HEADER)
    check("refused %s %s" % (recipient, action), replies[0].startswith(code), replies)
client.say("MAIL FROM:<>")
check("no action", client.say("RCPT TO:<a@example.org>").startswith("550 5.5.4"))
client.say("RSET")

# A mail loop.
loop = b"Delivered-To:\r\n Loop@Example.ORG\r\nSubject: x\r\n\r\nx\r\n"
replies = client.deliver("s@example.net", ["loop@example.org", "other@example.org"], "virtual", loop)
check("loop", replies[0].startswith("554 5.4.6") and replies[1].startswith("250"), replies)
check("loop leaves nothing", files("loop", "new") + files("loop", "tmp") == [])
take("other", loop)

# Mailboxes that can't be written: only their recipients wait.
os.chmod("%s/example.org/plain/tmp" % MAIL, 0o500)
replies = client.deliver("s@example.net", ["plain@example.org", "dots@example.org"], "virtual", contents["big"])
check("unwritable", replies[0].startswith("451 4.2.0") and "example.org/plain/tmp: permission denied" in replies[0]
      and replies[1].startswith("250"), replies)
take("dots", contents["big"])
os.chmod("%s/example.org/plain/tmp" % MAIL, 0o700)
os.rename("%s/example.org/plain/new" % MAIL, "%s/elsewhere" % MAIL)
os.symlink("%s/elsewhere" % MAIL, "%s/example.org/plain/new" % MAIL)
replies = client.deliver("s@example.net", ["plain@example.org"], "virtual", HEADER)
check("symlink", replies[0].startswith("451 4.2.0") and "symbolic link" in replies[0], replies)
check("nothing behind the link", os.listdir("%s/elsewhere" % MAIL) == [])
os.unlink("%s/example.org/plain/new" % MAIL)
os.rename("%s/elsewhere" % MAIL, "%s/example.org/plain/new" % MAIL)
replies = client.deliver("s@example.net", ["a@example.org"], "homeless", HEADER)
check("no home", replies[0].startswith("451 4."), replies)

# Twenty at once, each over its own session.
results = {}


def one(i):
    session = LMTP(SOCKET)
    results[i] = session.deliver("s@example.net", ["p%d@example.org" % i], "virtual", contents["borders"] + b"%d\r\n" % i)
    session.close()


threads = [threading.Thread(target=one, args=(i,)) for i in range(20)]
[t.start() for t in threads]
[t.join() for t in threads]
check("twenty at once", all(results.get(i) == ["250 2.0.0 delivered"] for i in range(20)), results)
for i in range(20):
    take("p%d" % i, contents["borders"] + b"%d\r\n" % i)
until("no process is left", lambda: children() == [])

# A process that dies takes its own recipient with it, and no other.
check("two taken", client.begin("s@example.net", ["k1@example.org"], "virtual") == ["250 2.1.5 Recipient ok"])
client.send(HEADER)
until("a process works", lambda: len(files("k1", "tmp")) == 1)
second = LMTP(SOCKET)
victim = children()[0]
status = open("/proc/%d/status" % victim).read()
check("it is the user", "Uid:\t%d\t%d\t%d\t%d\n" % ((UID,) * 4) in status, status)
check("without any right", "CapEff:\t0000000000000000\n" in status and "CapPrm:\t0000000000000000\n" in status, status)
check("without our variables", open("/proc/%d/environ" % victim).read() == "")
check("without other descriptors", sorted(os.listdir("/proc/%d/fd" % victim))[:4] == ["0", "1", "2", "3"]
      and len([f for f in os.listdir("/proc/%d/fd" % victim)]) <= 7, os.listdir("/proc/%d/fd" % victim))
os.kill(victim, signal.SIGKILL)
replies = second.deliver("s@example.net", ["k2@example.org"], "virtual", HEADER)
check("the other one arrives", replies == ["250 2.0.0 delivered"], replies)
client.send(contents["big"])
replies = client.finish(1)
check("killed", replies[0].startswith("451 4.3.0"), replies)
check("a crash leaves only tmp", files("k1", "new") == [] and len(files("k1", "tmp")) == 1)
second.close()

# A peer that breaks off leaves nothing, early or late.
for sent in (b"", HEADER, contents["big"]):
    quitter = LMTP(SOCKET)
    quitter.begin("s@example.net", ["q@example.org"], "virtual")
    quitter.send(sent)
    quitter.close()
    until("nothing after a break-off", lambda: children() == [])
    check("no trace", files("q", "tmp") + files("q", "new") == [], files("q", "tmp"))

# A slow peer does not keep others.
slow = LMTP(SOCKET)
slow.begin("s@example.net", ["slow@example.org"], "virtual")
slow.send(HEADER)
check("others go on", client.deliver("s@example.net", ["fast@example.org"], "virtual", HEADER)[0].startswith("250"))
if os.environ.get("LAST") == "term":
    os.kill(AGENT, signal.SIGTERM)
    slow.send(b"late\r\n")
    check("a delivery under way is finished", slow.finish(1) == ["250 2.0.0 delivered"])
    take("slow", HEADER + b"late\r\n")
else:
    until("it has begun", lambda: len(files("slow", "tmp")) == 1)
    os.kill(AGENT, signal.SIGKILL)
    until("nothing stays of what the agent did not finish", lambda: files("slow", "tmp") + files("slow", "new") == [])
print(count)
