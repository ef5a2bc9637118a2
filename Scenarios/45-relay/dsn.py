#!/usr/bin/python3
"""Takes a delivery status notification apart: dsn.py FILE...

Prints what its readers depend on, a line each, in the order of RFC 3464; ends with 1 and a sentence when a part is
missing or wrong. Dates are only looked at.
"""
import email
import email.policy
import email.utils
import sys

DATES = ("arrival-date", "last-attempt-date", "will-retry-until")


def wrong(what):
    print(f"dsn.py: {sys.argv[1]}: {what}")
    sys.exit(1)


def check_dates(fields):
    for name in DATES:
        for value in fields.get_all(name, []):
            if email.utils.parsedate_to_datetime(value) is None:
                wrong(f"{name} is no date: {value}")


def show(fields, names):
    for name in names:
        for value in fields.get_all(name, []):
            print(f"{name}: {' '.join(value.split())}")


raw = open(sys.argv[1], "rb").read()
if b"\n" in raw.replace(b"\r\n", b""):
    wrong("a line ends with LF alone")
message = email.message_from_bytes(raw)
if message.get_content_type() != "multipart/report" or message.get_param("report-type") != "delivery-status":
    wrong(f"it is {message.get_content_type()}")
for name in ("From", "To", "Subject", "Date", "Message-ID", "MIME-Version"):
    if len(message.get_all(name, [])) != 1:
        wrong(f"it has not one {name}")
parts = message.get_payload()
if [part.get_content_type() for part in parts[:2]] != ["text/plain", "message/delivery-status"] or len(parts) != 3:
    wrong(f"its parts are {[part.get_content_type() for part in parts]}")
show(message, ["To", "Subject", "Auto-Submitted"])
groups = parts[1].get_payload()
check_dates(groups[0])
if not groups[0]["Arrival-Date"]:
    wrong("it has no Arrival-Date")
show(groups[0], ["Reporting-MTA", "Original-Envelope-Id"])
for group in groups[1:]:
    check_dates(group)
    show(group, ["Original-Recipient", "Final-Recipient", "Action", "Status", "Remote-MTA", "Diagnostic-Code"])
    if not group["Last-Attempt-Date"]:
        wrong("a recipient has no Last-Attempt-Date")
    if (group["Action"] == "delayed") != bool(group["Will-Retry-Until"]):
        wrong("Will-Retry-Until is for delayed alone")
    recipient = group["Final-Recipient"].split(";")[1].strip()
    if f"<{recipient}>" not in parts[0].get_payload(decode=True).decode():
        wrong(f"the part for people does not name {recipient}")
kind = parts[2].get_content_type()
returned = parts[2].get_payload()
text = returned if isinstance(returned, str) else returned[0].as_string()
subject = [line for line in text.splitlines() if line.startswith("Subject: ")]
print(f"returned: {kind}", *subject)
