"""Random histories of one base, most of them with somebody who cheats.

A history is a plain dictionary that JSON can hold:

people      which of the engine's fixed identities take part: identity n of this history
founders    identities, in order of the genesis
writers     {identity, number, core, prev}: incarnation `number` of an identity; of a
            later one the core and the prefix [log, length] that its certificate names
logs        {writer, shares, blocks}: the blocks of a branch; `shares`: [log, length]
            that it begins with
proofs      writer -> the smallest fork point proven
limits      those that the genesis lowers

A block is {kind, hlc, cite, deps, batch, ops, flaw}; a dep is [log, length] or, with a hash
that is nobody's, [log, length, "wrong"]; op ids are [writer, position, index], with writer
-1 for a grant of the genesis. Ops are shown by encode.py, which writes them.
"""

import random

READER, MODERATED, WRITER, MODERATOR, ADMIN = range(5)
GENESIS = -1

# What the engine under test has; the runner switches more of it on as it lands.
EVERYTHING = ("revocation", "moderation", "invites", "incarnations", "forks", "lanes",
              "text")


class Person:
    """One writer as the generator sees him: a log and what it names."""

    def __init__(self, log, writer, identity):
        self.log = log
        self.writer = writer
        self.identity = identity
        self.named = {}   # log -> length
        self.hlc = [1000, 0]
        self.open_batch = None


