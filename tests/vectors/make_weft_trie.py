#!/usr/bin/env python3
"""Writes weft-trie.json from docs/formats.md, section "Merkle trie", alone."""

import hashlib
import json
import pathlib


def h(data):
    return hashlib.blake2b(data, digest_size=32).digest()


def uint(n):
    if n <= 0xFC:
        return bytes([n])
    if n <= 0xFFFF:
        return b"\xfd" + n.to_bytes(2, "little")
    return b"\xfe" + n.to_bytes(4, "little")


def buffer(data):
    return uint(len(data)) + data


def leaf(key, lanes):
    return b"\x03" + buffer(key) + lanes


def item(key, state):
    return b"\x02" + buffer(key) + state


def nibbles(key):
    return [n for byte in key for n in (byte >> 4, byte & 15)]


def path_bytes(path):
    padded = path + [0] * (len(path) % 2)
    return uint(len(path)) + bytes(
        padded[i] << 4 | padded[i + 1] for i in range(0, len(padded), 2)
    )


def build(entries, path=()):
    """(hash, tree) of (rest of the nibbles, leaf hash, leaf bytes) after `path`."""
    if len(entries) == 1:
        return entries[0][1], ("leaf", entries[0][2])
    path = list(path)
    while all(rest and rest[0] == entries[0][0][0] for rest, _, _ in entries):
        path.append(entries[0][0][0])
        entries = [(rest[1:], leaf_hash, bytes_) for rest, leaf_hash, bytes_ in entries]
    value = [e for e in entries if not e[0]]
    children = {}
    for rest, leaf_hash, bytes_ in entries:
        if rest:
            children.setdefault(rest[0], []).append((rest[1:], leaf_hash, bytes_))
    built = {n: build(children[n]) for n in sorted(children)}
    data = b"\x01" + path_bytes(path)
    data += b"\x01" + value[0][1] if value else b"\x00"
    data += sum(1 << n for n in built).to_bytes(2, "little")
    data += b"".join(child[0] for child in built.values())
    trees = {n: child[1] for n, child in built.items()}
    return h(data), ("branch", data, path, value[0][2] if value else None, trees)


def trie(leaves):
    if not leaves:
        return h(b"\x00"), None
    return build([(nibbles(key), h(data), data) for key, data in leaves])


def proof(tree, key):
    way = nibbles(key)
    branches = []
    end = None
    while tree is not None:
        if tree[0] == "leaf":
            end = tree[1]
            break
        _, data, path, value, children = tree
        branches.append(data)
        if way[: len(path)] != path:
            break
        way = way[len(path):]
        if not way:
            end = value
            break
        tree = children.get(way[0])
        way = way[1:]
    out = uint(len(branches)) + b"".join(buffer(b) for b in branches)
    return out + (b"\x00" if end is None else b"\x01" + buffer(end))


def one_set(name, entries, asked=()):
    entries = [(k.encode() if isinstance(k, str) else k, v.encode()) for k, v in entries]
    root, tree = trie([(k, leaf(k, v)) for k, v in entries])
    values = dict(entries)
    proofs = []
    for key in asked:
        key = key.encode() if isinstance(key, str) else key
        lanes = values.get(key)
        proofs.append({
            "key": key.hex(),
            "lanes": None if lanes is None else lanes.hex(),
            "proof": proof(tree, key).hex(),
        })
    return {
        "name": name,
        "leaves": [{"key": k.hex(), "lanes": v.hex()} for k, v in entries],
        "root": root.hex(),
        "proofs": proofs,
    }


def main():
    names = ["ada", "adam", "al", "bob", "b", "", "carol/1", "carol/2", "carol/10"]
    sets = [
        one_set("empty", [], ["ada"]),
        one_set("one key", [("ada", "1")], ["ada", "bob", ""]),
        one_set("two keys that part at the first nibble", [("\x10", "1"), ("\x7f", "2")],
                ["\x10", "\x11", "\x20"]),
        one_set("a key that is the prefix of another", [("ad", "1"), ("ada", "2")],
                ["ad", "ada", "a", "adb", "adab"]),
        one_set("names", [(n, "state of " + n) for n in names],
                ["ada", "", "carol/1", "carol/3", "c", "zoe", "adamant"]),
        one_set("a path of more than 252 nibbles",
                [("x" * 200 + c, c) for c in "12"], ["x" * 200 + "1", "x" * 199]),
        one_set("a thousand keys", [("row/%d" % (i * 7919 % 1000), str(i))
                                    for i in range(1000)], ["row/0", "row/999", "row/1000"]),
    ]
    items = [(b"c%03d" % i, b"s%d" % i) for i in range(300)]
    nested, _ = trie([(k, item(k, s)) for k, s in items])
    document = {
        "sets": sets,
        "nested": {
            "items": [{"key": k.hex(), "state": s.hex()} for k, s in items],
            "root": nested.hex(),
        },
    }
    out = pathlib.Path(__file__).with_name("weft-trie.json")
    out.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
