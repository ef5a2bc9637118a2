#!/usr/bin/python3
"""Mail that can be told apart.

mail.py write OCTETS FOLDER NAME...           makes messages; prints nothing
mail.py smtp PORT FOLDER PLACES NAME...       sends them in one session
mail.py stdio CONFIGURATION FOLDER PLACES NAME...  each by a mail-listen --stdio of its own
mail.py came FOLDER NEXT MAILDIRS PLACES NAME...  each came to these places once, byte for byte, and nothing else came

A message begins with whole header fields, so that nobody adds one; its body is random text, in which a word stands every
few lines, with dots at the start of lines. PLACES: next, here, both.
"""
import base64
import os
import pathlib
import re
import smtplib
import subprocess
import sys

WORD = "zanzibar"
ADDED = re.compile(rb"(?:(?:Return-Path|Delivered-To|Received): [^\n]*\n(?:[ \t][^\n]*\n)*)*")


def write(octets, path):
    head = (
        f"From: {WORD}-from@{WORD}.example\nTo: {WORD}-{path.name}@next.example\nSubject: {WORD} {path.name}\n"
        f"Date: Sun, 22 Nov 2026 10:00:00 +0000\nMessage-ID: <{path.name}@{WORD}.example>\n\n"
    ).encode()
    with open(path, "wb") as file:
        file.write(head)
        size, number = len(head), 0
        while size < octets:
            line = base64.b64encode(os.urandom(54)) + b"\n"
            if number % 7 == 0:
                line = b"." + WORD.encode() + line
            if number % 101 == 3:
                line = b".\n"
            file.write(line)
            size, number = size + len(line), number + 1


def recipients_of(name, places):
    return [f"{WORD}-{name}@{place}.example" for place in ("next", "here") if places in (place, "both")]


def smtp(port, folder, places, names):
    with smtplib.SMTP("127.0.0.1", port, local_hostname=f"client.{WORD}.example", timeout=60) as session:
        for name in names:
            content = pathlib.Path(folder, name).read_bytes().replace(b"\n", b"\r\n")
            refused = session.sendmail(f"{WORD}-from@{WORD}.example", recipients_of(name, places), content)
            if refused:
                raise SystemExit(f"{name}: {refused}")


def stdio(configuration, folder, places, names):
    """A message alone in its segment, for each."""
    for name in names:
        with subprocess.Popen(
            ["mail-listen", "--stdio", "-C", configuration], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, bufsize=0,
        ) as server:
            replies = server.stdout

            def command(line, expected):
                if line:
                    server.stdin.write(line.encode() + b"\r\n")
                while (reply := replies.readline())[3:4] == b"-":
                    pass
                if not reply.startswith(expected.encode()):
                    raise SystemExit(f"{name}: {line}: {reply}")

            command("", "220")
            command(f"EHLO client.{WORD}.example", "250")
            command(f"MAIL FROM:<{WORD}-from@{WORD}.example>", "250")
            for recipient in recipients_of(name, places):
                command(f"RCPT TO:<{recipient}>", "250")
            command("DATA", "354")
            content = pathlib.Path(folder, name).read_bytes().replace(b"\n", b"\r\n")
            server.stdin.write(re.sub(rb"(?m)^\.", b"..", content))
            command(".", "250")
            command("QUIT", "221")


def same(place, file, sent):
    """What came is what was sent below the fields that mail gets on its way."""
    content = file.read_bytes()
    if place == "next":
        if b"\n" in content.replace(b"\r\n", b""):
            raise SystemExit(f"{file}: a bare LF")
        content = content.replace(b"\r\n", b"\n")
    if content[ADDED.match(content).end() :] != sent.read_bytes():
        raise SystemExit(f"{file} is not what was sent")


def came(folder, taken, mail, places, names):
    everything = {"next": pathlib.Path(taken).glob("[0-9]*"), "here": pathlib.Path(mail).glob("*/new/*")}
    for place, found in everything.items():
        found = sorted(found)
        expected = sorted(names) if places in (place, "both") else []
        # NUMBER.WORD-NAME of the next server, WORD-NAME/new/... of a Maildir.
        label = lambda file: (file.name.split(".", 1)[1] if place == "next" else file.parts[-3]).removeprefix(WORD + "-")
        found_names = sorted(label(file) for file in found)
        if found_names != expected:
            raise SystemExit(f"{place}: expected {expected}, came {found_names}")
        for file in found:
            same(place, file, pathlib.Path(folder, label(file)))


command, arguments = sys.argv[1], sys.argv[2:]
if command == "write":
    for name in arguments[2:]:
        write(int(arguments[0]), pathlib.Path(arguments[1], name))
elif command == "smtp":
    smtp(int(arguments[0]), *arguments[1:3], arguments[3:])
elif command == "stdio":
    stdio(*arguments[:3], arguments[3:])
else:
    came(*arguments[:4], arguments[4:])
