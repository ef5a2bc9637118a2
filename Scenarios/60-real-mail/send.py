#!/usr/bin/python3
"""Sends the messages of a folder: send.py FOLDER smtp PORT, or send.py FOLDER enqueue CONFIGURATION.

Each goes from NAME@from.example to KIND-NAME@next.example and KIND-NAME@here.example, KIND being smtp or enqueue. Prints
how many were accepted.
"""
import concurrent.futures
import pathlib
import smtplib
import subprocess
import sys

from corpus import normalised


def send_smtp(files, port):
    """A session for each twenty."""
    for start in range(0, len(files), 20):
        with smtplib.SMTP("127.0.0.1", port, local_hostname="client.example") as session:
            session.ehlo()
            for file in files[start : start + 20]:
                content = normalised(file.read_bytes())
                options = ["BODY=8BITMIME"] if any(octet > 127 for octet in content) else []
                recipients = [f"smtp-{file.name}@next.example", f"smtp-{file.name}@here.example"]
                if not content:
                    send_nothing(session, f"{file.name}@from.example", recipients)
                    continue
                refused = session.sendmail(f"{file.name}@from.example", recipients, content, options)
                if refused:
                    raise SystemExit(f"{file.name}: refused: {refused}")


def send_nothing(session, sender, recipients):
    """A message without an octet: sendmail would give it a line."""
    commands = [f"MAIL FROM:<{sender}>"] + [f"RCPT TO:<{recipient}>" for recipient in recipients] + ["DATA", "."]
    for command in commands:
        code, text = session.docmd(command)
        if code >= 400:
            raise SystemExit(f"{command}: {code} {text}")


def enqueue(file, configuration):
    command = ["mail-enqueue", "-C", configuration, "-i", "-f", f"{file.name}@from.example"]
    recipients = [f"enqueue-{file.name}@next.example", f"enqueue-{file.name}@here.example"]
    with open(file, "rb") as message:
        subprocess.run(command + recipients, stdin=message, check=True)


files = sorted(pathlib.Path(sys.argv[1]).iterdir())
if sys.argv[2] == "smtp":
    send_smtp(files, int(sys.argv[3]))
else:
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda file: enqueue(file, sys.argv[3]), files))
print(len(files))
