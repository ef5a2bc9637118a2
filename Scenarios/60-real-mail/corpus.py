#!/usr/bin/python3
"""Some hundred messages: corpus.py FOLDER DATA writes each to FOLDER/NAME, the name two letters for its kind and a number.

DATA holds the messages that CPython's email package is tested with: broken MIME, odd headers, every line end. They come
as they are and changed in ways that mail has in the wild; the rest is made up by seed. All are distinct.
"""
import pathlib
import random
import re
import sys

LINE = re.compile(rb"[^\r\n]*(?:\r\n|\r|\n|$)")


def lines(raw):
    return [line for line in LINE.findall(raw) if line]


def header_end(raw):
    found = re.search(rb"(?:\r\n|\n|\r)(?:\r\n|\n|\r)", raw)
    return found.end() if found else len(raw)


def fields(header):
    """A header cut into fields, each with its folds."""
    found = []
    for line in lines(header):
        if line[:1] in b" \t" and found:
            found[-1] += line
        else:
            found.append(line)
    return found


# --- changes


def shuffled(raw, seed):
    end = header_end(raw)
    parts = fields(raw[:end].rstrip(b"\r\n") + b"\n")
    seed.shuffle(parts)
    return b"".join(parts) + b"\n" + raw[end:]


def dotted(raw, seed):
    """Dots where a line begins, in the body."""
    end = header_end(raw)
    dots = [b".", b"..", b"...", b". ", b".\t", b".\n", b"..\n"]
    return raw[:end] + b"".join(seed.choice(dots) + line for line in lines(raw[end:])) + b"\n.\n..\n.\n"


def attached(raw, seed):
    bound = b"=_%016x" % seed.getrandbits(64)
    return (
        b"From: forwarder@a.example\nTo: reader@b.example\nSubject: forwarded\nMIME-Version: 1.0\n"
        b'Content-Type: multipart/mixed; boundary="' + bound + b'"\n\nPreamble\n--' + bound
        + b"\nContent-Type: message/rfc822\n\n" + raw + b"\n--" + bound + b"--\nEpilogue"
    )


def eight_bit(raw, seed):
    charset = seed.choice(["latin-1", "utf-8", "koi8-r"])
    text = {"latin-1": "Grüße, naïve façade ÿ", "utf-8": "Grüße 日本語 🙂 ÿ", "koi8-r": "Привет, мир"}[charset]
    return raw + b"\n" + text.encode(charset) + b"\n"


def unfinished(raw, seed):
    return raw.rstrip(b"\r\n") + b" \t no end"


def long_ended(raw, seed):
    return raw + b"\n" * seed.randint(2, 9) + b" \n\t\n"


# --- made up


def made_header(seed, subject):
    parts = [
        b"From: <sender%d@a.example>" % seed.randint(0, 99),
        b"To: reader@b.example, (a comment) other@c.example",
        b"Subject: " + subject,
        b"Date: Sun, 22 Nov 2026 10:%02d:00 +0000" % seed.randint(0, 59),
        b"Message-ID: <%016x@a.example>" % seed.getrandbits(64),
        b"X-Folded: one\n two\n\tthree\n  " + b"x" * seed.randint(1, 900),
        b"x-EMPTY:",
        b"X-Blank: \n ",
        b"References:" + b"".join(b"\n <%016x@a.example>" % seed.getrandbits(64) for _ in range(seed.randint(1, 40))),
    ]
    seed.shuffle(parts)
    return b"\n".join(parts) + b"\n"


def words(seed, count):
    return b" ".join(seed.choice([b"lorem", b"ipsum", b"dolor", b"From", b".", b"..", b"QUIT", b"250"]) for _ in range(count))


def body_text(seed):
    return b"".join(words(seed, seed.randint(0, 14)) + b"\n" for _ in range(seed.randint(1, 60)))


def body_latin(seed):
    return bytes(seed.choice(range(160, 256)) for _ in range(400)) + b"\n"


def body_utf8(seed):
    return "".join(chr(seed.choice([0xE4, 0x416, 0x65E5, 0x1F642])) for _ in range(300)).encode() + b"\n"


def body_octets(seed):
    """Every octet but the line ends, NUL among them."""
    octets = [value for value in range(256) if value not in (10, 13)]
    return b"".join(bytes(seed.choice(octets) for _ in range(200)) + b"\n" for _ in range(5))


def body_998(seed):
    return bytes(seed.choice(b"abcdefg .") for _ in range(998)) + b"\n" + b"x" * 998 + b"\nshort\n"


def body_2000(seed):
    return b"y" * 2000 + b"\n" + b"." + b"z" * seed.randint(1000, 5000) + b"\n"


