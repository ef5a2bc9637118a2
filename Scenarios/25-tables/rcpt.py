# rcpt.py PORT USER - the code and text that RCPT gets for USER at example.test.
import smtplib
import sys

with smtplib.SMTP("127.0.0.1", int(sys.argv[1]), timeout=30) as server:
    server.ehlo("client.example")
    server.mail("a@client.example")
    code, text = server.rcpt(f"{sys.argv[2]}@example.test")
    print(code, text.decode())
