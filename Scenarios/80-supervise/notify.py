"""The service manager's end of NOTIFY_SOCKET: notify.py SOCKET RECORD PORT - writes each message to RECORD as a line,
READY=1 with the greeting that the port gives in that instant."""
import socket
import sys

path, record, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
manager.bind(path)


def greeting():
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as peer:
            peer.settimeout(1)
            return peer.recv(1000).decode().strip()
    except OSError as error:
        return str(error)


while True:
    words = manager.recv(4096).decode().split("\n")
    line = " ".join(words + ([greeting()] if "READY=1" in words else []))
    with open(record, "a") as file:
        file.write(line + "\n")