class Generator:
    def __init__(self, seed, features=(), steps=None):
        self.random = random.Random(seed)
        # Few histories have all there is: too much beside each other is no test of any.
        rare = {"lanes": 30, "text": 15, "incarnations": 50, "invites": 70}
        self.features = [f for f in features if f not in rare or len(features) == 1
                         or self.chance(rare[f])]
        limits = {}
        if self.chance(3):
            limits["delegation_depth"] = self.random.randint(1, 3)
        if self.chance(3):
            limits["auth_ops_per_writer"] = self.random.randint(3, 6)
        if "revocation" in self.features and self.chance(4):
            limits["members"] = self.random.randint(3, 6)
        self.history = {"seed": seed, "people": [], "founders": [], "writers": [],
                        "logs": [], "proofs": {}, "limits": limits}
        self.people = []
        self.grants = []  # {id, to, role, scope, log, end, delegate, kind}
        self.invites = []
        self.elements = []  # (lane, op id) of inserts
        self.texts = 0
        self.secrets = 0
        self.steps = steps or self.random.randint(*((10, 26) if features else (6, 16)))

    def chance(self, percent):
        return self.random.random() * 100 < percent

    def make(self):
        count = self.random.randint(2, 5)
        self.history["people"] = self.random.sample(range(20), count + 1)
        founders = 2 if self.chance(30) and count > 2 else 1
        for identity in range(count):
            self.add_writer(identity)
        self.add_writer(count)  # somebody without a grant: may be invited, or just write
        for founder in range(founders):
            self.history["founders"].append(founder)
            self.grants.append({"id": [GENESIS, 0, founder], "to": founder, "role": 5,
                                "scope": "", "log": None, "end": 0, "delegate": True})
        self.open_the_base(founders, count)
        for _ in range(self.steps):
            self.step()
        if self.chance(50):
            self.name_incarnations()
        return self.history

    def name_incarnations(self):
        """A log is followed because of its certificate, or because somebody names it: here
        the founder does."""
        deps = []
        named = {self.history["logs"][log]["writer"] for log in self.people[0].named}
        for person in self.people:
            if (self.history["writers"][person.writer]["number"] > 0
                    and person.writer not in named):
                named.add(person.writer)  # of two branches one
                deps.append([person.log, 1])
        if deps:
            self.history["logs"][0]["blocks"].append({
                "kind": "ack", "hlc": self.stamp(self.people[0]),
                "cite": [GENESIS, 0, 0], "deps": deps, "batch": [0, 1], "ops": []})

    def add_writer(self, identity, **later):
        writer = len(self.history["writers"])
        self.history["writers"].append({"identity": identity, "number": 0, **later})
        return self.add_log(writer, identity)

    def add_log(self, writer, identity, shares=None):
        log = len(self.history["logs"])
        self.history["logs"].append({"writer": writer, "shares": shares, "blocks": []})
        person = Person(log, writer, identity)
        self.people.append(person)
        return person

    def length(self, log):
        shares = self.history["logs"][log].get("shares")
        return len(self.history["logs"][log]["blocks"]) + (shares[1] if shares else 0)

    # --- the members ---

    def open_the_base(self, founders, count):
        """The first grants, by founders, so that most people may do something."""
        for identity in range(founders, count):
            if self.chance(88):
                giver = self.people[self.random.randrange(founders)]
                self.act(giver, [self.grant_op(identity, honest=True)],
                         self.grants[giver.identity], honest=True)
        for person in self.people:
            self.meet(person, everything=True)

    def grant_op(self, identity, honest=False, role=None):
        if role is None:
            role = self.random.choices(
                (READER, MODERATED, WRITER, MODERATOR, ADMIN),
                (0.7, 1.5 if "moderation" in self.features else 0.4, 6, 2,
                 5 if "revocation" in self.features else 2))[0]
        scope = "b" if self.chance(12) else ""
        return {"t": "grant", "to": identity, "role": role, "scope": scope,
                "delegate": self.chance(75 if role == ADMIN else 10), "forks": 0}

    # --- deps ---

    def ends(self, log):
        """Lengths of a log at which no batch is cut."""
        ends = []
        for position, block in enumerate(self.blocks(log)):
            index, count = block.get("batch", (0, 1))
            if index + 1 == count:
                ends.append(position + 1)
        return ends

    def blocks(self, log):
        said = self.history["logs"][log]
        before = self.blocks(said["shares"][0])[:said["shares"][1]] if said.get(
            "shares") else []
        return before + said["blocks"]

    def meet(self, person, everything=False, deps=None):
        """Heads of others that the next block of this person will name."""
        deps = {} if deps is None else deps
        for other in self.people:
            if other.writer == person.writer or self.length(other.log) == 0:
                continue
            if not everything and not self.chance(26):
                continue
            ends = self.ends(other.log) or [self.length(other.log)]
            if everything or self.chance(70):
                length = ends[-1]
            elif self.chance(85):
                length = self.random.choice(ends)
            else:
                length = self.random.randint(1, self.length(other.log))
            if length > person.named.get(other.log, 0):
                deps[other.log] = max(length, deps.get(other.log, 0))
        if everything:
            person.pending = deps
        return deps

    def deps_for(self, person, cite, refers, honest):
        deps = dict(getattr(person, "pending", None) or {})
        person.pending = None
        if not deps or self.chance(28):
            self.meet(person, deps=deps)
        for grant in [cite, *refers]:
            log = grant["log"]
            if log is None or self.history["logs"][log]["writer"] == person.writer:
                continue
            if max(deps.get(log, 0), person.named.get(log, 0)) < grant["end"]:
                if honest or not self.chance(4):
                    deps[log] = grant["end"]
        # One head a writer: of two branches only one can be named in a block.
        by_writer = {}
        for log, length in deps.items():
            writer = self.history["logs"][log]["writer"]
            if writer not in by_writer or by_writer[writer][1] < length:
                by_writer[writer] = (log, length)
        out = [list(dep) for dep in by_writer.values()]
        if out and not honest:
            if self.chance(1.5):
                out.remove(self.random.choice(out))  # a lie by omission
            elif self.chance(0.8):
                self.random.choice(out).append("wrong")
        for dep in out:
            if len(dep) == 2:
                person.named[dep[0]] = max(person.named.get(dep[0], 0), dep[1])
        return out

    # --- ops ---

    def key(self):
        return self.random.choice(("a", "a", "a", "a", "b", "b1"))

    def text(self):
        self.texts += 1
        return f"t{self.texts}" + ("x" * 40 if self.chance(5) else "")

    def sequence_op(self, person):
        """An insert or a cut beside elements that the person may have seen, or not."""
        lane = self.random.choice((8, 8, 9))
        elements = [e for e in self.elements if e[0] == lane and (
            e[1][0] == person.writer or self.chance(2)
            or any(self.history["logs"][log]["writer"] == e[1][0] and length > e[1][1]
                   for log, length in person.named.items()))]

        def some(edge):
            if not elements or self.chance(edge):
                return None
            return [*self.random.choice(elements)[1], self.random.choice((0, 0, 1))]
        if elements and self.chance(25):
            return {"t": "cut", "key": "s", "lane": lane, "ranges": [
                [some(0), self.random.randint(1, 2)]
                for _ in range(self.random.randint(1, 2))]}
        value = "".join(self.random.choice("abcd\u00e9") for _ in range(
            self.random.randint(1, 3) if lane == 8 else 1))
        return {"t": "insert", "key": "s", "lane": lane, "left": some(25),
                "right": some(60), "value": value}

    def data_op(self, person):
        if "text" in self.features and self.chance(45):
            return self.sequence_op(person)
        key = self.key()
        if "lanes" in self.features and self.chance(45):
            return self.typed_op(key)
        roll = self.random.random()
        if roll < 0.6:
            return {"t": "put", "key": key, "value": self.text()}
        if roll < 0.68:
            every = [[3], [1, 3, 4, 5, 6, 7], [2, 7]] if "lanes" in self.features else []
            if "text" in self.features and self.chance(30):
                key, every = "s", [[8], [8, 9], [9]] * 9
            return {"t": "del", "key": key, "lanes": self.random.choice(
                [[1], [2], [1, 2]] + every), "wins": self.chance(25)}
        columns = sorted(self.random.sample(("p", "q", "r"), self.random.randint(0, 2)))
        return {"t": "record", "key": key, "cells": [self.cell(c) for c in columns]}

    def cell(self, column):
        if "lanes" in self.features and self.chance(40):
            verb, lane, said = self.typed()
            if self.chance(15):
                verb, said = "unset", None
            return [column, verb, said, lane]
        if self.chance(20):
            return [column, "unset", None]
        return [column, "set", self.text()]

    def typed(self):
        """(verb, lane, operands) of a counter, set, max, min or flag."""
        roll = self.random.randint(1, 5)
        if roll == 1:
            if self.chance(25):
                return "reset", 3, {}
            extreme = self.chance(8)
            return "inc", 3, {"n": self.random.choice(
                (2**63 - 1, -2**63)) if extreme else self.random.randint(-3, 9)}
        if roll == 2:
            verb = "remove" if self.chance(35) else "add"
            return verb, 4, {"value": self.random.choice(("e", "f"))}
        if roll in (3, 4):
            return "raise", roll + 2, {"n": self.random.randint(-3, 5)}
        on = self.chance(50)
        return "flag", 7, {"on": on, "wins": not on and self.chance(40)}

    def typed_op(self, key):
        verb, lane, said = self.typed()
        op = {"t": verb, "key": key, **said}
        if verb == "raise":
            op["lane"] = lane
        return op

    # --- acting ---

    def step(self):
        able = {g["to"] for g in self.grants}
        person = self.random.choice([p for p in self.people if p.identity in able
                                     or self.chance(12)] or self.people)
        if "incarnations" in self.features and self.chance(4):
            return self.reincarnate(person)
        if "forks" in self.features and self.chance(3):
            return self.fork(person)
        mine = [g for g in self.grants if g["to"] == person.identity]
        if not mine or self.chance(4):
            cite = self.random.choice(self.grants)
        else:
            cite = self.random.choice(mine)
        heavy = 22 if self.features else 30
        if self.invites and self.chance(8):
            self.redeem(person, cite)
        elif cite["role"] >= ADMIN and self.chance(heavy):
            self.auth_step(person, cite)
        elif cite["role"] == MODERATOR and self.chance(50) and (
                "moderation" in self.features):
            self.auth_step(person, cite)
        elif "revocation" in self.features and self.chance(2):
            self.act(person, self.make_revoke(person, cite, refers := []), cite, refers)
        elif cite["role"] < MODERATED and self.chance(50):
            self.act(person, None, cite)
        elif self.chance(6):
            self.act(person, None, cite)
        else:
            ops = [self.data_op(person) for _ in range(self.random.choice((1, 1, 1, 2, 3)))]
            self.act(person, ops, cite)

    def auth_step(self, person, cite):
        kinds = ["grant"] * 3
        if "revocation" in self.features:
            kinds += ["revoke"] * 4 + ["admit"] * 2 + ["demote"]
        if "moderation" in self.features:
            kinds += ["verdict"] * 3 + ["hide"] * 3
        if "invites" in self.features:
            kinds += ["invite"] * 2
        kind = self.random.choice(kinds)
        refers = []
        ops = getattr(self, "make_" + kind)(person, cite, refers)
        if ops:
            self.act(person, ops, cite, refers)

    def make_grant(self, person, cite, refers):
        op = self.grant_op(self.random.randrange(len(self.history["people"])))
        if cite["scope"] and self.chance(80):
            op["scope"] = cite["scope"] + op["scope"]
        return [op]

    def make_revoke(self, person, cite, refers):
        targets = [g for g in self.grants if g["log"] is not None] or self.grants
        if self.chance(12):
            target = cite  # a resignation
        else:
            target = self.random.choice(targets + self.grants[:1] * self.chance(5))
            if self.chance(60):
                target = self.random.choice([g for g in targets
                                             if g["role"] >= WRITER] or targets)
        refers.append(target)
        keep = []
        for other in range(len(self.history["writers"])):
            if self.history["writers"][other]["identity"] == target["to"]:
                if self.chance(85):
                    keep.append([other, self.kept_length(person, other)])
            elif self.chance(40):
                keep.append([other, self.kept_length(person, other)])
        return [{"t": "revoke", "of": target["id"], "keep": keep,
                 "subtree": self.chance(35)}]

    def kept_length(self, person, writer):
        logs = [n for n, log in enumerate(self.history["logs"])
                if log["writer"] == writer]
        length = max(self.length(log) for log in logs)
        roll = self.random.random()
        if roll < 0.45:
            return max(person.named.get(log, 0) for log in logs)
        if roll < 0.7:
            return length
        return self.random.randint(0, length + 2)

    def make_demote(self, person, cite, refers):
        ops = self.make_revoke(person, cite, refers)
        to = next(g["to"] for g in self.grants if g["id"] == ops[0]["of"])
        return ops + [self.grant_op(to, role=self.random.choice((READER, WRITER)))]

    def some_range(self, person, refers, moderated=False):
        """A range of batches in somebody's log, as an op names it."""
        among = self.people
        if moderated and self.chance(85):
            junior = {g["to"] for g in self.grants if g["role"] == MODERATED}
            among = [p for p in self.people if p.identity in junior] or self.people
        log = self.random.choice(among).log
        ends = self.ends(log)
        if not ends:
            return None
        b = self.random.choice(ends)
        if self.chance(12):  # inside of a batch, perhaps, or of one that is not whole
            b = self.random.randint(1, self.length(log))
        a = self.random.choice([0, *ends]) if self.chance(50) else max(
            0, b - self.random.randint(1, 3))
        if a >= b:
            a = 0
        refers.append({"log": log, "end": b})
        wrong = ["wrong"] if self.chance(4) else []
        return {"who": self.history["logs"][log]["writer"], "a": a, "b": b,
                "hash": [log, b, *wrong]}

    def make_admit(self, person, cite, refers):
        found = self.some_range(person, refers)
        return found and [{"t": "admit", **found}]

    def make_verdict(self, person, cite, refers):
        found = self.some_range(person, refers, moderated=True)
        kind = "accept" if self.chance(65) else "reject"
        return found and [{"t": kind, **found}]

    def make_hide(self, person, cite, refers):
        kind = "hide" if self.chance(65) else "unhide"
        found = self.some_range(person, refers)
        if not found:
            return None
        if self.chance(50):
            del found["hash"]
            return [{"t": kind, **found, "prefix": self.random.choice(("", "a", "b"))}]
        position = found["b"] - 1
        ops = (self.blocks(found["hash"][0])[position].get("ops") or [None])
        return [{"t": kind, "ops": [[found["who"], position, n]
                                    for n in range(len(ops)) if self.chance(80)]
                 or [[found["who"], position, 0]]}]

    def make_invite(self, person, cite, refers):
        self.secrets += 1
        return [{"t": "invite", "secret": 1000 + self.secrets % 40,
                 "role": self.random.choice((READER, MODERATED, WRITER, WRITER)),
                 "scope": cite["scope"] + ("b" if self.chance(10) else ""),
                 "uses": self.random.choice((1, 1, 1, 2))}]

    def redeem(self, person, cite):
        """Anybody may carry a redemption, most of them the newcomer's own."""
        invite = self.random.choice(self.invites)
        who = (len(self.history["people"]) - 1 if self.chance(60)
               else self.random.randrange(len(self.history["people"])))
        op = {"t": "redeem", "of": invite["id"], "who": who, "good": self.chance(95),
              "secret": invite["secret"]}
        self.act(person, [op], cite, [invite])

    # --- incarnations and forks ---

    def reincarnate(self, person):
        """A later incarnation of somebody: its block 0 is the certificate."""
        identity = person.identity
        mine = [w for w in self.history["writers"] if w["identity"] == identity]
        cores = {w.get("core") for w in self.history["writers"]}
        core = self.random.choice([c for c in range(20) if c not in cores])
        number = len(mine) if self.chance(75) else self.random.randint(1, 2)
        if self.length(person.log) == 0:
            return
        prev = [person.log, self.random.randint(1, self.length(person.log))]
        made = self.add_writer(identity, number=number, core=core, prev=prev)
        made.named = dict(person.named)
        cite = self.random.choice(self.grants)
        block = {"kind": "incarnation", "hlc": self.stamp(made), "cite": cite["id"],
                 "deps": [list(prev)] if self.chance(70) else [], "batch": [0, 1],
                 "ops": [], "prev": prev}
        made.named = {dep[0]: dep[1] for dep in block["deps"]}
        if self.chance(6):
            block["certificate"] = "bad"
        self.history["logs"][made.log]["blocks"].append(block)

    def fork(self, person):
        """A second branch of a log, and the proof of it."""
        length = self.length(person.log)
        if length == 0 or len([p for p in self.people
                               if p.writer == person.writer]) > 1:
            return
        f = self.random.randint(0, length) if self.chance(30) else max(
            0, length - self.random.randint(0, 2))
        if person.identity != 0 or f > 0:
            made = self.add_log(person.writer, person.identity, [person.log, f])
            made.hlc = [5000 + self.steps, 0]
            for block in self.blocks(person.log)[:f]:
                for dep in block["deps"]:
                    if len(dep) == 2:
                        made.named[dep[0]] = max(made.named.get(dep[0], 0), dep[1])
                made.hlc = max(made.hlc, list(block["hlc"]))
            self.history["proofs"][person.writer] = f

    def stamp(self, person):
        person.hlc[0] += self.random.choice((0, 1, 1, 5, 20))
        if self.chance(1.5):
            person.hlc[0] += 10 ** 10  # the year 2250 comes early
        person.hlc[1] += 1
        if self.chance(1):
            person.hlc = [max(1, person.hlc[0] - 30), 0]  # not above the last: invalid
        return list(person.hlc)

    def flaw(self):
        flaws = ["garbage", "empty", "flags", "last_auth", "payload", "self_dep",
                 "late_incarnation"]
        if self.chance(25):
            flaws = ["format", "sem", "kind", "unknown_op"]
        return self.random.choice(flaws)

    def act(self, person, ops, cite, refers=(), honest=False):
        """Appends a commit of one or several blocks to a person's log; `ops` None: an
        ack."""
        blocks = self.split(ops, honest)
        start = self.length(person.log)
        writer = person.writer
        for index, part in enumerate(blocks):
            kind = ("ack" if part is None else
                    "auth" if part[0]["t"] in AUTH_OPS else "data")
            block = {"kind": kind, "hlc": self.stamp(person), "cite": cite["id"],
                     "deps": self.deps_for(person, cite, refers, honest)
                     if index == 0 or self.chance(30) else [],
                     "batch": [index, len(blocks)], "ops": part or []}
            if not honest and self.chance(2.5):
                self.spoil(block)
            self.history["logs"][person.log]["blocks"].append(block)
        for index, part in enumerate(blocks):
            for n, op in enumerate(part or []):
                self.remember(op, [writer, start + index, n], person, start + len(blocks))

    def split(self, ops, honest):
        """Into the blocks of a batch; a cheat may leave off the last of them."""
        if not ops or len(ops) == 1 or self.chance(60):
            return [ops]
        at = self.random.randint(1, len(ops) - 1)
        return [ops[:at], ops[at:]]

    def spoil(self, block):
        roll = self.random.random()
        if roll < 0.55:
            flaw = self.flaw()
            if flaw == "unknown_op" and block["kind"] == "ack":
                flaw = "sem"
            if flaw == "payload" and block["kind"] == "ack":
                flaw = "flags"
            if flaw == "late_incarnation":
                flaw = "flags"
            block["flaw"] = flaw
            if flaw in ("garbage", "empty", "self_dep"):
                block["deps"] = []
        elif roll < 0.8:
            block["batch"] = [self.random.randint(0, 2), self.random.randint(1, 3)]
            if block["batch"][0] >= block["batch"][1]:
                block["batch"] = [0, 2]
        else:
            block["cite"] = self.random.choice(self.grants)["id"]

    def remember(self, op, op_id, person, end):
        if op["t"] == "insert":
            self.elements.append((op["lane"], op_id))
        elif op["t"] == "grant":
            self.grants.append({"id": op_id, "to": op["to"], "role": op["role"],
                                "scope": op["scope"], "log": person.log, "end": end,
                                "delegate": op["delegate"]})
        elif op["t"] == "invite":
            self.invites.append({**op, "id": op_id, "log": person.log, "end": end})
        elif op["t"] == "redeem":
            invite = next(i for i in self.invites if i["id"] == op["of"])
            self.grants.append({"id": op_id, "to": op["who"], "role": invite["role"],
                                "scope": invite["scope"], "log": person.log, "end": end,
                                "delegate": False})


