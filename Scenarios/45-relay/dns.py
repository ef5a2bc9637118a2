#!/usr/bin/python3
"""A name server for one zone file: dns.py FILE PORT, on 127.0.0.1 by UDP.

FILE is read anew at each question: lines of NAME TYPE VALUE, TYPE one of MX (`10 host`, `0 .`), A, AAAA and PTR, or of
NAME SERVFAIL. A name that has no line does not exist. FILE.asked gets a line `NAME TYPE` for each question.
"""
import ipaddress
import socket
import struct
import sys

TYPES = {"A": 1, "PTR": 12, "MX": 15, "AAAA": 28}
NAMES = {number: name for name, number in TYPES.items()}


def encoded(name):
    labels = [label.encode() for label in name.split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def question(packet):
    labels, at = [], 12
    while packet[at]:
        labels.append(packet[at + 1 : at + 1 + packet[at]].decode("ascii", "replace"))
        at += 1 + packet[at]
    kind = struct.unpack(">H", packet[at + 1 : at + 3])[0]
    return ".".join(labels).lower(), kind, packet[12 : at + 5]


def data(kind, value):
    if kind == "MX":
        preference, host = value.split()
        return struct.pack(">H", int(preference)) + encoded(host)
    if kind == "PTR":
        return encoded(value)
    return ipaddress.ip_address(value).packed


def answered(zone, packet):
    name, number, asked = question(packet)
    kind = NAMES.get(number, str(number))
    with open(sys.argv[1] + ".asked", "a") as log:
        log.write(f"{name} {kind}\n")
    own = [line[1:] for line in zone if line[0] == name]
    code, records = 0, []
    if not own:
        code = 3
    elif own[0][0] == "SERVFAIL":
        code = 2
    else:
        records = [data(kind, line[1]) for line in own if line[0] == kind]
    header = packet[:2] + struct.pack(">HHHHH", 0x8180 | code, 1, len(records), 0, 0)
    # Time to live 0: what changes in the file counts at once.
    body = b"".join(b"\xc0\x0c" + struct.pack(">HHIH", number, 1, 0, len(one)) + one for one in records)
    return header + asked + body


server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", int(sys.argv[2])))
while True:
    packet, peer = server.recvfrom(4096)
    zone = [line.split(None, 2) for line in open(sys.argv[1]) if line.strip()]
    zone = [[part.strip() for part in line] for line in zone]
    server.sendto(answered(zone, packet), peer)
