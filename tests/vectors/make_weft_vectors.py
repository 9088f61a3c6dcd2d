#!/usr/bin/env python3
"""Writes weft-crdt.json: bytes made from docs/formats.md alone.

It shares no code with the library, so that the two can only agree where the document
is right. Needs the `cryptography` package; run it again only to add a vector, since
the ones that are there are frozen.
"""

import json
import struct
from hashlib import blake2b
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

MANIFEST = bytes.fromhex("e64b7108eacce47cfc61ac850568f55f8b15b82ec5ed78c4ec597b036e2a1498")
ALPHABET = "ybndrfg8ejkmcpqxot1uwisza345h769"
LIMITS = [1024, 256 * 1024, 128, 1024, 1024 * 1024, 65536, 64 * 1024 * 1024, 256, 64,
          100_000, 65_536, 16, 1024]


def h256(*parts):
    return blake2b(b"".join(parts), digest_size=32).digest()


def varint(n):
    if n <= 0xFC:
        return bytes([n])
    for lead, width in ((0xFD, 2), (0xFE, 4), (0xFF, 8)):
        if n < 1 << (8 * width):
            return bytes([lead]) + n.to_bytes(width, "little")
    raise ValueError(n)


def buffer(data):
    return varint(len(data)) + data


def u64(n):
    return n.to_bytes(8, "little")


def zbase32(data):
    bits = "".join(f"{byte:08b}" for byte in data)
    bits += "0" * (-len(bits) % 5)
    return "".join(ALPHABET[int(bits[i:i + 5], 2)] for i in range(0, len(bits), 5))


