"""From a history to bytes: docs/formats.md once more, for the differential runs.

Not part of the specification of meaning. Signatures and keys come from the engine's side
of the run (engine.py), everything else is made here.
"""

import hashlib
import struct

GENESIS = -1
LIMITS = {"key_bytes": 1024, "value_bytes": 262144, "column_bytes": 128,
          "cells_per_op": 1024, "block_bytes": 1048576, "batch_ops": 65536,
          "batch_bytes": 67108864, "batch_blocks": 256, "deps": 64, "members": 100000,
          "auth_ops_per_writer": 65536, "delegation_depth": 16,
          "siblings_reported": 1024}
KINDS = {"data": 1, "auth": 2, "ack": 3, "incarnation": 4}
AUTH = {"grant": 1, "revoke": 2, "invite": 3, "redeem": 4, "accept": 5, "reject": 6,
        "hide": 7, "unhide": 8, "admit": 9}


def h256(*parts):
    return hashlib.blake2b(b"".join(parts), digest_size=32).digest()


def varint(n):
    if n <= 0xfc:
        return bytes((n,))
    if n <= 0xffff:
        return b"\xfd" + n.to_bytes(2, "little")
    if n <= 0xffffffff:
        return b"\xfe" + n.to_bytes(4, "little")
    return b"\xff" + n.to_bytes(8, "little")


def buffer(data):
    return varint(len(data)) + data


def genesis(salt, founders, limits, name):
    return (b"\1\1" + salt + varint(len(founders)) + b"".join(map(buffer, founders))
            + b"".join(varint(limits[limit]) for limit in LIMITS) + b"\0\0\0"
            + buffer(name.encode()))


def base_id(genesis_bytes):
    return h256(b"weft base 1", genesis_bytes)


class TreeHashes:
    """The hash of a hypercore's Merkle tree after each block."""

    def __init__(self):
        self.roots = []  # (tree index, size, hash)
        self.length = 0
        self.hashes = []

    def append(self, block):
        node = (2 * self.length, len(block),
                h256(b"\0", len(block).to_bytes(8, "little"), block))
        self.length += 1
        while self.roots and self.sibling(self.roots[-1][0], node[0]):
            left = self.roots.pop()
            size = left[1] + node[1]
            node = ((left[0] + node[0]) // 2, size,
                    h256(b"\1", size.to_bytes(8, "little"), left[2], node[2]))
        self.roots.append(node)
        self.hashes.append(h256(b"\2", *(
            tree + index.to_bytes(8, "little") + size.to_bytes(8, "little")
            for index, size, tree in self.roots)))

    @staticmethod
    def sibling(left, right):
        def depth(index):
            return (~index & index + 1).bit_length() - 1
        at = depth(left)
        return depth(right) == at and left >> at + 1 & 1 == 0 and right - left == 2 << at

    def copy(self, length, blocks):
        tree = TreeHashes()
        for block in blocks[:length]:
            tree.append(block)
        return tree


def table(fields):
    """A FlatBuffer of one table whose fields are vectors of scalars: (code, values)."""
    vtable_size = 4 + 2 * len(fields)
    vtable_at = 4 + (-vtable_size % 4)
    table_at = vtable_at + vtable_size + (-(vtable_at + vtable_size) % 4)
    present = [n for n, (_, values) in enumerate(fields) if values]
    slots, vectors = b"", b""
    vtable = struct.pack("<HH", vtable_size, 4 + 4 * len(present))
    end = table_at + 4 + 4 * len(present)
    for n, (code, values) in enumerate(fields):
        if not values:
            vtable += b"\0\0"
            continue
        slot = len(slots)
        vtable += struct.pack("<H", 4 + slot)
        width = max(struct.calcsize(code), 4)
        padding = -(end + len(vectors) + 4) % width
        vectors += b"\0" * padding
        slots += struct.pack("<I", end + len(vectors) - (table_at + 4 + slot))
        vectors += struct.pack("<I", len(values)) + (
            bytes(values) if code == "B" else struct.pack(f"<{len(values)}{code}", *values))
    out = struct.pack("<I", table_at).ljust(vtable_at, b"\0") + vtable
    return (out.ljust(table_at, b"\0") + struct.pack("<i", table_at - vtable_at)
            + slots + vectors)