AUTH_OPS = {"grant", "revoke", "invite", "redeem", "accept", "reject", "hide", "unhide",
            "admit"}


def history(seed, features=(), steps=None):
    return Generator(seed, features, steps).make()


def orders(history, random_source, count):
    """Ways to deliver a history: pieces in random order, with repeats, flushes, restarts.

    Fork proofs come first in the first order, anywhere in the others, and again after a
    restart: one of a log that nobody has named yet does not outlive the process.
    """
    lengths = [len(log["bytes"]) for log in history["logs"]]
    made = []
    for n in range(count):
        held = [0] * len(lengths)
        steps = []
        largest = random_source.choice((1, 3, 100))
        proven = bool(history["proofs"]) and n == 0
        if proven:
            steps.append(["proofs"])
        while held != lengths:
            log = random_source.choice([i for i, h in enumerate(held) if h < lengths[i]])
            held[log] = min(lengths[log], held[log] + random_source.randint(1, largest))
            steps.append([log, held[log]])
            roll = random_source.random()
            if roll < 0.05:
                steps.append([log, held[log]])
            elif roll < 0.1:
                steps.append(["flush"])
            elif roll < 0.14:
                steps += [["restart"], ["proofs"]] if proven else [["restart"]]
            if history["proofs"] and not proven and random_source.random() < 0.1:
                steps.append(["proofs"])
                proven = True
        if history["proofs"]:
            steps.append(["proofs"])
        made.append({"steps": steps, "flush_ops": random_source.choice((1, 7, 1000)),
                     "cache_keys": random_source.choice((0, 2, 1000))})
    return made
