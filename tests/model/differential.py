#!/usr/bin/env python3
"""The rules against the engine: random histories into both, and every answer compared.

    differential.py --engine build/release/tests/model/model_replay --seeds 1 2000
    differential.py --engine ... --case tests/model/cases/x.json
    differential.py --engine ... --small 3      every history of authority with 3 ops

Exit code 0: no difference, 1: a difference, printed with its seed, 2: usage.
"""

import argparse
import collections
import json
import multiprocessing
import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import engine as engines  # noqa: E402
import generate  # noqa: E402
import lanes  # noqa: E402
import small  # noqa: E402
from model import Model  # noqa: E402
from story import WRITER, Story  # noqa: E402

NO_EFFECT = {"waiting", "unknown"}


def all_ops(history):
    """An op id for every op of every block, and one for blocks that have none."""
    ops = set()
    for log in history["logs"]:
        shared = log["shares"][1] if log.get("shares") else 0
        for n, block in enumerate(log["blocks"]):
            for index in range(max(1, len(block.get("ops") or []))):
                ops.add((log["writer"], shared + n, index))
    return sorted(ops)


def value_hex(value):
    if isinstance(value, str):
        return (b"\4" + value.encode()).hex()
    return bytes([value[0]]).hex() + value[1]


def live_of(seen):
    return {"live": [[list(op), value_hex(value)] for op, value in seen["live"]],
            "deleted": seen["deleted"]}


def places(seen):
    """The registers at a key: its own, and the cells of its record."""
    if lanes.REGISTER in seen:
        yield seen[lanes.REGISTER]
    yield from seen.get(lanes.RECORD, {"cells": {}})["cells"].values()


def flags(seen):
    """The flags at a key, likewise."""
    every = [seen, *seen.get(lanes.RECORD, {"typed": {}})["typed"].values()]
    return [typed[lanes.FLAG] for typed in every if lanes.FLAG in typed]


def in_conflict(seen):
    return (any(len(place["live"]) > 1 for place in places(seen))
            or any(flag["conflict"] for flag in flags(seen)))


def typed_of(seen):
    out = {}
    if lanes.COUNTER in seen:
        total = seen[lanes.COUNTER]["sum"]
        out["counter"] = [max(-2**63, min(2**63 - 1, total)), str(total)]
    if lanes.SET in seen:
        out["set"] = sorted(value_hex(e) for e in seen[lanes.SET]["elements"])
    for lane, name in ((lanes.MAX, "max"), (lanes.MIN, "min")):
        if lane in seen:
            out[name] = seen[lane]["number"]
    if lanes.FLAG in seen:
        out["flag"] = [seen[lanes.FLAG]["on"], seen[lanes.FLAG]["conflict"]]
    return out


def expected_view(model):
    view = {}
    for key, seen in model.seen.items():
        if not seen:
            continue
        entry = {"shown": lanes.shown_lane(seen), "conflict": in_conflict(seen)}
        if lanes.REGISTER in seen:
            entry["register"] = live_of(seen[lanes.REGISTER])
        if typed_of(seen):
            entry["typed"] = typed_of(seen)
        if lanes.TEXT in seen:
            entry["text"] = "".join(seen[lanes.TEXT]["items"])
        if lanes.LIST in seen:
            entry["list"] = [value_hex(item) for item in seen[lanes.LIST]["items"]]
        if lanes.RECORD in seen:
            record = seen[lanes.RECORD]
            entry["record"] = {
                "cells": {column: live_of(cell)
                          for column, cell in record["cells"].items()},
                "deleted": record["deleted"],
                "presence": sorted([list(op) for op in record["presence"]], key=lambda op: (
                    model.history["keys"][op[0]], op[1:]))}
            if record["typed"]:
                entry["typed_cells"] = {column: typed_of(cell)
                                        for column, cell in record["typed"].items()}
        view[key.encode().hex()] = entry
    return view


