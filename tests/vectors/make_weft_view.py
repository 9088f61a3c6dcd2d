#!/usr/bin/env python3
"""Fills in weft-view.json: leaf lanes, leaves, root and version digest.

Reads what each key holds (`entries`), the logs and the order of the writers from the
file, and computes the rest from docs/formats.md, sections "View root leaves and lanes",
"Merkle trie" and "Version digest", alone. The logs themselves were written by the program.
"""

import json
import pathlib

from make_weft_trie import buffer, h, item, leaf, trie, uint


def varint(n):
    return uint(n) if n <= 0xFFFFFFFF else b"\xff" + n.to_bytes(8, "little")


def op_id(op):
    return bytes.fromhex(op["writer"]) + varint(op["position"]) + varint(op["op_index"])


def op_order(op):
    return bytes.fromhex(op["writer"]), op["position"], op["op_index"]


def rest_of_live(sibling):
    value = bytes.fromhex(sibling["value"])
    content = value[1:]
    if len(content) > 32:
        content = h(value)
    return (
        varint(sibling["hlc_ms"])
        + varint(sibling["hlc_counter"])
        + value[:1]
        + varint(len(value) - 1)
        + content
    )


def lives(siblings):
    ordered = sorted(siblings, key=op_order)
    return varint(len(ordered)) + b"".join(op_id(s) + rest_of_live(s) for s in ordered)


def register(siblings):
    items = [(op_id(s), rest_of_live(s)) for s in siblings]
    return lives(siblings), items


def record(seen):
    presence = sorted(seen["presence"], key=op_order)
    columns = sorted(
        (bytes.fromhex(c["name"]), lives(c["live"])) for c in seen["columns"]
    )
    state = varint(len(presence)) + b"".join(op_id(p) for p in presence)
    state += varint(len(columns)) + b"".join(buffer(n) + l for n, l in columns)
    items = [(b"\x00" + op_id(p), b"") for p in presence]
    items += [(b"\x01" + n, l) for n, l in columns]
    return state, items


def lane(tag, state, items):
    if len(state) <= 4096:
        return bytes([tag, 0]) + buffer(state)
    root, _ = trie(sorted((key, item(key, rest)) for key, rest in items))
    return bytes([tag, 1]) + root


def lanes_of(entry):
    out = b""
    if "register" in entry:
        out += lane(1, *register(entry["register"]))
    if "record" in entry:
        out += lane(2, *record(entry["record"]))
    return out


def digest(logs):
    rows = sorted(
        bytes.fromhex(log["key"])
        + len(log["blocks"]).to_bytes(8, "little")
        + bytes.fromhex(log["tree_hash"])
        for log in logs
    )
    zero = (0).to_bytes(8, "little")
    count = len(rows).to_bytes(8, "little")
    return h(b"weft version 1" + count + b"".join(rows) + zero + zero)


def main():
    path = pathlib.Path(__file__).with_name("weft-view.json")
    document = json.loads(path.read_text())
    leaves = []
    for entry in document["entries"]:
        key = bytes.fromhex(entry["key"])
        lanes = lanes_of(entry)
        entry["lanes"] = lanes.hex()
        entry["leaf"] = h(leaf(key, lanes)).hex()
        leaves.append((key, leaf(key, lanes)))
    document["root"] = trie(leaves)[0].hex()
    document["digest"] = digest(document["logs"]).hex()
    path.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
