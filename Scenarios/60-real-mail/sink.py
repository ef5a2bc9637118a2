#!/usr/bin/python3
"""A second mail server, aiosmtpd's: sink.py FOLDER PORT keeps each message as FOLDER/LOCAL-PART of each recipient."""
import os
import sys
import threading

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP

folder = sys.argv[1]


class Keep:
    async def handle_DATA(self, server, session, envelope):
        for recipient in envelope.rcpt_tos:
            path = f"{folder}/{recipient.split('@')[0]}"
            # Whole, or not there; what comes twice is named so.
            with open(path + ".part", "wb") as file:
                file.write(f"{envelope.mail_from}\n".encode() + envelope.content)
            os.rename(path + ".part", path + ".twice" if os.path.exists(path) else path)
        return "250 2.0.0 kept"


class Server(Controller):
    def factory(self):
        # Longer lines than RFC 5321 asks for: mail has them.
        SMTP.line_length_limit = 1 << 20
        return SMTP(self.handler, data_size_limit=64 << 20, hostname="sink.example", decode_data=False)


os.makedirs(folder, exist_ok=True)
Server(Keep(), hostname="127.0.0.1", port=int(sys.argv[2])).start()
threading.Event().wait()