def expected_version(model):
    key = model.history["keys"]
    version = model.version()
    logs = model.causal.surviving
    return {
        "writers": [[w, n, logs[w][0].hashes[n - 1].hex()]
                    for w, n in sorted(version["writers"], key=lambda x: key[x[0]])],
        "forked": [list(x) for x in sorted(version["forked"], key=lambda x: key[x[0]])],
        "parked": [list(x) for x in sorted(version["parked"], key=lambda x: key[x[0]])]}


def expected_grants(model):
    grants = sorted((g for g in model.authority.grants.values()), key=lambda g: g.path)
    return [{"op": op_of_grant(model, grant),
             "identity": writer_of(model.history, grant.holder), "role": grant.role,
             "scope": grant.scope.encode().hex(), "depth": len(grant.path) - 1,
             "revoked": bool(grant.revocations)}
            for grant in grants]


def op_of_grant(model, grant):
    """Its op id; of a redeemed one the least of the redemptions that count."""
    if not grant.redeemed:
        return [grant.key[0] if grant.key[0] >= 0 else "0" * 64, *grant.key[1:]]
    key = model.history["keys"]
    return list(min(((block.writer, block.position, index)
                     for block, index, of in model.authority.redeemed if of == grant.key),
                    key=lambda op: (key[op[0]], op[1:])))


def writer_of(history, identity):
    for number, writer in enumerate(history["writers"]):
        if writer["identity"] == identity and writer["number"] == 0:
            return number
    return history["identity_keys"][identity].hex()


def compare(model, state, ops):
    """Every difference, as (what, the rules' answer, the engine's)."""
    differences = []

    def same(what, expected, got):
        if expected != got:
            differences.append((what, expected, got))

    same("version", expected_version(model), state["version"])
    same("grants", expected_grants(model), state["grants"])
    view = expected_view(model)
    for key in sorted(set(view) | set(state["view"])):
        same(f"view of {bytes.fromhex(key).decode()}", view.get(key),
             state["view"].get(key))
    for op, got in zip(ops, state["fates"]):
        kind, by = model.fate(op)
        settled = model.settled.get(op[0], 0)
        if op[1] >= settled:
            # Beyond the settled lengths only this is promised: no effect.
            if kind in ("winner", "conflict", "superseded", "removed"):
                differences.append((f"fate of {op} beyond {settled}", kind, got[0]))
            continue
        block_end = model.causal.surviving[op[0]][0].blocks[op[1]].batch
        if block_end is not None and block_end.end > settled:
            continue
        exists = op[2] < len(model.causal.surviving[op[0]][0].blocks[op[1]].ops)
        if kind is None or got[0] == "unknown" and not exists:
            continue
        # Both say that a redeemed grant has no effect; that a revocation is behind it is
        # the engine's guess where the carrier's own grant was used up.
        cite = model.causal.surviving[op[0]][0].blocks[op[1]].cite
        if (kind, got[0]) == ("not allowed", "quarantined") and (
                model.authority.target(cite)[0] == "redeemed"):
            continue
        same(f"fate of {op}", kind, got[0])
        if by and kind == got[0]:
            same(f"fate of {op}, by", sorted(map(list, by)), sorted(got[1]))
    return differences


class Tally(collections.Counter):
    def add(self, model):
        self["cases"] += 1
        self["blocks"] += sum(n for n in model.causal.complete)
        view = model.seen.values()
        self["with conflicts"] += any(
            in_conflict(seen) for seen in view)
        self["with an answer to compare"] += is_followed(model)
        self["with revocation races"] += races(model)
        self["with texts or lists"] += any(
            lane in seen for seen in view for lane in (lanes.TEXT, lanes.LIST))
        self["with forks"] += any(model.causal.proofs)
        self["with parked logs"] += any(log.parked is not None
                                        for log in model.causal.logs)
        for kind, _ in model.stopped.values():
            self[kind] += 1

    def report(self):
        cases = max(1, self["cases"])
        lines = [f"{cases} cases, {self['blocks'] / cases:.1f} blocks each"]
        for name in sorted(self):
            if name.startswith("with "):
                lines.append(f"{name}: {100 * self[name] / cases:.1f} %")
        return "; ".join(lines)


def races(model):
    """A revocation beside blocks of its victim that it had not seen."""
    return any(v == "revoked" for v in model.authority.verdict.values())


