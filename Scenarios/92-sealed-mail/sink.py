#!/usr/bin/python3
"""The next mail server: sink.py PORT FOLDER [TEXT] keeps each message as FOLDER/NUMBER.LOCAL-PART of each recipient, so
that what comes twice is seen. With TEXT it answers every RCPT with 451 TEXT.
"""
import itertools
import os
import socket
import sys
import threading

port, folder = int(sys.argv[1]), sys.argv[2]
refusal = sys.argv[3] if len(sys.argv) > 3 else None
numbers = itertools.count()


def keep(recipients, lines):
    name = f"{folder}/.part.{threading.get_ident()}"
    size = 0
    with open(name, "wb") as file:
        for line in lines:
            if line == b".\r\n":
                break
            file.write(line[1:] if line.startswith(b".") else line)
            size += len(line)
        else:
            os.unlink(name)
            return False
    for recipient in recipients:
        # Beyond 64 MiB only that it came counts.
        if size < 64 << 20:
            os.link(name, f"{folder}/{os.getpid()}{next(numbers)}.{recipient.split('@')[0]}")
        else:
            open(f"{folder}/{os.getpid()}{next(numbers)}.{recipient.split('@')[0]}", "wb").write(b"%d" % size)
    os.unlink(name)
    return True


def serve(connection):
    with connection, connection.makefile("rwb") as stream:

        def say(text):
            stream.write(text.encode() + b"\r\n")
            stream.flush()

        say("220 sink.example")
        recipients = []
        for line in stream:
            verb = line[:4].upper()
            if verb == b"EHLO":
                say("250-sink.example\r\n250-SIZE 400000000\r\n250 8BITMIME")
            elif verb == b"MAIL":
                recipients = []
                say("250 ok")
            elif verb == b"RCPT":
                if refusal:
                    say(f"451 4.2.0 {refusal}")
                else:
                    recipients.append(line[line.index(b"<") + 1 : line.index(b">")].decode())
                    say("250 ok")
            elif verb == b"DATA":
                if not recipients:
                    say("503 no recipients")
                    continue
                say("354 go on")
                if not keep(recipients, stream):
                    return
                say("250 2.0.0 kept")
            elif verb == b"QUIT":
                say("221 bye")
                return
            else:
                say("250 ok")


def serve_quietly(connection):
    try:
        serve(connection)
    except ConnectionError:
        pass


server = socket.create_server(("127.0.0.1", port), backlog=50)
while True:
    threading.Thread(target=serve_quietly, args=(server.accept()[0],), daemon=True).start()
