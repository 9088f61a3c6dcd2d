"""Which blocks there are, which of them are whole, and which lies in whose past.

Part of the executable specification: written from the rules (docs/semantics.md names
them and says what was chosen where they are silent), in the plainest way, and sharing
nothing with the engine. `Causal` is the causal set of rule C1 with its forks (F1 to F3b).

A history is a dictionary (see history.py). Writers are numbers. A *log* is one branch of
a writer's log: a writer that never forked has one; a fork is a further log that shares
its first blocks with another.
"""

GENESIS = -1  # the "writer" of genesis grants


class Block:
    """A block as its log says it, and what rules S4 to S8 and D8 make of it."""

    __slots__ = ("id", "log", "writer", "position", "said", "state", "reason", "counts",
                 "batch", "deps", "ops", "cite", "tie", "named", "kind")

    def __repr__(self):
        return f"{self.writer}:{self.position}"


class Batch:
    """A run of blocks that commits as one (D8), or as much of it as is there."""

    __slots__ = ("blocks", "whole", "state", "reason", "decided")

    def __init__(self):
        self.blocks = []
        self.whole = False
        self.state = "valid"
        self.reason = ""
        self.decided = float("inf")  # so many blocks of the log say what becomes of it

    start = property(lambda self: self.blocks[0].position)
    end = property(lambda self: self.blocks[-1].position + 1)
    cite = property(lambda self: self.blocks[0].cite)

    def ops(self):
        for block in self.blocks:
            for index, op in enumerate(block.ops):
                yield block, index, op


# What a spoilt block is, by the name of its flaw: (state, the envelope counts).
FLAWS = {
    "garbage": ("invalid", False), "empty": ("invalid", False),
    "self_dep": ("invalid", False), "late_incarnation": ("invalid", True),
    "flags": ("invalid", True), "last_auth": ("invalid", True),
    "payload": ("invalid", True),
    "format": ("parked", True), "sem": ("parked", True), "kind": ("parked", True),
    "unknown_op": ("parked", True),
}


# Unknown in the envelope itself (S8): parks before anything else in it is judged.
UNKNOWN = ("format", "sem", "kind")


class Log:
    """One branch: its blocks in order with their states and batches."""

    def __init__(self, number, said, history, logs):
        self.number = number
        self.writer = said["writer"]
        self.hashes = said["hashes"]
        self.shared = (None, 0)
        shared = []
        if said.get("shares"):
            other, length = said["shares"]
            self.shared = (other, length)
            shared = logs[other].blocks[:length]
        self.blocks = []
        self.batches = []
        self.parked = None
        self.decode(shared, said["blocks"], history)

    def prefix(self, logs, length):
        """The log that first has this prefix: equal prefixes have equal names."""
        other, shared = self.shared
        if other is None or length > shared:
            return self.number
        return logs[other].prefix(logs, length)

    def decode(self, shared, said, history):
        limits = history["limits"]
        stamp, last_open, auth_ops, named = (-1, -1), None, 0, {}
        every = [block.said for block in shared] + said
        for position, text in enumerate(every):
            block = Block()
            block.id = shared[position].id if position < len(shared) else None
            block.log, block.writer, block.position = self.number, self.writer, position
            block.said, block.batch, block.kind = text, None, text.get("kind", "data")
            block.state, block.counts = FLAWS.get(text.get("flaw"), ("valid", True))
            block.reason = text.get("flaw", "")
            block.ops = text.get("ops", []) if block.kind in ("data", "auth") else []
            block.deps = text.get("deps", []) if block.counts else []
            block.cite = tuple(text["cite"])
            hlc = tuple(text["hlc"])
            block.tie = (hlc, history["keys"][self.writer], position)
            # S7: not above every earlier stamp of the log is invalid, and counts.
            if block.counts:
                if hlc <= stamp and block.reason not in UNKNOWN:
                    block.state, block.reason = "invalid", "stamp"
                stamp = max(stamp, hlc)
                if len(block.deps) > limits["deps"] and block.state == "valid":
                    block.state = "invalid"
            if block.state == "valid":
                block.state, block.reason = op_state(block, history)
            if block.state == "valid" and not any(self.fits(block, last_open, limits)):
                block.state = "invalid"  # out of number
            if block.state == "valid" and block.kind == "auth":
                if auth_ops + len(block.ops) > limits["auth_ops_per_writer"]:
                    block.state, block.reason = "invalid", "auth ops"
                else:
                    auth_ops += len(block.ops)
            # 6.2: what this block and the earlier ones of its log name, by writer.
            for dep in block.deps:
                writer = history["logs"][dep[0]]["writer"]
                named = {**named, writer: max(named.get(writer, 0), dep[1])}
            block.named = {**named, self.writer: position}
            self.blocks.append(block)
            last_open = self.place(block, last_open, limits)
        for batch in self.batches:
            judge_batch(batch, limits)

    def fits(self, block, open_batch, limits):
        """D8: whether it goes on with the open batch; whether it is the first of one."""
        index, count = block.said.get("batch", (0, 1))
        fits = block.counts and 0 <= index < count <= limits["batch_blocks"]
        return (fits and open_batch is not None and index == len(open_batch.blocks)
                and count == open_batch.blocks[0].said.get("batch", (0, 1))[1],
                fits and index == 0)

    def place(self, block, open_batch, limits):
        """D8: puts the block into its batch; returns the batch that is open then."""
        if self.parked is not None:
            block.state = "parked"
            return None
        goes_on, starts = self.fits(block, open_batch, limits)
        # What is unknown in a payload is not asked of a block out of number.
        if block.state == "parked" and (block.reason in UNKNOWN or goes_on or starts):
            self.parked = block.position
            if open_batch:
                open_batch.state = "parked"
                open_batch.decided = block.position + 1
            return None
        if not goes_on:
            if open_batch:
                open_batch.state, open_batch.reason = "invalid", "broken"
                open_batch.decided = block.position + 1
            open_batch = None
            if not starts:
                block.state = "invalid"
                return None
            open_batch = Batch()
            self.batches.append(open_batch)
        open_batch.blocks.append(block)
        block.batch = open_batch
        index, count = block.said.get("batch", (0, 1))
        if index + 1 < count:
            return open_batch
        open_batch.whole = True
        open_batch.decided = block.position + 1
        return None


