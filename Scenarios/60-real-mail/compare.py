#!/usr/bin/python3
"""Compares what came with what was sent: compare.py SENT KIND NEXT MAILDIR, KIND being smtp, enqueue or swaks.

NEXT is the folder of sink.py, MAILDIR the Maildir; `-` leaves one out. What must hold, octet by octet:

  smtp, swaks   one Received field of the listener, then just what was sent.
  enqueue       one Received field that names the uid; the fields of the header that were sent, in their order,
                unchanged but that bare names in address fields got the domain; then fields that were missing; an empty
                line; the body, its line ends made CRLF.
  Maildir       Return-Path and Delivered-To; then the same with LF for CRLF.

Prints how many messages and octets were the same; ends with 1 after the first ten that were not.
"""
import pathlib
import re
import sys

from corpus import normalised

LISTENER = re.compile(
    rb"Received: from [!-~]+ \(\[127\.0\.0\.1\]\)\r\n\tby mx\.local\.example \(Pouch\) with ESMTP\r\n"
    rb"\tid [0-9a-v]{20}(\r\n\tfor <[!-~]+>)?;\r\n\t\w{3}, [ -~]{15,30}\r\n"
)
ENQUEUE = re.compile(
    rb"Received: by mx\.local\.example \(Pouch, from userid \d+\)\r\n\tid [0-9a-v]{20}; \w{3}, [ -~]{15,30}\r\n"
)
FIELD = re.compile(rb"[!-9;-~]+[ \t]*:")
ADDRESSES = {b"from", b"sender", b"reply-to", b"to", b"cc", b"bcc"}
ADDED = {b"date", b"from", b"message-id", b"sender"}
DOMAIN = b"@mx.local.example"


class Different(Exception):
    pass


def name(field):
    return field.split(b":", 1)[0].strip().lower()


def base(field):
    return name(field).removeprefix(b"resent-")


def split(message):
    """The fields and the body, by RFC 5322; a line that is no field begins the body."""
    fields, rest = [], message
    if re.match(rb">?From ", rest):
        rest = rest[rest.find(b"\r\n") + 2 :]
    while rest:
        end = rest.find(b"\r\n") + 2
        line = rest[:end]
        if line == b"\r\n":
            return fields, rest[2:]
        if line[:1] in b" \t" and fields:
            fields[-1] += line
        elif FIELD.match(line):
            fields.append(line)
        else:
            break
        rest = rest[end:]
    return fields, rest


def below(trace, content):
    found = trace.match(content)
    if not found:
        raise Different(f"it does not begin with our Received: {content[:200]!r}")
    return content[found.end() :]


def same(expected, found):
    if expected == found:
        return
    at = next((i for i, (a, b) in enumerate(zip(expected, found)) if a != b), min(len(expected), len(found)))
    raise Different(
        f"{len(expected)} octets sent, {len(found)} came; from {at} on: sent {expected[at:at + 60]!r}, "
        f"came {found[at:at + 60]!r}"
    )


def completed(field):
    return field.replace(DOMAIN, b"") if base(field) in ADDRESSES else field


def compare_smtp(sent, came):
    same(sent, below(LISTENER, came))


def compare_enqueue(sent, came):
    expected, body = split(sent)
    fields, came_body = split(below(ENQUEUE, came))
    expected = [field for field in expected if name(field) != b"return-path"]
    same(body, came_body)
    given = {name(field) for field in expected}
    at = 0
    for field in fields:
        if at < len(expected) and expected[at] in (field, completed(field)):
            at += 1
        elif base(field) not in ADDED or name(field) in given:
            raise Different(f"not sent, or not here: {field[:200]!r}")
    if at < len(expected):
        raise Different(f"lost, moved or changed: {expected[at][:200]!r}")
    for needed in (b"date", b"from", b"message-id"):
        if not any(name(field) == needed for field in fields):
            raise Different(f"it has no {needed.decode()}")


def delivered(maildir, kind):
    """The files of the Maildir by recipient, without the fields that delivery adds."""
    found = {}
    for file in pathlib.Path(maildir, "new").iterdir():
        raw = file.read_bytes()
        added = re.match(rb"Return-Path: <([!-~]*)>\nDelivered-To: ([!-~]+)@here\.example\n", raw)
        if not added:
            raise SystemExit(f"{file} has not the fields of a delivery: {raw[:200]!r}")
        recipient = added[2].decode()
        if not recipient.startswith(kind + "-"):
            continue
        if recipient in found:
            raise SystemExit(f"{recipient} came twice")
        if b"\r\n" in raw:
            raise SystemExit(f"{file} has CRLF")
        found[recipient] = (added[1].decode(), raw[added.end() :].replace(b"\n", b"\r\n"))
    return found


def taken(folder, kind):
    found = {}
    for file in pathlib.Path(folder).glob(kind + "-*"):
        sender, content = file.read_bytes().split(b"\n", 1)
        found[file.name] = (sender.decode(), content)
    return found


def main():
    sent_folder, kind, next_folder, maildir = sys.argv[1:]
    sent = {f"{kind}-{file.name}": file for file in pathlib.Path(sent_folder).iterdir()}
    compare = compare_enqueue if kind == "enqueue" else compare_smtp
    places = []
    if next_folder != "-":
        places.append(("next", taken(next_folder, kind)))
    if maildir != "-":
        places.append(("Maildir", delivered(maildir, kind)))
    messages, octets, wrong = 0, 0, []
    for place, found in places:
        if found.keys() != sent.keys():
            raise SystemExit(f"{place}: missing {sorted(sent.keys() - found.keys())[:10]}, "
                             f"not sent {sorted(found.keys() - sent.keys())[:10]}")
        for recipient, file in sent.items():
            sender, came = found[recipient]
            content = normalised(file.read_bytes())
            try:
                if sender != f"{file.name}@from.example":
                    raise Different(f"it came from {sender}")
                compare(content, came)
            except Different as difference:
                wrong.append(f"{place}, {recipient}: {difference}")
            messages, octets = messages + 1, octets + len(content)
    print(*wrong[:10], sep="\n", end="\n" if wrong else "")
    print(f"{kind}: {messages - len(wrong)} of {messages} the same, {octets} octets")
    sys.exit(bool(wrong))


main()
