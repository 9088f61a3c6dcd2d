"""A few sentences of history, for cases that are worked by hand (worked_cases.py)."""

GENESIS = -1
READER, MODERATED, WRITER, MODERATOR, ADMIN = range(5)


class Story:
    """People, the founder first, each with one log; what they say becomes a history."""

    def __init__(self, *names, founders=1):
        self.names = list(names)
        self.clock = {name: 1000 for name in names}
        self.history = {
            "people": list(range(len(names))), "founders": list(range(founders)),
            "writers": [{"identity": n, "number": 0} for n in range(len(names))],
            "logs": [{"writer": n, "shares": None, "blocks": []}
                     for n in range(len(names))],
            "proofs": {}, "limits": {}}
        self.grants = {name: [GENESIS, 0, n] for n, name in enumerate(names[:founders])}
        self.log = {name: n for n, name in enumerate(names)}

    def length(self, who):
        log = self.history["logs"][self.log[who]]
        return len(log["blocks"]) + (log["shares"][1] if log["shares"] else 0)

    def writer(self, who):
        return self.history["logs"][self.log[who]]["writer"]

    def fork(self, who, name, length):
        """`name` goes on from the first `length` blocks of `who`, with the same key."""
        self.log[name] = len(self.history["logs"])
        self.history["logs"].append({"writer": self.writer(who),
                                     "shares": [self.log[who], length], "blocks": []})
        self.clock[name] = self.clock[who] + 1000
        self.grants[name] = self.grants[who]
        self.history["proofs"][self.writer(who)] = length
        return name

    def say(self, who, *ops, sees=(), cite=None, at=None, kind=None):
        """A commit of one block; `sees` are names, or (name, length). The op ids."""
        self.clock[who] += 10
        deps = []
        for head in sees:
            name, length = head if isinstance(head, tuple) else (head, self.length(head))
            if length > 0:
                deps.append([self.log[name], length])
        position = self.length(who)
        auth = any(op["t"] in ("grant", "revoke", "invite", "redeem", "accept", "reject",
                               "hide", "unhide", "admit") for op in ops)
        self.history["logs"][self.log[who]]["blocks"].append({
            "kind": kind or ("auth" if auth else "data" if ops else "ack"),
            "hlc": [at or self.clock[who], 0], "cite": cite or self.grants[who],
            "deps": deps, "batch": [0, 1], "ops": list(ops)})
        return [[self.writer(who), position, n] for n in range(len(ops))]

    def grant(self, by, to, role, delegate=True, sees=(), scope=""):
        op = {"t": "grant", "to": self.writer(to), "role": role, "scope": scope,
              "delegate": delegate, "forks": 0}
        (made,) = self.say(by, op, sees=sees)
        self.grants.setdefault(to, made)
        return made

    def revoke(self, by, grant, keep=(), subtree=False, sees=()):
        return self.say(by, {"t": "revoke", "of": grant, "subtree": subtree,
                             "keep": [[self.writer(w), n] for w, n in keep]},
                        sees=sees)[0]

    def over(self, by, kind, who, a, b, sees=None):
        """accept, reject, admit of a range."""
        return self.say(by, {"t": kind, "who": self.writer(who), "a": a, "b": b,
                             "hash": [self.log[who], b]},
                        sees=[(who, b)] if sees is None else sees)[0]

    def put(self, who, key, value, sees=(), at=None, cite=None):
        return self.say(who, {"t": "put", "key": key, "value": value}, sees=sees, at=at,
                        cite=cite)[0]

    def delete(self, who, key, lanes=(1,), sees=(), wins=False):
        return self.say(who, {"t": "del", "key": key, "lanes": list(lanes),
                              "wins": wins}, sees=sees)[0]

    def row(self, who, key, sees=(), **cells):
        return self.say(who, {"t": "record", "key": key, "cells": [
            [column, "set", cells[column]] for column in sorted(cells)]}, sees=sees)[0]
