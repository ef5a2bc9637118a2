#!/usr/bin/python3
"""Content with line ends that are none: refuse.py PORT. Each must be read to its real end and refused with 550 5.6.11,
the commands after it taken as commands and nothing else."""
import socket
import sys

HEAD = b"From: a@a.example\r\nTo: b@b.example\r\n\r\n"
COMMANDS = b"MAIL FROM:<smuggled@from.example>\r\nRCPT TO:<smuggled@next.example>\r\nDATA\r\nsmuggled"
CONTENTS = {
    "bare LF": b"line\nline\r\n",
    "bare CR": b"line\rline\r\n",
    "bare CR at the end of a line": b"line\r\r\n",
    "bare CR at the very end": b"line\r",
    "bare LF at the very end": b"line\n",
    "bare LF in the header": b"",
    "LF . LF": b"line\n.\n" + COMMANDS,
    "LF . CR LF": b"line\n.\r\n" + COMMANDS,
    "CR . CR": b"line\r.\r" + COMMANDS,
    "CR LF . LF": b"line\r\n.\n" + COMMANDS,
    "CR LF . CR": b"line\r\n.\r" + COMMANDS,
    "LF . CR": b"line\n.\r" + COMMANDS,
    "NUL before LF": b"line\0\n.\r\n" + COMMANDS,
}


def reply(file):
    while True:
        line = file.readline().decode()
        if line[3:4] != "-":
            return line.strip()


def ask(file, command, code):
    file.write(command + b"\r\n")
    got = reply(file)
    if not got.startswith(code):
        raise SystemExit(f"{command[:60]!r}: {got!r} instead of {code}")


with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as connection:
    connection.settimeout(20)
    file = connection.makefile("rwb", 0)
    reply(file)
    ask(file, b"EHLO client.example", "250")
    for name, content in CONTENTS.items():
        ask(file, b"MAIL FROM:<refused@from.example>", "250")
        ask(file, b"RCPT TO:<refused@next.example>", "250")
        ask(file, b"DATA", "354")
        head = HEAD.replace(b"\r\nTo", b"\nTo") if not content else HEAD
        ending = b"\r\n.\r\n" if not content.endswith(b"\r\n") else b".\r\n"
        # In small pieces the end of a piece falls everywhere.
        data = head + content + ending
        for start in range(0, len(data), 7):
            connection.sendall(data[start : start + 7])
        got = reply(file)
        if not got.startswith("550 5.6.11 "):
            raise SystemExit(f"{name}: {got!r} instead of 550 5.6.11")
        ask(file, b"NOOP", "250")
    ask(file, b"QUIT", "221")
print(len(CONTENTS), "refused")
