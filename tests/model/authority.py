"""Who may do what: part 6 of the semantics, and the names of F2, as one pass over a heap.

Part of the executable specification: see causal.py.
"""

import heapq

from causal import GENESIS

READER, MODERATED, WRITER, MODERATOR, ADMIN, FOUNDER = range(6)
FOREVER = float("inf")
MODERATION = ("accept", "reject", "hide", "unhide")


class Grant:
    """A capability (6.2): from the genesis, from a grant op, or from a redemption (P8)."""

    def __init__(self, key, holder, role, scope, delegate, forks, path, above, op):
        self.key = key          # op id; of a redemption's: ("redeemed", invite, identity)
        self.holder = holder    # identity
        self.role = role
        self.scope = scope
        self.delegate = delegate
        self.forks = forks
        self.path = path
        self.above = above      # keys of all grants and invites above, for `subtree`
        self.op = op            # (block, index); None for the genesis
        self.revocations = []   # effective ones, once popped
        self.counting = []      # incarnations that count for it (S2)
        self.cuts = {}          # writer -> the smallest kept length

    redeemed = property(lambda self: self.key[0] == "redeemed")


class Revocation:
    def __init__(self, path, kept, subtree, resigned=False):
        self.path = path
        self.kept = kept
        self.subtree = subtree
        self.resigned = resigned  # by the holder

    def keeps(self, writer):
        return self.kept.get(writer, 0)


