#!/usr/bin/env python3
"""Part 10 of the semantics, case by case: what the case says is asked of the model and of
the engine alike, in several orders of delivery.

    worked_cases.py --engine build/release/tests/model/model_replay [NAME...]
    worked_cases.py --list

Exit code 0: all hold, 1: one does not, 2: usage.
"""

import argparse
import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import differential  # noqa: E402
import engine as engines  # noqa: E402
import generate  # noqa: E402
from model import Model  # noqa: E402
from story import ADMIN, MODERATED, MODERATOR, WRITER, Story  # noqa: E402


class Answer:
    """What a replica that holds a story shows: the rules', or the engine's."""

    def __init__(self, view, fates, ops):
        self.view = view
        self.fates = {tuple(op): fate for op, fate in zip(ops, fates)}

    def entry(self, key):
        return self.view.get(key.encode().hex(), {})

    def texts(self, key):
        """The value and its conflicts."""
        return [bytes.fromhex(value)[1:].decode()
                for _, value in self.entry(key).get("register", {"live": []})["live"]]

    def row(self, key):
        record = self.entry(key).get("record")
        return record and {column: bytes.fromhex(cell["live"][0][1])[1:].decode()
                           for column, cell in record["cells"].items()}

    def deleted_concurrently(self, key):
        return self.entry(key)["register"]["deleted"]

    def fate(self, op):
        return self.fates[tuple(op)]

    def visible(self, ops):
        return [op for op in ops if self.fate(op) in ("winner", "conflict")]


def members(*names, admins=()):
    story = Story("F", *names)
    for name in names:
        story.grant("F", name, ADMIN if name in admins else WRITER)
    for name in names:
        story.say(name, sees=["F"])
    return story


def WorkedCase01_WhoHasSeenBothEndsTheConflict():
    story = members("A", "B", "C")
    story.put("A", "k", "A", at=2000)
    story.put("B", "k", "B", at=2100)
    yield story, lambda is_: is_.texts("k") == ["B", "A"]
    story.put("C", "k", "C", sees=["A", "B"], at=1500)
    yield story, lambda is_: is_.texts("k") == ["C"]


def WorkedCase02_APutBesideADeleteSurvives():
    story = members("A", "B")
    story.put("F", "k", "old")
    story.delete("A", "k", sees=["F"])
    story.put("B", "k", "B", sees=["F"])
    yield story, lambda is_: is_.texts("k") == ["B"] and is_.deleted_concurrently("k")


def WorkedCase03_AFarFutureStampLosesToWhoHasSeenIt():
    story = members("A", "B", "M")
    story.put("M", "k", "M", at=8_835_000_000_000)
    story.put("A", "k", "A")
    yield story, lambda is_: is_.texts("k") == ["M", "A"]
    story.put("B", "k", "B", sees=["M"])
    yield story, lambda is_: "M" not in is_.texts("k") and "B" in is_.texts("k")
    story.put("B", "k", "B2", sees=["A"])
    yield story, lambda is_: is_.texts("k") == ["B2"]


def WorkedCase04_OfTwoDuellingAdminsTheSeniorStays():
    for past in ([], ["F"]):
        story = Story("F", "A", "B")
        of_a = story.grant("F", "A", ADMIN)
        of_b = story.grant("F", "B", ADMIN)
        story.put("A", "a", "A", sees=["F"])
        story.put("B", "b", "B", sees=["F"])
        if past:
            story.put("F", "f", "later")
        revoke_b = story.revoke("A", of_b, keep=[("B", 1)], sees=["F"])
        revoke_a = story.revoke("B", of_a, keep=[("A", 1)], sees=[("F", 2)])
        story.put("A", "a", "A again")
        story.put("B", "b", "B again")
        yield story, lambda is_, by_a=revoke_b, by_b=revoke_a: (
            is_.fate(by_a) == "winner" and is_.fate(by_b) == "quarantined"
            and is_.texts("a") == ["A again"] and is_.texts("b") == ["B"])


def WorkedCase05_GrantsBeforeTheCutStayAndLaterOnesAreVoid():
    story = Story("F", "A", "X", "Y")
    of_a = story.grant("F", "A", ADMIN)
    story.grant("A", "X", WRITER, sees=["F"])
    seen = story.length("A")
    of_y = story.grant("A", "Y", WRITER)
    by_x = story.put("X", "x", "X", sees=["A"])
    by_y = story.put("Y", "y", "Y", sees=["A"])
    story.say("X", sees=["Y"])
    story.revoke("F", of_a, keep=[("A", seen)], sees=[("A", seen)])
    yield story, lambda is_: (
        is_.fate(by_x) == "winner" and is_.fate(of_y) == "quarantined"
        and is_.fate(by_y) == "quarantined" and is_.texts("y") == [])


def WorkedCase06_TheSmallestCutHoldsAndAFounderMayAdmit():
    story = Story("F", "A", "B", "W")
    story.grant("F", "A", ADMIN)
    story.grant("F", "B", ADMIN)
    of_w = story.grant("F", "W", WRITER)
    writes = [story.put("W", f"w{n}", "x", sees=["F"] * (n == 0)) for n in range(100)]
    story.revoke("A", of_w, keep=[("W", 80)], sees=["F", ("W", 80)])
    story.revoke("B", of_w, keep=[("W", 60)], sees=["F", ("W", 60)])
    yield story, lambda is_: is_.visible(writes) == writes[:60] and all(
        is_.fate(op) == "quarantined" for op in writes[60:62])
    story.over("F", "admit", "W", 60, 63)
    yield story, lambda is_: is_.visible(writes) == writes[:63]


