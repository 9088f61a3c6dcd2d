#!/usr/bin/env python3
"""Writes weft-feeds.json from docs/formats.md, section "The feed exchange", alone.

Run it again only to add a vector: the ones that are there are frozen.
"""

import json
from hashlib import blake2b
from pathlib import Path

NAME = "weft-feeds.json"


def h256(data, key=b""):
    return blake2b(data, digest_size=32, key=key).digest()


def filled(first, size=32):
    return bytes((first + i) % 256 for i in range(size))


def uint(n):
    if n <= 0xFC:
        return bytes([n])
    for lead, width in ((0xFD, 2), (0xFE, 4), (0xFF, 8)):
        if n < 1 << (8 * width):
            return bytes([lead]) + n.to_bytes(width, "little")
    raise ValueError(n)


def array(items):
    return uint(len(items)) + b"".join(items)


def buffer(data):
    return uint(len(data)) + data


def path(nibbles):
    padded = list(nibbles) + [0] * (len(nibbles) % 2)
    packed = bytes(padded[i] << 4 | padded[i + 1] for i in range(0, len(padded), 2))
    return uint(len(nibbles)) + packed


def nibbles_of(key):
    return [n for byte in key for n in (byte >> 4, byte & 15)]


def branch(entries, depth):
    """Bytes of the branch over (nibbles, leaf hash), whose keys agree before `depth`."""
    shared = depth
    while len({keys[shared] for keys, _ in entries}) == 1:
        shared += 1
    children = {}
    for keys, leaf in entries:
        children.setdefault(keys[shared], []).append((keys, leaf))
    data = b"\x01" + path(entries[0][0][depth:shared]) + b"\x00"
    data += sum(1 << n for n in children).to_bytes(2, "little")
    for nibble in sorted(children):
        data += subtree(children[nibble], shared + 1)
    return data


def subtree(entries, depth):
    return entries[0][1] if len(entries) == 1 else h256(branch(entries, depth))


def feeds():
    entries = []
    for n in range(1, 21):
        core = h256(bytes([n]))
        entries.append((nibbles_of(core), h256(b"\x03" + core + n.to_bytes(8, "little"))))
    lower = {}
    for nibble in range(16):
        below = [entry for entry in entries if entry[0][0] == nibble]
        if len(below) > 1:
            lower[f"{nibble:x}"] = branch(below, 1).hex()
    return subtree(entries, 0), branch(entries, 0), lower


def main():
    base = filled(9)
    root, top, lower = feeds()
    spaces = {side: h256(f"weft feeds {side}".encode()) for side in ("initiator", "responder")}
    values = {
        "about": "The messages of weft/feeds as frozen in protocol version 1; the values are those of tests/replication/feed_messages_test.cc. Lower-case hex.",
        "open": b"\x01" + filled(1) + uint(1),
        "digest": filled(2) + filled(3) + uint(1) + uint(700),
        "ask_nodes": uint(9) + array([path([]), path([10]), path([10, 11, 12])]),
        "nodes": uint(9) + array([path([10]) + buffer(b"\1\2\3"), path([]) + buffer(b"")]),
        "heads": uint(1) + array([filled(4) + uint(5), filled(5) + uint(70000)]),
        "heads_durable": uint(2) + array([filled(4) + uint(5)]),
        "acks": array([filled(8) + uint(253)]),
        "evidence": array([buffer(b"\1\2\3"), buffer(b"\4")]),
        "peers": uint(1) + array([filled(9) + buffer(b"10.0.0.1:4000")]),
        "deny": array([filled(6), filled(7)]),
        "capability_initiator": h256(spaces["initiator"] + base, key=filled(10, 64)),
        "capability_responder": h256(spaces["responder"] + base, key=filled(10, 64)),
        "channel_id": h256(b"hypercore", key=base),
        "feeds_root": root,
        "feeds_top_branch": top,
        "feeds_lower_branches": lower,
    }
    text = {k: v.hex() if isinstance(v, bytes) else v for k, v in values.items()}
    out = Path(__file__).with_name(NAME)
    out.write_text(json.dumps(text, indent=1) + "\n")


if __name__ == "__main__":
    main()
