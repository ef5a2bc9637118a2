#!/usr/bin/python3
"""examples.py MANUALS FOLDER - takes the examples out of smtpd.conf(5) and table(5).

Prints the paths of configurations; tables go to FOLDER/table.NAME in the order the page shows them.
"""
import gzip
import re
import sys

manuals, folder = sys.argv[1:]
TABLES = ["types", "aliases", "virtual", "domains", "credentials", "secrets", "netaddrs", "users", "accounts",
          "sources", "addresses", "names"]


def blocks(page):
    text = gzip.open(f"{manuals}/man5/{page}.5.gz", "rt").read()
    for block in re.findall(r"^\.Bd -literal[^\n]*\n(.*?)^\.Ed", text, re.M | re.S):
        lines = [line for line in block.split("\n") if line and not line.startswith(".")]
        yield "\n".join(lines).replace("\\e", "\\").replace("\\&", "").replace("\\-", "-").replace("\\(dq", '"') + "\n"


statement = re.compile(r"^(action|listen|table|pki|filter|match|lan_addr)\b", re.M)
count = 0
for block in blocks("smtpd.conf"):
    if statement.search(block) and "<table>" not in block:
        count += 1
        path = f"{folder}/example.{count}"
        open(path, "w").write(block)
        print(path)

lists = [b for b in blocks("table")
         if not statement.search(b) and not b.startswith(("value1", "key1", "table "))]
for name, block in zip(TABLES[1:], lists):
    open(f"{folder}/table.{name}", "w").write("\n".join(line.strip() for line in block.split("\n")))
