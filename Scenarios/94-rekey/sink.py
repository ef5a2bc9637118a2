"""An SMTP server that writes a line for each recipient to a file before it answers the final dot.

sink.py PORT RECORD
"""
import asyncio
import sys

from aiosmtpd.controller import UnthreadedController


class Sink:
    async def handle_DATA(self, server, session, envelope):
        with open(sys.argv[2], "a") as record:
            for recipient in envelope.rcpt_tos:
                record.write(recipient + "\n")
        return "250 Ok"


loop = asyncio.new_event_loop()
controller = UnthreadedController(Sink(), hostname="127.0.0.1", port=int(sys.argv[1]), loop=loop)
controller.begin()
loop.run_forever()
