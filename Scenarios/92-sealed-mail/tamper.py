#!/usr/bin/python3
"""What the host of the disk can do to one file of the spool: tamper.py KIND FILE [OTHER [VICTIM]]. It has no key.

Segments (Documentation/SPOOL.md 3): the victim is a message, by its number from 0; the second if none is named.

    header-bit, header-first-bit     a bit in both blocks of the header, in the first one; the checksums stay as they were
    header-NAME                      a field changed in both blocks, checksums made to fit: number, created, role, run, id,
                                     version, key, encapsulated, derivation, iterations, check, clear, compressed, base
    RECORD-PLACE                     RECORD: envelope, content, commit; PLACE: bit, length, order, stamp, offset, nonce,
                                     salt, tag, clear
    cut                              the file ends within the last message
    swapped, repeated, reordered     victim and next; its first record over the second; its first and second record
    record-from, message-from        in place of the victim's: the first of the file OTHER

Journals (4): the stamp is OTHER's, a segment.

    journal-forged                   a plain one that says of every message: removed
    journal-bit, journal-cut         in its last frame; without its last frame
    journal-header                   another key id, the checksum made to fit

Any file: bit OFFSET (in place of OTHER).
"""
import hashlib
import os
import struct
import sys
import zlib

HEADER, BLOCK = 80, 512
FIELDS = {
    "version": (8, 1), "role": (12, 3), "id": (16, 1), "created": (32, 1), "run": (40, 1), "number": (56, 1),
    "key": (64, 1), "encapsulated": (72, 1), "derivation": (104, 1), "iterations": (108, 1), "check": (112, 1),
    "clear": (10, 1), "compressed": (10, 2), "base": (10, 8),
}
PLACES = {"order": 8, "length": 12, "stamp": 16, "offset": 24, "nonce": 36, "salt": 48, "tag": 64, "clear": 5}
KINDS = {"envelope": 1, "content": 2, "commit": 3}


def messages(data):
    """Each message's records as (offset, kind, length of the payload)."""
    found, at = [], 1024
    while data[at : at + 4] == b"PRec":
        records = []
        while data[at : at + 4] == b"PRec":
            kind, length = data[at + 4], struct.unpack_from("<I", data, at + 12)[0]
            records.append((at, kind, length))
            at += HEADER + length
            if kind == 3:
                break
        found.append(records)
        at = (at + BLOCK - 1) // BLOCK * BLOCK
    return found


def seal_header(data, at):
    struct.pack_into("<I", data, at + 444, zlib.crc32(data[at : at + 444]))


def header(data, name):
    if name in ("bit", "first-bit"):
        for at in [0] if name == "first-bit" else [0, 512]:
            data[at + 56] ^= 1
        return
    offset, value = FIELDS[name]
    for at in (0, 512):
        data[at + offset] ^= value
        seal_header(data, at)


def span(records):
    """From a message's start to its end."""
    at, _, length = records[-1]
    return records[0][0], at + HEADER + length


def exchange(data, a, b):
    first, second = bytes(data[slice(*a)]), bytes(data[slice(*b)])
    if len(first) != len(second):
        raise SystemExit("they differ in length")
    data[slice(*a)], data[slice(*b)] = second, first


def record(records, number):
    at, _, length = [one for one in records if one[1] == 2][number]
    return at, at + HEADER + length


def segment(data, kind, other, number):
    found = messages(data)
    number = min(number, len(found) - 1)
    victim = found[number]
    name, _, place = kind.partition("-")
    if name == "header":
        header(data, place)
    elif name in KINDS:
        at, _, length = next(one for one in victim if one[1] == KINDS[name])
        data[at + HEADER + length // 2 if place == "bit" else at + PLACES[place]] ^= 2 if place == "clear" else 1
    elif kind == "cut":
        del data[span(found[-1])[1] - 600 :]
    elif kind == "swapped":
        exchange(data, span(victim), span(found[number + 1]))
    elif kind == "repeated":
        data[slice(*record(victim, 1))] = data[slice(*record(victim, 0))]
    elif kind == "reordered":
        exchange(data, record(victim, 0), record(victim, 1))
    elif kind in ("record-from", "message-from"):
        theirs = messages(other)[0]
        mine, others = (record(victim, 0), record(theirs, 0)) if kind == "record-from" else (span(victim), span(theirs))
        if mine[1] - mine[0] != others[1] - others[0]:
            raise SystemExit("they differ in length")
        data[slice(*mine)] = other[slice(*others)]
    else:
        raise SystemExit(f"no such kind: {kind}")


def frames(data):
    at, found = 512, []
    while data[at : at + 4] == b"PFrm":
        length = struct.unpack_from("<I", data, at + 8)[0]
        found.append((at, length))
        at += (56 + length + 7) // 8 * 8
    return found


def forged(stamp, offsets):
    head = bytearray(b"POUCHJRN" + struct.pack("<HHI", 1, 0, 0) + os.urandom(16) + stamp + bytes(8) + bytes(8))
    head += bytes(508 - len(head))
    head += struct.pack("<I", zlib.crc32(head))
    payload = b"".join(struct.pack("<BIQ", 7, 8, offset) for offset in offsets)
    frame = b"PFrm" + struct.pack("<IIIQ", 0, len(payload), 0, 0) + bytes(16)
    tag = zlib.crc32(bytes(head[16:32]) + frame + payload)
    frame += struct.pack("<I", tag) + bytes(12) + payload
    return head + frame + bytes(-len(frame) % 8)


def journal(data, kind, other):
    if kind == "journal-forged":
        data[:] = forged(hashlib.sha256(other[16:32]).digest()[:8], [one[0][0] for one in messages(other)])
        return
    at, length = frames(data)[-1]
    if kind == "journal-bit":
        data[at + 56 + length // 2] ^= 1
    elif kind == "journal-cut":
        del data[at:]
    elif kind == "journal-header":
        data[48] ^= 1
        struct.pack_into("<I", data, 508, zlib.crc32(data[:508]))
    else:
        raise SystemExit(f"no such kind: {kind}")


kind, path = sys.argv[1:3]
other = open(sys.argv[3], "rb").read() if len(sys.argv) > 3 and kind != "bit" else b""
data = bytearray(open(path, "rb").read() if os.path.exists(path) else b"")
if kind == "bit":
    data[int(sys.argv[3])] ^= 1
elif not kind.startswith("journal-"):
    segment(data, kind, other, int(sys.argv[4]) if len(sys.argv) > 4 else 1)
else:
    journal(data, kind, other)
# In place, as who edits a disk does; the mode is no hindrance.
if os.path.exists(path):
    os.chmod(path, 0o640)
with open(path, "r+b" if os.path.exists(path) else "wb") as file:
    file.write(data)
    file.truncate()