def body_dots(seed):
    return b"\n".join([b".", b"..", b". ", b" .", b"...", b".a", b"..a", b"a.", b".", b"."][: seed.randint(4, 10)]) + b"\n.\n"


def body_blanks(seed):
    return b"text  \t\n \n\t\n   text\n" + b" \n" * seed.randint(1, 5) + b"\n" * seed.randint(1, 8)


def body_boundary(seed):
    """Dots and line ends about the places where buffers end."""
    size = seed.choice([4096, 16384, 65536, 131072]) - seed.randint(0, 6)
    filler = b"b" * 76 + b"\n"
    return (filler * (size // len(filler) + 1))[:size] + b"\n.\n..\n.dot\n"


BODIES = [body_text, body_latin, body_utf8, body_octets, body_998, body_2000, body_dots, body_blanks, body_boundary]


def special():
    """By hand: whatever a message may lack."""
    head = b"From: a@a.example\nTo: b@b.example\nSubject: s\n"
    return [
        b"",
        b"\n",
        b"\n\n",
        b"x",
        b".",
        b".\n",
        b"..",
        b"\n.\n",
        b"no header at all\n",
        b"no header and no end",
        b"two lines\nwithout: header\n",
        b" begins with a blank\n",
        b"\tbegins with a tab: yes\n",
        head,
        head.rstrip(b"\n"),
        head + b"\n",
        head + b"\nx",
        head + b"\n.",
        head + b"\n\n\n",
        head + b"no empty line before the body\n",
        head + b"Broken : blank before the colon\n\nbody\n",
        head + b"bad name: \x01\n\nbody\n",
        b"Subject: alone\n\nbody\n",
        b"subject: lower\nFROM: A@A.EXAMPLE\ndate: yesterday\nMESSAGE-id: nonsense\n\nbody\n",
        b"From: a@a.example\nFrom: b@b.example\nTo: c@c.example\nTo: d@d.example\n\ntwice\n",
        b"From: a@a.example, b@b.example\n\ntwo authors\n",
        b"Received: from x by y; Sun, 22 Nov 2026 10:00:00 +0000\nReceived: from z\n" + head + b"\nreceived before\n",
        b"Resent-From: r@r.example\nResent-To: s@s.example\n" + head + b"\nresent\n",
        b"Bcc: blind@b.example\n" + head + b"\nblind\n",
        head + "Subject: grüße\n".encode() + b"\n8-bit header\n",
        head + b"X-Long: " + b"l" * 5000 + b"\n\nlong header line\n",
        head + b"".join(b"X-%d: v\n" % number for number in range(500)) + b"\nmany fields\n",
        head + b"\n" + b"\0" * 100 + b"\n\0.\0\n.\0\n",
        head + b"\n" + b"\x1a\x04\x03\x1b[2J\n",
        head + b"\n\xff\xfe\n\xef\xbb\xbfbom\n",
        b"\xef\xbb\xbf" + head + b"\nBOM before the header\n",
    ]


def large(size, seed):
    """Lines as base64 has them, a dot before some."""
    line = bytes(seed.choice(b"ABCDEFabcdef0123456789+/") for _ in range(76)) + b"\n"
    block = line * 99 + b"." + line[1:]
    head = b"From: large@a.example\nTo: b@b.example\nSubject: large\n\n"
    return (head + block * (size // len(block) + 1))[:size]


def messages(data):
    found = {}
    used = set()

    def add(kind, raw):
        if raw not in used:
            used.add(raw)
            found[f"{kind}{len(found):04d}"] = raw

    files = sorted(pathlib.Path(data).glob("*.txt"))
    for number, file in enumerate(files):
        raw = file.read_bytes()
        add("py", raw)
        add("cr", re.sub(rb"\r\n|\r|\n", b"\r\n", raw))
        for change in (shuffled, dotted, attached, eight_bit, unfinished, long_ended):
            if number % 2 or change in (dotted, eight_bit):
                add("ch", change(raw, random.Random(f"{change.__name__} {number}")))
    for raw in special():
        add("sp", raw)
    for number in range(90):
        seed = random.Random(number)
        body = BODIES[number % len(BODIES)](seed)
        add("ge", made_header(seed, BODIES[number % len(BODIES)].__name__.encode()) + b"\n" + body)
    add("xl", large(30 << 20, random.Random("large")))
    return found


def normalised(raw):
    """As SMTP has it: every line ends with CRLF, the last one too."""
    text = re.sub(rb"\r\n|\r|\n", b"\r\n", raw)
    return text if not text or text.endswith(b"\r\n") else text + b"\r\n"


if __name__ == "__main__":
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir()
    everything = messages(sys.argv[2])
    for name, raw in everything.items():
        (folder / name).write_bytes(raw)
    print(len(everything))
