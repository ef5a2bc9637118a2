#!/usr/bin/python3
# A table program by smtpd-tables(7), written from the protocol alone: answers from a text of "key value" lines, or keys.
# Keys with a name of their own misbehave: hang, die, garbage, twice, late, other, long, error, partial.
import ipaddress
import re
import sys
import time

SERVICES = "alias domain credentials netaddr userinfo source mailaddr addrname mailaddrmap relayhost string regex"


def say(text):
    sys.stdout.write(text)
    sys.stdout.flush()


def entries(path):
    with open(path) as file:
        for line in file:
            words = line.rstrip("\n").split(" ", 1)
            yield words[0], words[1] if len(words) > 1 else ""


def contains(network, address):
    try:
        return ipaddress.ip_address(address.strip("[]")) in ipaddress.ip_network(network)
    except ValueError:
        return False


def matches(service, entry, key):
    if service == "netaddr":
        return contains(entry, key)
    if service == "regex":
        return re.search(entry, key, re.IGNORECASE) is not None
    return entry == key


def misbehave(operation, number, key):
    answer = f"{operation}-result|{number}|found|"
    if key == "hang":
        time.sleep(1000)
    elif key == "die":
        sys.exit(3)
    elif key == "garbage":
        say("garbage\n")
    elif key == "twice":
        say(2 * f"{answer}fred\n")
    elif key == "late":
        time.sleep(0.7)
        say(f"{answer}fred\n")
    elif key == "other":
        say(f"{operation}-result|ffffffff|found|wilma\n")
    elif key == "long":
        say("x" * 200000)
    elif key == "error":
        say(f"{operation}-result|{number}|error|the directory is closed\n")
    elif key == "partial":
        say("error")
    elif key == "binary":
        sys.stdout.buffer.write(f"{answer}".encode() + b"\xff\n")
        sys.stdout.buffer.flush()
    elif key == "two writes":
        say(answer[:10])
        time.sleep(0.05)
        say(f"{answer[10:]}fred\n")
    else:
        return False
    return True


def main():
    table, turn = list(entries(sys.argv[1])), 0
    for line in sys.stdin:
        fields = line.rstrip("\n").split("|", 7)
        if fields[0] == "config":
            if fields[1] == "ready":
                say("".join(f"register|{s}\n" for s in SERVICES.split()) + "register|ready\n")
            continue
        assert fields[:2] == ["table", "0.1"] and re.fullmatch(r"\d+\.\d{6}", fields[2]), line
        operation, service, number = fields[4:7]
        assert re.fullmatch(r"[0-9a-f]{8}", number), line
        key = fields[7] if len(fields) > 7 else ""
        if misbehave(operation, number, key):
            continue
        found = [entry for entry in table if operation == "fetch" or matches(service, entry[0], key)]
        if not found:
            say(f"{operation}-result|{number}|not-found\n")
        elif operation == "check":
            say(f"check-result|{number}|found\n")
        elif operation == "lookup":
            say(f"lookup-result|{number}|found|{found[0][1]}\n")
        else:
            say(f"fetch-result|{number}|found|{found[turn % len(found)][0]}\n")
            turn += 1


main()
