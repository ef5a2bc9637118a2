"""A person at a terminal: terminal.py PASSPHRASE COMMAND... - types it when asked, and prints what was seen there, a bar,
and the command's standard output."""
import os
import pty
import sys

passphrase, command = sys.argv[1], sys.argv[2:]
reading, writing = os.pipe()
pid, terminal = pty.fork()
if pid == 0:
    os.dup2(writing, 1)
    os.dup2(os.open(os.devnull, os.O_RDWR), 0)
    os.execvp(command[0], command)
os.close(writing)
seen = b""
while b": " not in seen:
    seen += os.read(terminal, 1000)
os.write(terminal, passphrase.encode() + b"\n")
result = b""
while chunk := os.read(reading, 1000):
    result += chunk
os.waitpid(pid, 0)
try:
    while more := os.read(terminal, 1000):
        seen += more
except OSError:
    pass
print(seen.decode().strip() + " |" + result.decode().strip())
