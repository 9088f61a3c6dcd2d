"""The view, the version and the fate of every op: what a replica that holds a causal set
must show (rules C1, D8, D10). See causal.py, authority.py, lanes.py.
"""

from authority import FOREVER, MODERATED, Authority
from causal import Causal
import lanes


class Model:
    """The specification's answer for one history, of which so much is held."""

    def __init__(self, history, held, proofs):
        self.history = history
        self.causal = Causal(history, held, proofs)
        self.authority = Authority(self.causal)
        self.effective = {}   # (writer, start of batch) -> grant
        self.stopped = {}     # op id -> (fate, by), of ops without effect
        self.find_effective()
        self.by_key = {}
        for op in self.effective_ops():
            self.by_key.setdefault(op.said["key"], []).append(op)
        self.seen = {key: lanes.read(ops, self.saw) for key, ops in self.by_key.items()}
        self.settled = self.settled_lengths()

    def saw(self, later, earlier):
        if later.block is earlier.block:
            return earlier.index < later.index
        return self.causal.before(earlier.block, later.block)

    # --- effect (D8, 6.6) ---

    def find_effective(self):
        for batch, grant in self.authority.passed:
            writer = batch.blocks[0].writer
            data = any(block.kind == "data" for block in batch.blocks)
            if data and self.authority.moderated(grant):
                decided = self.authority.accepted(batch, grant)
                if decided is None or decided[0] == "reject":
                    fate = ("rejected", [decided[1]]) if decided else ("pending", [])
                    for block, index, _ in batch.ops():
                        self.stopped[writer, block.position, index] = fate
                    continue
            self.effective[writer, batch.start] = grant

    def effective_ops(self):
        for batch, grant in self.authority.passed:
            if (batch.blocks[0].writer, batch.start) not in self.effective:
                continue
            for block, index, _ in batch.ops():
                if block.kind != "data":
                    continue
                by = self.authority.hidden(block, index, grant)
                if by is None:
                    yield lanes.Op(block, index)
                else:
                    self.stopped[block.writer, block.position, index] = ("hidden", [by])

    # --- the version (C1) ---

    def settled_lengths(self):
        causal = self.causal
        settled = {}
        for writer, (_, complete) in causal.surviving.items():
            settled[writer] = (complete if writer in causal.proofs
                               else min(complete, self.own_settled(writer)))
        changed = True
        while changed:
            changed = False
            for writer, (log, _) in causal.surviving.items():
                for block in log.blocks[:settled[writer]]:
                    for dep in block.deps:
                        other = causal.logs[dep[0]].writer
                        if other not in causal.proofs and settled[other] < dep[1]:
                            settled[other] = dep[1]
                            changed = True
        return settled

    def own_settled(self, writer):
        holder = self.authority.holder(writer)
        cuts = [min((r.keeps(writer) for r in grant.revocations), default=FOREVER)
                for grant in self.authority.grants.values()
                if grant.holder == holder and holder is not None]
        return max(cuts, default=0)

    def version(self):
        """Writers with their settled lengths, proven forks of members, parked positions."""
        members = {grant.holder for grant in self.authority.grants.values()}
        writers = sorted((w, n) for w, n in self.settled.items() if n > 0)
        forked = sorted((w, f) for w, f in self.causal.proofs.items()
                        if self.authority.holder(w) in members)
        parked = sorted((w, self.causal.surviving[w][0].parked) for w, n in writers
                        if self.causal.surviving[w][0].parked is not None
                        and self.causal.surviving[w][0].parked < n)
        return {"writers": writers, "forked": forked, "parked": parked}

    # --- fates (D10) ---

    def fate(self, op_id):
        """(kind, by); by is None where the rules name nobody."""
        writer, position, index = op_id
        if writer not in self.causal.surviving:
            return "unknown", None
        log, length = self.causal.surviving[writer]
        forked = writer in self.causal.proofs
        if forked and position >= self.causal.fork_cut(writer):
            return "after fork", None
        if position >= length:
            return "waiting", None
        block = log.blocks[position]
        batch = block.batch
        if log.parked is not None and position >= log.parked:
            return "parked", None
        if batch is None:
            return "invalid", None
        # C1, D8: of a log that is not followed to its end only what is settled speaks.
        if not self.is_member(writer) and position < self.settled[writer]:
            told = forked and (writer, self.causal.proofs[writer]) in self.version()["forked"]
            limit = self.causal.fork_cut(writer) if told else self.own_settled(writer)
            if batch.start < limit < batch.start + batch.blocks[0].said.get(
                    "batch", (0, 1))[1]:
                return ("after fork" if forked else "quarantined"), None
            if batch.decided > self.settled[writer]:
                return "waiting", None
        if batch.decided > length:
            cut = length >= self.causal.fork_cut(writer)
            return ("after fork" if cut else "waiting"), None
        if batch.state != "valid":
            return batch.state, None
        verdict = self.authority.verdict[writer, batch.start]
        if verdict == "revoked":
            return "quarantined", None
        if verdict != "passes":
            return "not allowed", None
        if op_id in self.stopped:
            return self.stopped[op_id]
        if index >= len(block.ops):
            return "unknown", None  # of an ack
        if block.ops[index]["t"] == "redeem" and not any(
                b is block and n == index for b, n, _ in self.authority.redeemed):
            return "not allowed", None
        if block.kind != "data":
            return "winner", []
        key = block.ops[index]["key"]
        me = next(op for op in self.by_key[key] if op.id == op_id)
        return lanes.fate(me, self.by_key[key], self.seen[key], self.saw)

    def is_member(self, writer):
        """Its holder has an effective grant that is not revoked, and it never forked."""
        return writer not in self.causal.proofs and self.own_settled(writer) == FOREVER