def value_bytes(value):
    """A value of a history is text, or a list [type, hex]: (type, bytes)."""
    if isinstance(value, str):
        return 4, value.encode()
    return value[0], bytes.fromhex(value[1])


TYPES = {"put": 1, "set": 1, "unset": 2, "inc": 4, "reset": 5, "add": 6, "remove": 7,
         "raise": 8, "flag": 9, "insert": 10, "cut": 11}
LANES = {"put": 1, "inc": 3, "reset": 3, "add": 4, "remove": 4, "flag": 7}


class DataPayload:
    """The columns of a payload, filled op by op."""

    def __init__(self, ops, writer=None, position=None, keys=()):
        self.writer, self.position, self.keys = writer, position, keys
        self.named = []  # other logs, in the order in which refs of this block name them
        self.f = {name: [] for name in (
            "ops", "key_sizes", "flags", "lanes", "cell_counts", "cells", "cell_columns",
            "value_types", "value_sizes", "words", "numbers")}
        self.columns = sorted({cell[0] for op in ops if op["t"] == "record"
                               for cell in op["cells"]})
        self.heap = b"".join(column.encode() for column in self.columns)
        for op in ops:
            self.add(op)

    def take(self, kind, said):
        """The operands of an op, or of a cell."""
        f = self.f
        if kind == "insert":
            self.heap += self.ref(said["left"]) + self.ref(said["right"])
        elif kind == "cut":
            self.heap += varint(len(said["ranges"])) + b"".join(
                self.ref(first) + varint(count) for first, count in said["ranges"])
        if kind in ("put", "set", "add", "remove", "insert"):
            of_type, content = value_bytes(said["value"])
            f["value_types"].append(of_type)
            if of_type in (4, 5):
                f["value_sizes"].append(len(content))
            self.heap += content
        elif kind in ("inc", "raise"):
            f["numbers"].append(said["n"])
        elif kind == "flag":
            f["flags"].append(1 if said["on"] else 2 if said.get("wins") else 0)

    def ref(self, element):
        """The name of an element of a sequence: None is the edge."""
        if element is None:
            return b"\0"
        writer, position, index, offset = element
        place = varint(position) + varint(index) + varint(offset)
        if writer != self.writer:
            if writer in self.named:
                return varint(4 + self.named.index(writer)) + place
            self.named.append(writer)
            return b"\3" + self.keys[writer] + place
        if position == self.position:
            return b"\1" + varint(index) + varint(offset)
        return b"\2" + place

    def add(self, op):
        key, kind, f = op["key"].encode(), op["t"], self.f
        f["key_sizes"].append(len(key))
        self.heap += key
        if kind == "del":
            f["ops"].append(0x02)
            f["flags"].append(1 if op.get("wins") else 0)
            f["lanes"].append(sum(1 << lane for lane in op["lanes"]))
        elif kind == "record":
            f["ops"].append(0x23)
            f["cell_counts"].append(len(op["cells"]))
            for column, verb, said, *lane in op["cells"]:
                f["cells"].append((lane[0] if lane else 1) << 4 | TYPES[verb])
                f["cell_columns"].append(self.columns.index(column))
                self.take(verb, {"value": said} if verb == "set" else said)
        else:
            lane = LANES.get(kind) or op["lane"]
            f["ops"].append(lane << 4 | TYPES[kind])
            self.take(kind, op)

    def bytes(self):
        f = self.f
        return table([
            ("B", f["ops"]), ("H", f["key_sizes"]), ("B", f["flags"]), ("H", f["lanes"]),
            ("H", f["cell_counts"]), ("B", f["cells"]), ("H", f["cell_columns"]),
            ("B", [len(column.encode()) for column in self.columns]),
            ("B", f["value_types"]), ("H", f["value_sizes"]), ("I", f["words"]),
            ("q", f["numbers"]), ("B", self.heap)])