def held_after(history, steps):
    """How much of each log has come by the end of some steps."""
    held = [0] * len(history["logs"])
    for step in steps:
        if isinstance(step[0], int):
            held[step[0]] = max(held[step[0]], step[1])
    return held


def built(engine):
    """Which features the engine has, of those that were compared: what it has not built
    parks."""
    features = ["lanes", "text"]
    story = Story("F", "W")
    grant = story.grant("F", "W", WRITER)
    revoke = story.revoke("F", grant)
    history = engine.prepare(story.history)
    order = {"steps": [[0, 2]], "flush_ops": 9, "cache_keys": 9}
    (fate,) = engine.replay(history, [order], [revoke])["states"][0]["fates"]
    if fate[0] != "parked":
        features += ["revocation", "moderation", "invites", "incarnations", "forks"]
    return tuple(features)


def speaks_of_what_saw_it(model):
    """A block names, beyond a fork, an op that has the block itself in its past: what it
    says of that is nothing (docs/semantics.md), which the pass of the rules cannot know:
    it has no order yet."""
    for log, length in model.causal.surviving.values():
        for block in log.blocks[:length]:
            named = [tuple(op["of"]) for op in block.ops if "of" in op]
            for writer, position, _ in [block.cite or (-1, 0, 0), *named]:
                at = model.causal.block(writer, position) if writer >= 0 else None
                if (at and at.batch is not block.batch
                        and block.named.get(writer, 0) > position
                        and model.causal.before(block, at)):
                    return True
    return False


def is_followed(model):
    """Every log that counts is found: because a log that was found names it, or holds a
    grant to its identity; of a later incarnation the certificate is told then (S2).
    Before, no replica has to know of it."""
    told = []  # (whose block tells it, where, of which log)
    names = []  # (whose block names it, the forked log, to which length)
    for log, length in model.causal.surviving.values():
        for block in log.blocks[:length]:
            for dep in block.deps:
                named = model.causal.logs[dep[0]].writer
                told.append((log.writer, block.position, named))
                names.append((log.writer, named, dep[1]))
    found = set()
    for grant in model.authority.grants.values():
        logs = model.authority.incarnations.get(grant.holder, [])
        if grant.op is None:
            found.update(logs)
        else:
            issuer, position, _ = op_of_grant(model, grant)
            told += [(issuer, position, log) for log in logs]
    settled = {writer for writer, _ in model.version()["writers"]}

    def is_read(writer, position):
        """It is found, and so is what keeps this block of it alive (F2)."""
        return writer in found & settled and (
            position < model.causal.proofs.get(writer, position + 1)
            or any(by in found and of == writer and length > position
                   for by, of, length in names))
    while True:
        more = {of for by, position, of in told if is_read(by, position)} - found
        if not more:
            return settled <= found and not speaks_of_what_saw_it(model)
        found |= more


def ends_alike(answer, ops):
    """I1: equal but for fates beyond the settled lengths, of which nothing is promised: a
    replica may have looked at a log before it learned that it need not."""
    if "state" not in answer["differs"]:
        return False
    first, other = answer["states"][-1], answer["differs"]["state"]
    settled = {entry[0]: entry[1] for entry in first["version"]["writers"]}
    return all(first[key] == other[key] for key in first if key != "fates") and all(
        a == b for op, a, b in zip(ops, first["fates"], other["fates"])
        if op[1] < settled.get(op[0], 0))