def key_pair(byte):
    private = Ed25519PrivateKey.from_private_bytes(bytes([byte]) * 32)
    public = private.public_key().public_bytes(
        serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return private, public


def manifest(salt, publics, quorum):
    name_space = h256(b"weft identity 1", salt)
    signers = b"".join(b"\0" + name_space + public for public in publics)
    return b"\1\0\0" + varint(quorum) + varint(len(publics)) + signers


def core_key(encoded):
    return h256(MANIFEST, encoded)


def genesis(salt, founders, limits, name):
    return (b"\1" + varint(1) + salt + varint(len(founders))
            + b"".join(buffer(founder) for founder in founders)
            + b"".join(varint(limit) for limit in limits) + b"\0\0\0"
            + buffer(name.encode()))


def op_id(writer, position, index):
    return writer + varint(position) + varint(index)


def envelope(kind, batch, hlc, cite, last_auth, writers, grants, deps, flags=0,
             sem_version=1, block_format=1):
    return (bytes([block_format, kind]) + varint(sem_version) + bytes([flags])
            + varint(batch[0]) + varint(batch[1]) + varint(hlc[0]) + varint(hlc[1])
            + varint(cite) + varint(last_auth)
            + varint(len(writers)) + b"".join(writers)
            + varint(len(grants)) + b"".join(op_id(*grant) for grant in grants)
            + varint(len(deps))
            + b"".join(varint(i) + varint(n) + tree for i, n, tree in deps))


def flat_table(fields):
    """A FlatBuffer of one table. `fields`: a struct code and values each, or None."""
    present = [i for i, field in enumerate(fields) if field]
    vtable_size = 4 + 2 * len(fields)
    vtable_at = 4 + (-vtable_size % 4)
    table_at = vtable_at + vtable_size + (-(vtable_at + vtable_size) % 4)
    table_size = 4 + 4 * len(present)
    vtable = struct.pack("<HH", vtable_size, table_size)
    for i in range(len(fields)):
        vtable += struct.pack("<H", 4 + 4 * present.index(i) if i in present else 0)
    end = table_at + table_size
    offsets, vectors = b"", b""
    for n, i in enumerate(present):
        code, values = fields[i]
        data = struct.pack(f"<{len(values)}{code}", *values)
        at = end + len(vectors)
        width = struct.calcsize(code)
        padding = -(at + 4) % max(width, 4)
        vectors += b"\0" * padding + struct.pack("<I", len(values)) + data
        offsets += struct.pack("<I", at + padding - (table_at + 4 + 4 * n))
    out = struct.pack("<I", table_at).ljust(vtable_at, b"\0") + vtable
    out = out.ljust(table_at, b"\0") + struct.pack("<i", table_at - vtable_at)
    return out + offsets + vectors


def data_payload():
    """put note/1 = text "milk"; put n = int64 -2; del note/2 {register, record}, delete
    wins; record t/7 {"": unset, city = "Ulm", open = true}; put e = null."""
    columns = [b"city", b"", b"open"]
    heap = (b"".join(columns) + b"note/1" + b"milk" + b"n" + struct.pack("<q", -2)
            + b"note/2" + b"t/7" + b"Ulm" + b"\1" + b"e")
    return flat_table([
        ("B", [0x11, 0x11, 0x02, 0x23, 0x11]),  # ops
        ("H", [6, 1, 6, 3, 1]),                 # key_sizes
        ("B", [1]),                             # flags
        ("H", [6]),                             # lanes
        ("H", [3]),                             # cell_counts
        ("B", [0x12, 0x11, 0x11]),              # cells
        ("H", [1, 0, 2]),                       # cell_columns
        ("B", [4, 0, 4]),                       # column_sizes
        ("B", [4, 2, 4, 1, 0]),                 # value_types
        ("H", [4, 3]),                          # value_sizes
        None, None,
        ("B", heap),
    ])


def auth_payload(identity):
    """grant writer on "notes/" to `identity`, and reader on everything."""
    return flat_table([
        ("B", [1, 1]), ("B", [1, 0]), ("B", identity + identity),
        ("Q", [2, 3, 0, 0]), ("I", [6, 0]), ("B", b"notes/"),
    ])


def main():
    salt = bytes(range(32))
    ada_key, ada = key_pair(1)
    bob_key, bob = key_pair(2)
    founders = [manifest(salt, [ada], 1), manifest(salt, [ada, bob], 2)]
    genesis_bytes = genesis(salt, founders, LIMITS, "Großes Heft")
    base_id = h256(b"weft base 1", genesis_bytes)
    ada_id, both_id = core_key(founders[0]), core_key(founders[1])
    lowered = LIMITS[:]
    lowered[0] = 64
    raised = LIMITS[:]
    raised[8] = 65

    device = b"\x77" * 32
    prev = (both_id, 5, b"\x55" * 32)
    signable = (b"weft incarnation" + base_id + u64(3) + device + prev[0] + u64(prev[1])
                + prev[2])
    incarnation = (both_id + buffer(founders[1]) + varint(3) + prev[0] + varint(prev[1])
                   + prev[2] + varint(2) + varint(0) + ada_key.sign(signable)
                   + varint(1) + bob_key.sign(signable))

    bob_id = core_key(manifest(salt, [bob], 1))
    w1, w2 = b"\x11" * 32, b"\xaa" * 32
    tree = [b"\xe1" * 32, b"\xe2" * 32, b"\xe3" * 32]
    genesis_grant = (b"\0" * 32, 0, 0)
    log = [
        envelope(1, (0, 1), (1_700_000_000_000, 0), 0, 0, [], [genesis_grant], [])
        + data_payload(),
        envelope(2, (0, 2), (1_700_000_000_000, 1), 0, 0, [w2, w1], [],
                 [(0, 7, tree[0]), (1, 300, tree[1])]) + auth_payload(bob_id),
        envelope(2, (1, 2), (1_700_000_000_001, 0), 0, 2, [], [], [])
        + auth_payload(bob_id),
        envelope(3, (0, 1), (1_700_000_000_002, 65535), 1, 3, [], [(w1, 299, 4)],
                 [(1, 301, tree[2])]),
    ]

    version = {"writers": [[w2, 7, tree[0]], [w1, 300, tree[1]]],
               "forked": [[w2, 3]], "parked": [[w1, 12], [w2, 9]]}
    digest_message = b"weft version 1" + u64(2)
    for key, length, tree_hash in sorted(version["writers"]):
        digest_message += key + u64(length) + tree_hash
    digest_message += u64(1) + b"".join(k + u64(f) for k, f in sorted(version["forked"]))
    digest_message += u64(2) + b"".join(k + u64(p) for k, p in sorted(version["parked"]))

    secret = b"\x99" * 32
    values = [("null", b"\0"), ("bool", b"\1\1"), ("int64", b"\2" + struct.pack("<q", -2)),
              ("float64", b"\3" + struct.pack("<d", 1.5)), ("text", b"\4" + "é".encode()),
              ("bytes", b"\5\xff\x00")]

    out = {
        "about": "Bytes of docs/formats.md, made by make_weft_vectors.py. Frozen. "
                 "Lower-case hex. Seed of ada: 32 bytes 01; of bob: 32 bytes 02.",
        "genesis": {
            "salt": salt.hex(), "name": "Großes Heft", "bytes": genesis_bytes.hex(),
            "base_id": base_id.hex(), "channel_id":
                blake2b(b"hypercore", key=base_id, digest_size=32).hexdigest(),
            "founders": [ada_id.hex(), both_id.hex()],
            "namespace": h256(b"weft identity 1", salt).hex(),
            "lowered_key_bytes": genesis(salt, founders, lowered, "").hex(),
            "raised_deps": genesis(salt, founders, raised, "").hex(),
        },
        "incarnation": {"core": device.hex(), "signable": signable.hex(),
                        "bytes": incarnation.hex()},
        "link": {
            "plain": "weft://" + zbase32(base_id),
            "full": "weft://" + zbase32(base_id) + "?a=192.0.2.7:4000&x=later"
                    "&a=[2001:db8::1]:4001&s=" + zbase32(salt) + "&i=" + zbase32(secret),
            "addresses": ["192.0.2.7:4000", "[2001:db8::1]:4001"],
            "secret": secret.hex(),
        },
        "op_id": {"writer": ada_id.hex(), "position": 42, "op_index": 7,
                  "text": zbase32(ada_id) + ":42.7"},
        "log": {"writer": ada_id.hex(), "w1": w1.hex(), "w2": w2.hex(),
                "blocks": [block.hex() for block in log]},
        "data_payload": data_payload().hex(),
        "auth_payload": {"identity": bob_id.hex(), "bytes": auth_payload(bob_id).hex()},
        "digest": {
            "writers": [[k.hex(), n, t.hex()] for k, n, t in version["writers"]],
            "forked": [[k.hex(), f] for k, f in version["forked"]],
            "parked": [[k.hex(), p] for k, p in version["parked"]],
            "digest": h256(digest_message).hex(),
            "empty": h256(b"weft version 1" + u64(0) * 3).hex(),
        },
        "values": [{"type": name, "canonical": data.hex(), "hash": h256(data).hex()}
                   for name, data in values],
    }
    path = Path(__file__).with_name("weft-crdt.json")
    path.write_text(json.dumps(out, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