def WorkedCase06b_WhoWasRevokedByAJuniorWhoFellComesBack():
    writers = [f"W{n}" for n in range(10)]
    story = Story("F", "J", *writers)
    of_j = story.grant("F", "J", ADMIN)
    grants = [story.grant("F", writer, WRITER) for writer in writers]
    before = [story.put(writer, writer, "before", sees=["F"]) for writer in writers]
    for writer, grant in zip(writers, grants):
        story.revoke("J", grant, keep=[(writer, 1)], sees=["F", writer])
    later = [story.put(writer, writer, "later") for writer in writers]
    yield story, lambda is_: is_.visible(before + later) == before
    story.revoke("F", of_j)
    yield story, lambda is_: is_.visible(before + later) == later


def WorkedCase07_ARestoredStoreForksAndKeepsWhatSeniorsBuiltUpon():
    for named in (50, 60):
        story = Story("F", "W")
        story.grant("F", "W", WRITER)
        first = [story.put("W", f"w{n}", "x", sees=["F"] * (n == 0)) for n in range(70)]
        story.say("F", sees=[("W", named)])
        story.fork("W", "W'", 50)
        story.put("W'", "w'", "restored")
        yield story, lambda is_, n=named: (
            is_.visible(first) == first[:n] and is_.texts("w'") == []
            and is_.fate(first[-1]) == "after fork")


def WorkedCase08_TheSeniorModeratorDecides():
    story = Story("F", "S", "J", "W")
    story.grant("F", "S", MODERATOR)
    story.grant("F", "J", MODERATOR)
    story.grant("F", "W", MODERATED)
    posts = [story.put("W", f"post{n}", "x", sees=["F"] * (n == 0)) for n in range(10)]
    yield story, lambda is_: is_.visible(posts) == [] and (
        is_.fate(posts[0]) == "pending")
    story.over("S", "accept", "W", 0, 6, sees=["F", ("W", 6)])
    story.say("J", {"t": "hide", "ops": [posts[3]]}, sees=["F", ("W", 6)])
    yield story, lambda is_: is_.visible(posts) == posts[:3] + posts[4:6] and (
        is_.fate(posts[3]) == "hidden")
    story.say("S", {"t": "unhide", "ops": [posts[3]]}, sees=["J"])
    yield story, lambda is_: is_.visible(posts) == posts[:6]


def WorkedCase10_ANewerBlockParksItsWriterAndNobodyElse():
    story = members("A", "B")
    story.put("A", "a", "before")
    story.put("A", "a", "newer")
    story.history["logs"][story.log["A"]]["blocks"][-1]["flaw"] = "sem"
    last = story.put("A", "a", "after")
    story.put("B", "b", "B", sees=["A"])
    yield story, lambda is_: (is_.texts("a") == ["before"] and is_.texts("b") == ["B"]
                              and is_.fate(last) == "parked")


def WorkedCase11_ARowMadeAnewIsEmptyAndAnEditBesideADeleteRevivesIt():
    story = members("A", "B")
    story.row("F", "row", p="1", q="2", r="3")
    story.delete("A", "row", lanes=(2,), sees=["F"])
    yield story, lambda is_: is_.row("row") is None
    story.row("A", "row", p="new")
    yield story, lambda is_: is_.row("row") == {"p": "new"}
    story.row("F", "other", p="1", q="2")
    story.delete("A", "other", lanes=(2,), sees=["F"])
    story.row("B", "other", q="edited", sees=["F"])
    yield story, lambda is_: is_.row("other") == {"p": "1", "q": "edited"}


def WorkedCase12_OneRowOfAnImportIsHiddenAndTheRestStays():
    rows = 3376
    story = Story("F", "W", "M")
    story.grant("F", "M", MODERATOR)
    story.grant("F", "W", WRITER)
    ops = story.say("W", *({"t": "record", "key": f"t/{n}", "cells": [["c", "set", "x"]]}
                           for n in range(rows)), sees=["F"])
    story.say("M", {"t": "hide", "ops": [ops[1000]]}, sees=["F", "W"])
    yield story, lambda is_: (len(is_.view) == rows - 1 and is_.row("t/1000") is None
                              and is_.fate(ops[1000]) == "hidden")


CASES = {name: case for name, case in list(globals().items())
         if name.startswith("WorkedCase")}


def check(engine, name):
    """Every sentence of a case, of the rules and of the engine."""
    faults = []
    chance = random.Random(name)
    for story, holds in CASES[name]():
        history = engine.prepare(story.history)
        ops = differential.all_ops(history)
        count = 2 if len(ops) > 500 else 6
        answer = engine.replay(history, generate.orders(history, chance, count), ops)
        model = Model(history, [len(log["bytes"]) for log in history["logs"]],
                      history["proofs"])
        rules = Answer(differential.expected_view(model),
                       [model.fate(op)[0] for op in ops], ops)
        state = answer["states"][-1]
        shown = Answer(state["view"], [fate[0] for fate in state["fates"]], ops)
        if not holds(rules):
            faults.append("the rules' text read as code disagrees with the case")
        if not holds(shown):
            faults.append("the engine disagrees with the case")
        if answer["differs"]:
            faults.append(f"two orders end differently: {answer['differs']}")
        faults += map(str, differential.compare(model, state, ops)[:3])
    return faults


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--engine", help="the model_replay program")
    parser.add_argument("--list", action="store_true", help="name the cases")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    if options.list:
        print("\n".join(CASES))
        return 0
    engine = engines.Engine(options.engine)
    faulty = 0
    for name in options.names or CASES:
        faults = check(engine, name)
        faulty += bool(faults)
        print(name, "holds" if not faults else "FAILS")
        for fault in faults:
            print("   ", fault[:600])
    engine.close()
    return 1 if faulty else 0


if __name__ == "__main__":
    sys.exit(main())