def op_state(block, history):
    """S5, S7: what the ops themselves may not be. The roles are 6.1's."""
    if block.kind == "incarnation":
        sound = (block.position == 0 and block.said.get("batch", (0, 1))[1] == 1
                 and block.said.get("certificate", "good") == "good")
        return ("valid", "") if sound else ("invalid", "certificate")
    for op in block.ops:
        if op["t"] == "grant" and not 0 <= op["role"] <= 4:
            return "invalid", "role"
        if op["t"] == "invite" and not 0 <= op["role"] <= 2:
            return "invalid", "role"
    if block.kind in ("data", "auth") and not block.ops:
        return "invalid", "no ops"
    return "valid", ""


def judge_batch(batch, limits):
    if batch.state != "valid" or not batch.whole:
        return
    if any(block.state != "valid" for block in batch.blocks):
        batch.state, batch.reason = "invalid", "a block"
    elif len({block.cite for block in batch.blocks}) > 1:
        batch.state, batch.reason = "invalid", "cites"
    elif sum(len(block.ops) for block in batch.blocks) > limits["batch_ops"]:
        batch.state, batch.reason = "invalid", "ops"


class Causal:
    """The causal set that a replica holds, with the fork proofs it knows.

    `held`: how many blocks of each log; `proofs`: the smallest f proven, by writer.
    """

    def __init__(self, history, held, proofs):
        self.history = history
        self.proofs = proofs
        self.logs = []
        for number, said in enumerate(history["logs"]):
            self.logs.append(Log(number, said, history, self.logs))
        self.of_writer = {}
        for log in self.logs:
            self.of_writer.setdefault(log.writer, []).append(log)
        self.held = [0] * len(self.logs)
        for log in reversed(self.logs):
            self.held[log.number] = max(self.held[log.number], held[log.number])
            other, shared = log.shared
            if other is not None:
                self.held[other] = max(self.held[other],
                                       min(shared, self.held[log.number]))
        self.complete = self.complete_lengths()
        # What survives of each writer: (log, length). Forked writers get theirs by F2.
        self.surviving = {}
        for writer, logs in self.of_writer.items():
            if writer not in proofs:
                best = max(logs, key=lambda log: self.complete[log.number])
                self.surviving[writer] = (best, self.complete[best.number])

    def has_prefix(self, log, length):
        """This very prefix is held and causally complete."""
        return self.complete[self.logs[log].prefix(self.logs, length)] >= length

    def complete_lengths(self):
        """C1, C4: contiguous, and all that is depended on is complete too."""
        self.complete = [0] * len(self.logs)
        changed = True
        while changed:
            changed = False
            for log in self.logs:
                length = self.complete[log.number]
                other, shared = log.shared
                if other is not None and length < shared:
                    length = min(shared, self.complete[other], self.held[log.number])
                    if length < shared:
                        continue
                while (length < self.held[log.number]
                       and all(map(self.satisfied, log.blocks[length].deps))):
                    length += 1
                if length > self.complete[log.number]:
                    self.complete[log.number] = length
                    changed = True
        return self.complete

    def satisfied(self, dep):
        """C2 and F3: a dep on what is held and matches, or beyond a proven fork."""
        log, length = dep[0], dep[1]
        fork = self.proofs.get(self.logs[log].writer)
        if fork is not None and length > fork:
            return any(self.has_prefix(other.number, fork)
                       for other in self.of_writer[self.logs[log].writer]
                       if len(other.blocks) >= fork)
        return len(dep) == 2 and self.has_prefix(log, length)

    # --- what survives ---

    def survive(self, writer, names):
        """F2: `names` are (path of the cite, length, hash, log), any order."""
        fork = self.proofs[writer]
        counted = None
        for _, minus_length, _, log in sorted(
                (path, -length, tree_hash, log) for path, length, tree_hash, log in names):
            length = -minus_length
            if log is None or not self.has_prefix(log, length):
                continue
            if counted is None or self.contains(log, length, *counted):
                counted = (log, length)
        if counted is None:
            log = max(self.of_writer[writer],
                      key=lambda log: min(fork, self.complete[log.number]))
            counted = (log.number, min(fork, self.complete[log.number]))
        self.surviving[writer] = (self.logs[counted[0]], counted[1])

    def contains(self, log, length, inner_log, inner_length):
        """The first prefix contains the second."""
        return (inner_length <= length
                and self.logs[log].prefix(self.logs, inner_length)
                == self.logs[inner_log].prefix(self.logs, inner_length))

    def fork_cut(self, writer):
        if writer not in self.proofs:
            return float("inf")
        return max(self.surviving[writer][1], self.proofs[writer])

    def hash_at(self, writer, length):
        """The tree hash of the surviving prefix; None where there is none."""
        log, survives = self.surviving[writer]
        return log.hashes[length - 1] if 0 < length <= survives else None

    def block(self, writer, position):
        """The block on the surviving branch, or None."""
        log, length = self.surviving.get(writer, (None, 0))
        return log.blocks[position] if position < length else None

    def batches(self, writer):
        """The batches below what survives that are whole there."""
        log, length = self.surviving.get(writer, (None, 0))
        if log is None:
            return []
        return [batch for batch in log.batches
                if batch.whole and batch.end <= length and batch.state == "valid"]

    # --- happens-before (C3, F3b) ---

    def order(self):
        """The pasts of all surviving blocks, as sets in the bits of a number; and the
        blocks in an order of happens-before."""
        blocks = {}
        for writer, (log, length) in sorted(self.surviving.items()):
            for block in log.blocks[:length]:
                block.id = len(blocks)
                blocks[writer, block.position] = block
        edges = {}
        for (writer, position), block in blocks.items():
            edges[block.id] = [self.edge(dep) for dep in block.deps]
            if position > 0:
                edges[block.id].append((writer, position, False))
        self.demote_cycles(blocks, edges)
        self.past = {}
        self.sequence = []
        self.walk(blocks, edges)

    def edge(self, dep):
        """F3b: (writer, length, stands only by the second clause)."""
        log, length = self.logs[dep[0]], dep[1]
        fork = self.proofs.get(log.writer)
        if fork is None or length <= fork:
            return log.writer, length, False
        survives, survives_length = self.surviving[log.writer]
        if (len(dep) == 2 and length <= survives_length
                and log.hashes[length - 1] == survives.hashes[length - 1]):
            return log.writer, length, True
        return log.writer, fork, False

    def demote_cycles(self, blocks, edges):
        """F3b: edges that stand only by the second clause, of the blocks on a cycle."""
        if not any(edge[2] for out in edges.values() for edge in out):
            return
        reach = {n: {blocks[w, length - 1].id for w, length, _ in out if length > 0}
                 for n, out in edges.items()}
        changed = True
        while changed:
            changed = False
            for n, seen in reach.items():
                more = set().union(seen, *(reach[m] for m in seen))
                if len(more) > len(seen):
                    reach[n] = more
                    changed = True
        for n, out in edges.items():
            if n in reach[n]:
                edges[n] = [(w, self.proofs[w], False) if second else (w, length, False)
                            for w, length, second in out]

    def walk(self, blocks, edges):
        done = self.past
        for block in blocks.values():
            stack = [block]
            while stack:
                top = stack[-1]
                if top.id in done:
                    stack.pop()
                    continue
                below = [blocks[w, length - 1] for w, length, _ in edges[top.id]
                         if length > 0]
                missing = [b for b in below if b.id not in done]
                if missing:
                    stack.extend(missing)
                    continue
                past = 0
                for b in below:
                    past |= done[b.id] | 1 << b.id
                done[top.id] = past
                self.sequence.append(top)
                stack.pop()

    def before(self, a, b):
        """Block `a` lies in the past of block `b`."""
        return self.past[b.id] >> a.id & 1 == 1