def run_history(engine, history, count=3, watch=False, compared=True):
    """The model of the whole, and all differences: at the end of every order, and
    somewhere on the way there. Not `compared`: only the orders with each other."""
    engine.prepare(history)
    ops = all_ops(history)
    chance = random.Random(history.get("seed", 0))
    orders = generate.orders(history, chance, count)
    proofs = history["proofs"]
    middle = None
    # On the way an incarnation may be there that nobody has named yet, and so is not
    # followed.
    named = all(writer["number"] == 0 for writer in history["writers"])
    if orders[0]["steps"] and named and chance.random() < 0.4:
        # After the proofs, if there are any: they come first in this order.
        at = chance.randrange(bool(proofs), len(orders[0]["steps"]))
        middle = held_after(history, orders[0]["steps"][:at])
        orders[0]["steps"].insert(at, ["state"])
    answer = engine.replay(history, orders, ops, watch)
    model = Model(history, [len(log["bytes"]) for log in history["logs"]], proofs)
    if not is_followed(model) and proofs:
        return model, []  # some order may have found it on a branch that is dead now
    if not is_followed(model) or not compared:
        return model, ([] if not answer["differs"] or ends_alike(answer, ops) else
                       [("two orders of delivery", "one state",
                         json.dumps(answer["differs"])[:2000])])
    differences = compare(model, answer["states"][-1], ops)
    if middle is not None:
        half = Model(history, middle, proofs)
        if is_followed(half):
            differences += [("on the way: " + what, *rest) for what, *rest in compare(
                half, answer["states"][0], ops)]
    if answer["differs"] and not ends_alike(answer, ops):
        differences.append(("two orders of delivery", "one state",
                            json.dumps(answer["differs"])[:2000]))
    return model, differences


def run_seeds(job):
    program, first, last, features, watch = job
    engine = engines.Engine(program)
    features = built(engine) if features == ("built",) else features
    tally, failures = Tally(), []
    for seed in range(first, last):
        history = generate.history(seed, features)
        model, differences = run_history(engine, history, watch=watch and seed % 8 == 0)
        tally.add(model)
        if differences:
            failures.append((seed, differences))
            if len(failures) >= 5:
                break
    engine.close()
    return tally, failures


def run_small(job):
    """Every `of`-th of the small histories, from the `first` on."""
    program, ops, first, of = job
    engine = engines.Engine(program)
    tally, failures = Tally(), []
    for number, history in enumerate(small.histories(ops)):
        if number % of != first:
            continue
        model, differences = run_history(engine, {**history, "seed": number}, count=2)
        tally.add(model)
        if differences:
            failures.append((number, differences))
    engine.close()
    return tally, failures


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--engine", required=True, help="the model_replay program")
    parser.add_argument("--seeds", type=int, nargs=2, default=(1, 1001),
                        metavar=("FIRST", "END"))
    parser.add_argument("--features", default="", help="comma-separated; 'built': what the engine has; 'all'")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--small", type=int, metavar="OPS",
                        help="every history of four members with up to so many ops")
    parser.add_argument("--case", help="a history as JSON instead of seeds")
    parser.add_argument("--save", help="write the first failing history here")
    options = parser.parse_args()
    features = (generate.EVERYTHING if options.features == "all"
                else tuple(filter(None, options.features.split(","))))
    started = time.time()
    if options.case:
        engine = engines.Engine(options.engine)
        history = json.loads(Path(options.case).read_text())
        history["proofs"] = {int(w): f for w, f in history["proofs"].items()}
        # What the engine has not built parks, and ends alike in every order all the same;
        # so does what the engine answers with less than the rules could.
        _, differences = run_history(engine, history, count=12, watch=True,
                                     compared="revocation" in built(engine) and
                                     history.get("compared", True))
        failures = [(options.case, differences)] if differences else []
    else:
        run = run_small if options.small else run_seeds
        if options.small:
            jobs = [(options.engine, options.small, n, options.jobs)
                    for n in range(options.jobs)]
        else:
            first, last = options.seeds
            size = max(1, min(250, (last - first) // options.jobs))
            jobs = [(options.engine, n, min(n + size, last), features, True)
                    for n in range(first, last, size)]
        tally, failures = Tally(), []
        with multiprocessing.Pool(options.jobs) as pool:
            for one, failed in pool.imap_unordered(run, jobs):
                tally.update(one)
                failures += failed
        print(tally.report(), f"in {time.time() - started:.0f} s")
        if failures and options.save and not options.small:
            if features == ("built",):
                features = built(engines.Engine(options.engine))
            Path(options.save).write_text(json.dumps(
                generate.history(failures[0][0], features), indent=1))
    for name, differences in failures[:10]:
        print(f"\n== {name}")
        for what, expected, got in differences[:6]:
            print(f"{what}\n  rules:  {expected}\n  engine: {got}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
