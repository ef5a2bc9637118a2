#!/usr/bin/python3
"""An SMTP server that answers as it is told: peer.py FOLDER ADDRESS:PORT...

FOLDER/answers says how, and is read anew at each command; the first line that fits counts:

    STAGE PATTERN WHAT...

STAGE    greeting, mail, rcpt, data (the command) or dot (the end of the content).
PATTERN  a shell pattern; of the address for mail and rcpt, of one of the accepted recipients for data and dot, of
         ADDRESS:PORT for greeting.
WHAT     a reply, `hang up`, or `wait FILE`: answer well once FILE exists. Nothing that fits is answered well.
         `close N` at the stage dot takes the message and closes the connection if it was the Nth.

FOLDER/events gets a JSON object a line: connect, mail, rcpt, message, quit and end, each with the session's number and
the place that was connected to. A message's content, dots removed, is in FOLDER/N.eml, named in its event.
FOLDER/dsn makes it offer DSN (RFC 3461).
"""
import fnmatch
import json
import os
import socketserver
import sys
import threading
import time

folder = sys.argv[1]
lock = threading.Lock()
counts = {"sessions": 0, "messages": 0}


def tell(**event):
    with lock:
        with open(f"{folder}/events", "a") as events:
            events.write(json.dumps(event) + "\n")


def count(what):
    with lock:
        counts[what] += 1
        return counts[what]


def answer(stage, values):
    """What is written for the stage and one of the values; None when nothing fits."""
    try:
        lines = open(f"{folder}/answers").read().splitlines()
    except FileNotFoundError:
        return None
    for line in lines:
        words = line.split(None, 2)
        if len(words) == 3 and words[0] == stage and any(fnmatch.fnmatch(value, words[1]) for value in values):
            return words[2]
    return None


class Session(socketserver.StreamRequestHandler):
    wbufsize = 0
    disable_nagle_algorithm = True

    def handle(self):
        self.place = "%s:%d" % self.server.server_address
        self.number = count("sessions")
        self.messages = 0
        self.tell("connect", peer=self.client_address[0])
        try:
            self.converse()
        except (ConnectionError, EOFError):
            pass
        self.tell("end", messages=self.messages)

    def tell(self, event, **more):
        tell(event=event, session=self.number, place=self.place, **more)

    def say(self, text):
        self.wfile.write(text.encode() + b"\r\n")

    def reply(self, stage, values, good):
        """Answers as told; returns whether it was well."""
        what = answer(stage, values)
        if what is None:
            self.say(good)
            return True
        if what == "hang up":
            raise EOFError
        if what.startswith("wait "):
            self.tell("waiting", stage=stage)
            while not os.path.exists(what[5:]):
                time.sleep(0.02)
            self.say(good)
            return True
        if what.startswith("close "):
            self.say(good)
            if self.messages >= int(what[6:]):
                raise EOFError
            return True
        self.say(what)
        return what[0] in "23"

    def line(self):
        line = self.rfile.readline(1 << 16)
        if not line.endswith(b"\r\n"):
            raise EOFError
        return line[:-2].decode("utf-8", "replace")

    def converse(self):
        if not self.reply("greeting", [self.place], "220 peer.example ESMTP"):
            self.line()
            return
        sender, recipients = None, []
        while True:
            line = self.line()
            verb = line[:4].upper()
            path = line[line.find("<") + 1 : line.rfind(">")] if "<" in line else ""
            if verb == "EHLO":
                name = line[5:]
                self.tell("hello", name=name)
                extensions = "PIPELINING SIZE 8BITMIME ENHANCEDSTATUSCODES".split()
                if os.path.exists(f"{folder}/dsn"):
                    extensions.append("DSN")
                for word in ["peer.example"] + extensions[:-1]:
                    self.say("250-" + word)
                self.say("250 " + extensions[-1])
            elif verb == "MAIL":
                recipients = []
                sender = path
                self.tell("mail", line=line)
                if not self.reply("mail", [path], "250 2.1.0 fine"):
                    sender = None
            elif verb == "RCPT":
                self.tell("rcpt", line=line)
                if sender is None:
                    self.say("503 5.5.1 no sender")
                elif self.reply("rcpt", [path], "250 2.1.5 fine"):
                    recipients.append(path)
            elif verb == "DATA":
                if not recipients:
                    self.say("554 5.5.1 no recipients")
                elif self.reply("data", recipients, "354 go on"):
                    self.content(sender, recipients)
                sender, recipients = None, []
            elif verb == "RSET":
                sender, recipients = None, []
                self.say("250 2.0.0 fine")
            elif verb == "QUIT":
                self.tell("quit")
                self.say("221 2.0.0 bye")
                return
            else:
                self.say("500 5.5.2 what?")

    def content(self, sender, recipients):
        content = b""
        while True:
            line = self.rfile.readline(1 << 20)
            if not line:
                raise EOFError
            if line == b".\r\n":
                break
            content += line[1:] if line.startswith(b".") else line
        self.messages += 1
        number = count("messages")
        with open(f"{folder}/{number}.eml", "wb") as file:
            file.write(content)
        taken = {"file": f"{number}.eml", "from": sender, "to": recipients, "at": time.time()}
        what = answer("dot", recipients)
        if what is None or what[0] == "2" or what.startswith(("close ", "wait ")):
            self.tell("message", **taken)
        else:
            self.tell("refused", **taken)
        self.reply("dot", recipients, f"250 2.0.0 taken as {number}")


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 1024


os.makedirs(folder, exist_ok=True)
servers = []
for place in sys.argv[2:]:
    address, port = place.rsplit(":", 1)
    servers.append(Server((address, int(port)), Session))
for server in servers:
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
tell(event="ready")
threading.Event().wait()
