#!/usr/bin/python3
"""rcpt.py PORT COMMAND... - the last reply to these SMTP commands; a command `rcpt@ADDRESS` is RCPT TO:<ADDRESS>.

With `send ADDRESS` instead of commands: sends a small message there. SOURCE in the environment is the client's address.
"""
import os
import smtplib
import sys

port, commands = int(sys.argv[1]), sys.argv[2:]
source = (os.environ.get("SOURCE", "127.0.0.1"), 0)
with smtplib.SMTP("127.0.0.1", port, timeout=40, source_address=source) as server:
    server.ehlo(os.environ.get("HELO", "client.example"))
    server.mail(os.environ.get("FROM", "a@client.example"))
    if commands[0] == "send":
        print(*server.rcpt(commands[1]))
        print(*server.data("Subject: x\n\nbody\n"))
    else:
        for command in commands:
            code, text = server.rcpt(command.removeprefix("rcpt@"))
        print(code, text.decode())