class Authority:
    """The evaluation of 6.4 over a causal set."""

    def __init__(self, causal):
        self.causal = causal
        self.history = causal.history
        self.limits = self.history["limits"]
        self.incarnations = self.find_incarnations()
        self.grants = {}        # key -> Grant, effective
        self.invites = {}       # op id -> Grant, effective; the holder is None
        self.revokes = []       # (batch, its grant, block, op)
        self.resignations = {}  # key -> [Revocation], as what is below sees them
        self.admits = []        # (writer, a, b, hash, path)
        self.verdicts = []      # (batch block, index, op, grant)
        self.redeems = []       # (block, index, op, batch, citing grant)
        self.redeemed = []      # (block, index, grant key), effective
        self.passed = []        # (batch, grant), in order of the pass
        self.verdict = {}       # (writer, start of batch) -> "passes" or a reason
        self.heap = []
        self.popped = 0
        self.sound = {}
        self.evaluated = set()
        self.run()

    # --- identities (S2) ---

    def find_incarnations(self):
        """identity -> its writers in the order of (n, core key)."""
        found = {}
        for writer, said in enumerate(self.history["writers"]):
            if said["number"] > 0:
                log = self.causal.of_writer.get(writer, [None])[0]
                # Of a log that forks at block 0 the proof shows that block (F1).
                if (log is None or not log.blocks
                        or not (self.causal.has_prefix(log.number, 1)
                                or self.causal.proofs.get(writer) == 0)
                        or log.blocks[0].kind != "incarnation"
                        or log.blocks[0].state != "valid"):
                    continue
            found.setdefault(said["identity"], []).append(writer)
        for writers in found.values():
            writers.sort(key=self.incarnation_order)
        return found

    def incarnation_order(self, writer):
        return self.history["writers"][writer]["number"], self.history["keys"][writer]

    def holder(self, writer):
        identity = self.history["writers"][writer]["identity"]
        return identity if writer in self.incarnations.get(identity, []) else None

    # --- the pass (6.4) ---

    def run(self):
        for index, identity in enumerate(self.history["founders"]):
            self.push(Grant((GENESIS, 0, index), identity, FOUNDER, "", True, 0,
                            (index,), (), None))
        self.empty_heap()
        # F2: writers whose holder has no grant but by redemption, or none at all.
        for identity in sorted(self.incarnations):
            self.evaluate_forks(self.incarnations[identity])
        self.evaluate_forks(self.causal.of_writer)
        self.causal.order()
        self.decide_redemptions()
        self.judge_the_rest()

    def push(self, grant):
        self.grants[grant.key] = grant
        heapq.heappush(self.heap, (grant.path, len(self.grants), grant))

    def empty_heap(self):
        while self.heap:
            _, _, grant = heapq.heappop(self.heap)
            self.evaluate_forks(self.incarnations.get(grant.holder, []))
            self.pop(grant)

    def evaluate_forks(self, writers):
        """F2, once for each forked writer."""
        for writer in writers:
            if writer not in self.causal.proofs or writer in self.evaluated:
                continue
            self.evaluated.add(writer)
            fork = self.causal.proofs[writer]
            names = []
            for batch, grant in self.passed:
                if grant.role < ADMIN:
                    continue
                for block in batch.blocks:
                    if block.kind == "incarnation":
                        continue  # whatever grant it cites plays no part (S2)
                    for dep in block.deps:
                        log, length = self.causal.logs[dep[0]], dep[1]
                        if log.writer == writer and length > fork:
                            wrong = len(dep) > 2
                            names.append((grant.path, length,
                                          b"" if wrong else log.hashes[length - 1],
                                          None if wrong else log.number))
            self.causal.survive(writer, names)

    def pop(self, grant):
        # S7: so many grants at most, the most senior ones; see also redeems_now.
        if not grant.redeemed:
            if self.popped == self.limits["members"]:
                del self.grants[grant.key]
                return
            self.popped += 1
        grant.revocations = self.hitting(grant)
        self.find_resignations(grant)
        late = self.late(grant)
        for writer in grant.counting:
            for batch in self.causal.batches(writer):
                if self.target(batch.cite) == grant.key:
                    self.judge(batch, grant, late)

    def hitting(self, grant):
        """P2, P5: the effective revocations of a grant or invite by others: its own, and
        those with `subtree` of what is above it."""
        if grant.key == (GENESIS, 0, 0):
            return []
        return [r for r in self.revocations_of(grant.key)
                if not r.resigned and r.path < grant.path] + [
            r for key in grant.above for r in self.revocations_of(key)
            if r.subtree and (r.resigned or r.path < self.path_of(key))]

    def revocations_of(self, key):
        """Of one grant, senior or not. Keep lists of one batch are joined."""
        joined = {}
        for batch, by, block, op in self.revokes:
            of = tuple(op["of"])
            if by.key != key and self.target(of) == key and self.names(
                    block, of, self.reach):
                found = joined.setdefault(id(batch), Revocation(by.path, {}, False))
                found.subtree |= op["subtree"]
                for writer, length in op["keep"]:
                    found.kept[writer] = min(length, found.kept.get(writer, FOREVER))
        return [*joined.values(), *self.resignations.get(key, [])]

    def path_of(self, key):
        return (self.grants.get(key) or self.invites[key]).path

    def find_resignations(self, grant):
        """P2, S2: resignations first, in the order of incarnations, and with them which
        incarnations count: at most 64."""
        for writer in self.incarnations.get(grant.holder, []):
            if (not self.complete_first_block(writer) or len(grant.counting) == 64
                    or any(r.keeps(writer) == 0 for r in grant.revocations)):
                continue
            grant.counting.append(writer)
            if grant.key == (GENESIS, 0, 0):
                continue
            for batch in self.causal.batches(writer):
                if (self.target(batch.cite) == grant.key
                        and self.passes(batch, grant) == "passes"):
                    if self.resigns(batch, grant):
                        kept = {w: FOREVER for w in self.incarnations[grant.holder]
                                if self.incarnation_order(w)
                                < self.incarnation_order(writer)}
                        kept[writer] = batch.end
                        grant.revocations.append(Revocation(grant.path, kept, False))
                        # What is below it keeps nothing: the keep list is ignored.
                        self.resignations.setdefault(grant.key, []).append(Revocation(
                            grant.path, {}, self.wants_subtree(batch, grant), True))
                        break

    def complete_first_block(self, writer):
        return self.causal.block(writer, 0) is not None

    def resigns(self, batch, grant):
        return any(self.is_resignation(block, op, grant) for block, _, op in batch.ops())

    def is_resignation(self, block, op, grant):
        """P2: a revoke of the cited grant. The redemption that it calls is named too."""
        return (op["t"] == "revoke" and self.target(tuple(op["of"])) == grant.key
                and self.names(block, tuple(op["of"]), self.reach))

    def wants_subtree(self, batch, grant):
        return any(op.get("subtree") and self.is_resignation(block, op, grant)
                   for block, _, op in batch.ops())

    def late(self, grant):
        """S2: (writer, position) -> whether a rank-creating op there is late."""
        numbers = [self.history["writers"][w]["number"] for w in grant.counting]
        beyond = {}
        for later in grant.counting:
            prev = self.history["writers"][later].get("prev")
            if prev:
                core = self.history["logs"][prev[0]]["writer"]
                if core in grant.counting and (self.incarnation_order(core)
                                               < self.incarnation_order(later)):
                    beyond[core] = min(beyond.get(core, FOREVER), prev[1])

        def is_late(writer, position):
            number = self.history["writers"][writer]["number"]
            return (position >= beyond.get(writer, FOREVER)
                    or number >= 1 and numbers.count(number) > 1)
        return is_late

    # --- one batch ---

    def target(self, op_id):
        """The key of the grant that an op id names: redemptions are one an identity."""
        if op_id[0] == GENESIS:
            return op_id
        op = self.op_at(op_id)
        if (op is not None and op["t"] == "redeem" and op["good"]
                and self.is_redemption(self.causal.block(op_id[0], op_id[1]), op)):
            return ("redeemed", tuple(op["of"]), op["who"])
        return op_id

    def is_redemption(self, block, op):
        """P8: one that can never have effect is none."""
        return self.names(block, tuple(op["of"]), self.reach) and self.is_sound(block.batch)

    def is_sound(self, batch):
        """Nothing that the batch says itself keeps it from ever having effect."""
        known = self.sound.get(id(batch))
        if known is None:
            self.sound[id(batch)] = False  # of a cite that leads back to itself
            known = self.flaw(batch)[0] is None
            if self.causal.proofs.keys() <= self.evaluated:
                self.sound[id(batch)] = known
            else:
                del self.sound[id(batch)]  # forks may still change what is cited
        return known

    def flaw(self, batch):
        """(What in the batch itself denies it effect, or None; the grant as it is said)"""
        key = self.target(batch.cite)
        said = self.grants.get(key) or self.as_said(key)
        if said is None:
            return "no grant", said
        if said.holder != self.holder(batch.blocks[0].writer):
            return "not the holder", said
        if not all(self.names(block, batch.cite) for block in batch.blocks):
            return "not named", said
        if not all(self.may(op, said, block) for block, _, op in batch.ops()):
            return "role or scope", said
        return None, said

    def op_at(self, op_id):
        """6.2: an op id means the op on the surviving branch."""
        block = self.causal.block(op_id[0], op_id[1])
        if block is None or block.state != "valid" or op_id[2] >= len(block.ops):
            return None
        if block.batch is None or block.batch.state != "valid" or not block.batch.whole:
            return None
        return block.ops[op_id[2]]

    def names(self, block, key, reach=None):
        """6.2: the block names this grant, invite or redemption, to the end of its batch."""
        if key[0] == GENESIS:
            return True
        at = self.causal.block(key[0], key[1])
        length = reach(block, key[0]) if reach else block.named.get(key[0], 0)
        return (at is not None and at.batch is not None and at.batch.whole
                and length >= at.batch.end)

    def reach(self, block, writer):
        """What an op of the block names; of its own log, with all of its own batch."""
        return block.batch.end if writer == block.writer else block.named.get(writer, 0)

    def passes(self, batch, grant):
        """6.4's needs, of the batch as one: "passes", or why not."""
        for block in batch.blocks:
            if not self.names(block, batch.cite):
                return "not named"
        for block, _, op in batch.ops():
            if not self.may(op, grant, block):
                return "role or scope"
        hitting = [r for r in grant.revocations
                   if r.keeps(batch.blocks[0].writer) < batch.end]
        if hitting and not self.admitted(batch, grant, hitting):
            return "revoked"
        return "passes"

    def may(self, op, grant, block):
        """6.1, P2: the cited grant allows this op."""
        kind = op["t"]
        if block.kind == "data":
            return grant.role >= MODERATED and op["key"].startswith(grant.scope)
        if kind == "redeem" or self.is_resignation(block, op, grant):
            return True
        if kind in MODERATION:
            return grant.role >= MODERATOR
        if grant.role < ADMIN:
            return False
        if kind in ("grant", "invite"):
            # One step each, and for an invite one more: the redemption's.
            depth = len(grant.path) + (1 if kind == "invite" else 0)
            return (op["role"] <= grant.role and op["scope"].startswith(grant.scope)
                    and (op["role"] < MODERATOR or grant.delegate)
                    and depth <= self.limits["delegation_depth"])
        return True

    def admitted(self, batch, grant, hitting):
        """P4."""
        writer = batch.blocks[0].writer
        return any(who == writer and a <= batch.start and batch.end <= b
                   and tree_hash == self.causal.hash_at(writer, b)
                   and path < grant.path and all(path <= r.path for r in hitting)
                   for who, a, b, tree_hash, path in self.admits)

    def judge(self, batch, grant, late):
        verdict = self.passes(batch, grant)
        self.verdict[batch.blocks[0].writer, batch.start] = verdict
        if verdict != "passes":
            return
        self.passed.append((batch, grant))
        for block, index, op in batch.ops():
            if block.kind != "auth":
                continue
            kind = op["t"]
            if kind in ("grant", "invite"):
                self.create(block, index, op, grant, late)
            elif kind == "revoke":
                self.revokes.append((batch, grant, block, op))
            elif kind == "redeem":
                self.redeems.append((block, index, op, batch, grant))
            elif kind == "admit":
                if self.reach(block, op["who"]) >= op["b"]:
                    self.admits.append((op["who"], op["a"], op["b"],
                                        self.said_hash(op), grant.path))
            else:
                self.verdicts.append((block, index, op, grant))

    def said_hash(self, op):
        log, length = op["hash"][:2]
        return None if len(op["hash"]) > 2 else (
            self.causal.logs[log].hashes[length - 1])

    def create(self, block, index, op, grant, late):
        """P1: the path of what an op creates."""
        key = (block.writer, block.position, index)
        number, core = self.incarnation_order(block.writer)
        step = (int(late(block.writer, block.position)), number, core, block.position,
                index)
        above = (grant.key, *grant.above)
        made = Grant(key, op.get("to"), op["role"], op["scope"],
                     op.get("delegate", False), op.get("forks", 0),
                     (*grant.path, step), above, (block, index))
        if op["t"] == "grant":
            self.push(made)
        else:
            made.uses = op["uses"]
            self.invites[key] = made

    # --- invites (P8) ---

    def decide_redemptions(self):
        for block in self.causal.sequence:
            for index, op in enumerate(block.ops):
                if op["t"] != "redeem" or not op["good"]:
                    continue
                kept = [r for r in self.redeems if r[0] is block and r[1] == index]
                if kept and self.redeems_now(block, op, *kept[0][3:]):
                    key = ("redeemed", tuple(op["of"]), op["who"])
                    self.redeemed.append((block, index, key))
                    if key not in self.grants:
                        invite = self.invites[key[1]]
                        identity_key = self.history["identity_keys"][op["who"]]
                        self.push(Grant(
                            key, op["who"], invite.role, invite.scope, False, 0,
                            (*invite.path, (identity_key,)),
                            (invite.key, *invite.above), (block, index)))
                        self.empty_heap()

    def in_past(self, earlier, later):
        """P8: its whole batch, or before it in the same batch."""
        if earlier.batch is later.batch:
            return earlier.position < later.position
        return self.causal.before(earlier.batch.blocks[-1], later)

    def redeems_now(self, block, op, batch, grant):
        invite = self.invites.get(tuple(op["of"]))
        if grant.redeemed and not any(
                key == grant.key and self.in_past(b, block)
                for b, _, key in self.redeemed):
            return False
        if invite is None or not self.names(block, invite.key, self.reach):
            return False
        # Of a revoked invite those redemptions stay whose batches are kept.
        if any(r.keeps(block.writer) < batch.end for r in self.hitting(invite)):
            return False
        made = ("redeemed", invite.key, op["who"])
        others = {key for b, _, key in self.redeemed
                  if key != made and (self.in_past(b, block) or b is block)}
        return (sum(key[1] == invite.key for key in others) < invite.uses
                and self.popped + len(others) < self.limits["members"])

    # --- what no popped grant judged ---

    def judge_the_rest(self):
        for writer in self.causal.surviving:
            for batch in self.causal.batches(writer):
                self.judged(batch.blocks[0])

    def why_not(self, batch):
        """Of a batch whose cited grant never came to judge it. What it says itself comes
        first: then a cut, or (P5) that its grant is void because of one."""
        flaw, said = self.flaw(batch)
        if flaw is not None:
            return flaw
        if said.key in self.grants:
            return "revoked"  # an incarnation that does not count
        sources = [batch.cite]
        if said.redeemed:
            sources.append(said.key[1])
            invite = self.invites.get(said.key[1])
            hits = self.hitting(invite) if invite else []
            if invite and any(
                    op["t"] == "redeem" and said.key == self.target((b.writer, b.position, n))
                    and all(r.keeps(b.writer) >= by.end for r in hits)
                    for by, _ in self.passed for b, n, op in by.ops()):
                return "no grant"  # it was kept, and the invite used up
            if hits:
                return "revoked"
        return "revoked" if any(self.judged(self.causal.block(*op_id[:2]).batch.blocks[0])
                                == "revoked" for op_id in sources) else "no grant"

    def as_said(self, key):
        """A grant that is not effective, by what its op says."""
        if key[0] == GENESIS or len(key) > 3:
            return None
        op_id = key[1] if key[0] == "redeemed" else key
        op = self.op_at(op_id)
        if (op is None or op["t"] not in ("grant", "invite")
                or not self.is_sound(self.causal.block(*op_id[:2]).batch)):
            return None
        cite = self.target(self.causal.block(op_id[0], op_id[1]).cite)
        above = self.grants.get(cite) or cite != key and self.as_said(cite)
        if not above:
            return None
        return Grant(key, key[2] if key[0] == "redeemed" else op.get("to"), op["role"],
                     op["scope"], op.get("delegate", False), 0,
                     (*above.path, None, None)[:len(above.path) + 1
                                               + (key[0] == "redeemed")], (), None)

    def judged(self, first):
        """The verdict on the batch that begins with this block, found if need be."""
        at = first.writer, first.position
        if at not in self.verdict and first.batch.state == "valid":
            self.verdict[at] = "no grant"  # whoever cites himself finds this
            self.verdict[at] = self.why_not(first.batch)
        return self.verdict.get(at)

    # --- moderation (6.6, F5) ---

    def moderated(self, grant):
        logs = self.incarnations.get(grant.holder, [])
        return grant.role == MODERATED or grant.key[0] != GENESIS and (
            sum(w in self.causal.proofs for w in logs) >= grant.forks + 3)

    def decide(self, kinds, grant, hits):
        """The deciding verdict: the senior-most cite, then the greatest op."""
        best = None
        for block, index, op, by in self.verdicts:
            if op["t"] not in kinds or not by.path < grant.path or not hits(block, op):
                continue
            rank = (*self.incarnation_order(block.writer), block.position, index)
            if (best is None or by.path < best[0]
                    or by.path == best[0] and rank > best[1]):
                best = (by.path, rank, op["t"], (block.writer, block.position, index))
        return best and best[2:]

    def accepted(self, batch, grant):
        """None, or ("accept" or "reject", op id)."""
        writer = batch.blocks[0].writer
        return self.decide(
            ("accept", "reject"), grant,
            lambda block, op: (
                op["who"] == writer and op["a"] <= batch.start and batch.end <= op["b"]
                and self.reach(block, writer) >= op["b"]
                and self.said_hash(op) is not None
                and self.said_hash(op) == self.causal.hash_at(writer, op["b"])))

    def hidden(self, block, index, grant):
        """The op id of the hide that hides this op, or None."""
        writer, position = block.writer, block.position

        def hits(by, op):
            named = self.reach(by, writer)
            if "ops" in op:
                return named > position and [writer, position, index] in op["ops"]
            return (op["who"] == writer and op["a"] <= position < op["b"] <= named
                    and block.ops[index]["key"].startswith(op["prefix"]))
        decided = self.decide(("hide", "unhide"), grant, hits)
        return decided[1] if decided and decided[0] == "hide" else None