class Encoder:
    """Writes the blocks of a history, in an order in which every hash is known.

    Fills in history["keys"], ["identity_keys"] and each log's "hashes" and "bytes".
    `sign(items)` gives signatures for (seed, message) pairs.
    """

    def __init__(self, history, base, sign, public):
        self.history = history
        self.base = base
        self.sign = sign
        self.public = public
        self.trees = [None] * len(history["logs"])
        for log in history["logs"]:
            log["bytes"], log["hashes"] = [], []
        progress = True
        while progress:
            progress = False
            for number, log in enumerate(history["logs"]):
                while self.encode_next(number, log):
                    progress = True

    def encode_next(self, number, log):
        if self.trees[number] is None:
            other, shared = log.get("shares") or (None, 0)
            if other is not None and len(self.history["logs"][other]["bytes"]) < shared:
                return False
            blocks = self.history["logs"][other]["bytes"][:shared] if shared else []
            self.trees[number] = TreeHashes()
            for block in blocks:
                self.trees[number].append(block)
            log["bytes"] = list(blocks)
            log["hashes"] = list(self.trees[number].hashes)
        at = len(log["bytes"]) - (log["shares"][1] if log.get("shares") else 0)
        if at >= len(log["blocks"]):
            return False
        block = log["blocks"][at]
        for dep in self.needs(block):
            if len(self.history["logs"][dep[0]]["bytes"]) < dep[1]:
                return False
        encoded = self.block(number, log, at, block)
        log["bytes"].append(encoded)
        self.trees[number].append(encoded)
        log["hashes"].append(self.trees[number].hashes[-1])
        return True

    def needs(self, block):
        yield from (dep for dep in block.get("deps", []) if len(dep) == 2)
        for op in block.get("ops", []):
            if "hash" in op and len(op["hash"]) == 2:
                yield op["hash"]
        if block.get("prev") and len(block["prev"]) == 2:
            yield block["prev"]

    def hash_of(self, reference):
        log, length = reference[:2]
        if len(reference) > 2:
            return h256(b"no such branch", bytes([log]), length.to_bytes(8, "little"))
        return self.history["logs"][log]["hashes"][length - 1]

    def op_id(self, op_id):
        writer, position, index = op_id
        key = b"\0" * 32 if writer == GENESIS else self.history["keys"][writer]
        return key + varint(position) + varint(index)

    def path_of(self, number, log, at):
        """All blocks of this branch before position `at` of its own part."""
        if log.get("shares"):
            other, shared = log["shares"]
            before = self.history["logs"][other]["blocks"][:shared]
            return before + log["blocks"][:at]
        return log["blocks"][:at]

    def block(self, number, log, at, block):
        flaw = block.get("flaw")
        if flaw == "garbage":
            return b"\1\2\3"
        if flaw == "empty":
            return b""
        earlier = [b for b in self.path_of(number, log, at)
                   if b.get("flaw") not in ("garbage", "empty", "self_dep")]
        kind = block.get("kind", "data")
        payload = self.payload(number, log, block, kind)
        if flaw == "payload":
            payload = b"\xff" * 9
        envelope = self.envelope(log, at, block, kind, earlier)
        return bytes([9 if flaw == "format" else 1]) + envelope + payload

    def envelope(self, log, at, block, kind, earlier):
        flaw = block.get("flaw")
        writers, grants = [], []
        for old in earlier:
            self.add_to_tables(old, writers, grants)
        known_writers, known_grants = len(writers), len(grants)
        self.add_to_tables(block, writers, grants)
        deps = sorted(
            (writers.index(self.history["logs"][dep[0]]["writer"]), dep[1],
             self.hash_of(dep)) for dep in block.get("deps", []))
        if flaw == "self_dep":
            deps.append((len(writers), 1, b"\0" * 32))
            writers.append(log["writer"])
        last_auth = self.last_auth(log, at)
        if flaw == "last_auth":
            last_auth += 7
        batch = block.get("batch", (0, 1))
        return b"".join((
            bytes([5 if flaw == "kind" else KINDS[kind]]),
            varint(2 if flaw == "sem" else 1), bytes([1 if flaw == "flags" else 0]),
            varint(batch[0]), varint(batch[1]), varint(block["hlc"][0]),
            varint(block["hlc"][1]), varint(grants.index(tuple(block["cite"]))),
            varint(last_auth), varint(len(writers) - known_writers),
            *(self.history["keys"][w] for w in writers[known_writers:]),
            varint(len(grants) - known_grants),
            *(self.op_id(grant) for grant in grants[known_grants:]),
            varint(len(deps)),
            *(varint(i) + varint(n) + tree for i, n, tree in deps)))

    def add_to_tables(self, block, writers, grants):
        for dep in block.get("deps", []):
            writer = self.history["logs"][dep[0]]["writer"]
            if writer not in writers:
                writers.append(writer)
        if tuple(block["cite"]) not in grants:
            grants.append(tuple(block["cite"]))

    def last_auth(self, log, at):
        every = self.path_of(None, log, at)
        for position in range(len(every) - 1, -1, -1):
            block = every[position]
            if (block.get("kind") == "auth" and block.get("flaw") not in
                    ("garbage", "empty", "self_dep", "kind")):
                return position + 1
        return 0

    def payload(self, number, log, block, kind):
        if kind == "ack":
            return b""
        if kind == "incarnation":
            return self.certificate(log, block)
        if kind == "data":
            position = len(log["bytes"])
            payload = DataPayload(block["ops"], log["writer"], position,
                                  self.history["keys"]).bytes()
            if block.get("flaw") == "unknown_op":
                payload = table([("B", [0xf1])])
            return payload
        if block.get("flaw") == "unknown_op":
            return table([("B", [99]), ("B", [0])])
        return self.auth_payload(block["ops"])

    def auth_payload(self, ops):
        f = {"flags": [], "keys": b"", "numbers": [], "sizes": [], "heap": b""}
        key = self.history["keys"]

        def text(data):
            f["sizes"].append(len(data))
            f["heap"] += data

        def add_id(op_id):
            f["keys"] += b"\0" * 32 if op_id[0] == GENESIS else key[op_id[0]]
            f["numbers"] += [op_id[1], op_id[2]]

        for op in ops:
            kind, flags = op["t"], 0
            if kind == "grant":
                flags = 1 if op.get("delegate") else 0
                f["keys"] += self.history["identity_keys"][op["to"]]
                f["numbers"] += [op["role"], op.get("forks", 0)]
                text(op["scope"].encode())
            elif kind == "revoke":
                flags = 1 if op["subtree"] else 0
                add_id(op["of"])
                f["numbers"].append(len(op["keep"]))
                for writer, length in op["keep"]:
                    f["keys"] += key[writer]
                    f["numbers"].append(length)
                text(op.get("reason", "").encode())
            elif kind == "invite":
                f["keys"] += self.public(op["secret"])
                f["numbers"] += [op["role"], op["uses"]]
                text(op["scope"].encode())
            elif kind == "redeem":
                identity = self.history["identity_keys"][op["who"]]
                add_id(op["of"])
                f["keys"] += identity
                signed = self.base + (identity if op["good"] else b"x" * 32)
                text(self.sign([(op["secret"], signed)])[0])
            elif kind in ("accept", "reject", "admit"):
                f["keys"] += key[op["who"]] + self.hash_of(op["hash"])
                f["numbers"] += [op["a"], op["b"]]
            elif "ops" in op:
                f["numbers"].append(len(op["ops"]))
                for op_id in op["ops"]:
                    add_id(op_id)
            else:
                flags = 1
                f["keys"] += key[op["who"]]
                f["numbers"] += [op["a"], op["b"]]
                text(op["prefix"].encode())
            f["flags"].append(flags)
        return table([("B", [AUTH[op["t"]] for op in ops]), ("B", f["flags"]),
                      ("B", f["keys"]), ("Q", f["numbers"]), ("I", f["sizes"]),
                      ("B", f["heap"])])

    def certificate(self, log, block):
        writer = self.history["writers"][log["writer"]]
        identity = self.history["identity_keys"][writer["identity"]]
        prev = writer["prev"]
        prev_core = self.history["keys"][self.history["logs"][prev[0]]["writer"]]
        number = writer["number"]
        signable = (b"weft incarnation" + self.base + number.to_bytes(8, "little")
                    + self.history["keys"][log["writer"]] + prev_core
                    + prev[1].to_bytes(8, "little") + self.hash_of(prev))
        if block.get("certificate", "good") != "good":
            signable += b"another"
        signature = self.sign([(self.history["identity_seeds"][writer["identity"]],
                                signable)])[0]
        return (identity + buffer(self.history["manifests"][writer["identity"]])
                + varint(number) + prev_core + varint(prev[1]) + self.hash_of(prev)
                + varint(1) + varint(0) + signature)
