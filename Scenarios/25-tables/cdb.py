# A reader and a maker of constant databases, written from Bernstein's description alone:
#   cdb.py make FILE <lines      "key value" lines, one record each
#   cdb.py dump FILE             the records that have a key without a zero octet, as "key value" lines
#   cdb.py get FILE KEY          the first value of a key; status 1 when there is none
import struct
import sys


def cdb_hash(key):
    h = 5381
    for octet in key:
        h = ((h << 5) + h & 0xFFFFFFFF) ^ octet
    return h


def make(path, records):
    tables, body, position = [[] for _ in range(256)], b"", 2048
    for key, value in records:
        h = cdb_hash(key)
        tables[h & 255].append((h, position))
        record = struct.pack("<II", len(key), len(value)) + key + value
        body += record
        position += len(record)
    header, tail = b"", b""
    for table in tables:
        slots = [(0, 0)] * (2 * len(table))
        for h, place in table:
            at = (h >> 8) % len(slots)
            while slots[at][1]:
                at = (at + 1) % len(slots)
            slots[at] = (h, place)
        header += struct.pack("<II", position + len(tail), len(slots))
        tail += b"".join(struct.pack("<II", *slot) for slot in slots)
    with open(path, "wb") as file:
        file.write(header + body + tail)


def dump(data):
    end = min(struct.unpack_from("<I", data, 8 * i)[0] for i in range(256))
    position = 2048
    while position < end:
        klen, vlen = struct.unpack_from("<II", data, position)
        key = data[position + 8 : position + 8 + klen]
        yield key, data[position + 8 + klen : position + 8 + klen + vlen]
        position += 8 + klen + vlen


def get(data, key):
    h = cdb_hash(key)
    start, count = struct.unpack_from("<II", data, 8 * (h & 255))
    for step in range(count):
        slot, position = struct.unpack_from("<II", data, start + 8 * (((h >> 8) + step) % count))
        if not position:
            return None
        klen, vlen = struct.unpack_from("<II", data, position)
        if slot == h and data[position + 8 : position + 8 + klen] == key:
            return data[position + 8 + klen : position + 8 + klen + vlen]
    return None


command, path = sys.argv[1:3]
if command == "make":
    lines = [line.rstrip("\n").partition(" ") for line in sys.stdin]
    make(path, [(key.encode(), value.encode()) for key, _, value in lines])
else:
    with open(path, "rb") as file:
        content = file.read()
    if command == "dump":
        for key, value in dump(content):
            if b"\0" not in key:
                print((key + b" " + value).decode())
    else:
        value = get(content, sys.argv[3].encode())
        if value is None:
            sys.exit(1)
        print(value.decode())
