"""What the effective ops on one key come to: part 5 of the semantics.

Part of the executable specification: see causal.py. Every function takes the ops of one
key and a relation `saw(later, earlier)`, and compares all pairs.
"""

REGISTER, RECORD, COUNTER, SET, MAX, MIN, FLAG, TEXT, LIST = range(1, 10)


class Op:
    """An effective op."""

    __slots__ = ("id", "said", "tie", "block", "index")

    def __init__(self, block, index):
        self.id = (block.writer, block.position, index)
        self.said = block.ops[index]
        self.tie = (*block.tie, index)
        self.block = block
        self.index = index


LANE_OF = {"put": REGISTER, "record": RECORD, "inc": COUNTER, "reset": COUNTER,
           "add": SET, "remove": SET, "flag": FLAG}


def lanes_of(op):
    """The lanes an op speaks to; a del to all that it names (D1)."""
    kind = op.said["t"]
    if kind == "del":
        return op.said["lanes"]
    return [LANE_OF[kind]] if kind in LANE_OF else [op.said["lane"]]


def newest_first(ops):
    return sorted(ops, key=lambda op: op.tie, reverse=True)


def maximal(ops, saw):
    return [op for op in ops if not any(saw(other, op) for other in ops)]


def register(ops, saw):
    """D1: the live puts, the winner first, and whether a del stands beside them."""
    state = maximal(ops, saw)
    live = newest_first(op for op in state if op.said["t"] == "put")
    if not live:
        return None
    return {"live": [(op.id, op.said["value"]) for op in live],
            "deleted": len(live) < len(state), "tie": live[0].tie}


def counts_as_past(delete, op, saw):
    """D11: the delete lies after the op, or wins and stands beside it."""
    return saw(delete, op) or delete.said.get("wins", False) and not saw(op, delete)


def record(ops, saw):
    """D11, sentence by sentence."""
    writes = [op for op in ops if op.said["t"] == "record"]
    deletes = [op for op in ops if op.said["t"] == "del"]
    presence = [op for op in maximal(writes, saw)
                if not any(counts_as_past(d, op, saw) for d in deletes)]
    if not presence:
        return None
    cells = {}
    for column in sorted({cell[0] for op in writes for cell in op.said["cells"]}):
        cell = record_cell(column, writes, deletes, presence, saw)
        if cell:
            cells[column] = cell
    ties = [op.tie for op in presence] + [cell["tie"] for cell in cells.values()]
    beside = any(not any(saw(op, d) for op in ops) for d in deletes)
    return {"cells": cells, "presence": sorted(op.id for op in presence),
            "deleted": beside, "tie": max(ties)}


def record_cell(column, writes, deletes, presence, saw):
    here = [(op, cell) for op in writes for cell in op.said["cells"] if cell[0] == column]
    shown = []
    unset = False
    for op, (_, verb, value) in here:
        if any(saw(other, op) for other, _ in here):
            continue
        buried = all(any(counts_as_past(d, op, saw) and saw(p, d) for d in deletes)
                     for p in presence)
        if verb == "set" and not buried:
            shown.append((op.tie, op.id, value))
        unset |= verb == "unset"
    if not shown:
        return None
    shown.sort(reverse=True)
    return {"live": [(op_id, value) for _, op_id, value in shown], "deleted": unset,
            "tie": shown[0][0]}


READERS = {REGISTER: register, RECORD: record}


def read(ops, saw):
    """Everything readable at one key: lane -> what is seen there."""
    seen = {}
    for lane, reader in READERS.items():
        mine = [op for op in ops if lane in lanes_of(op)]
        found = reader(mine, saw) if mine else None
        if found is not None:
            seen[lane] = found
    return seen


def shown_lane(seen):
    """D7."""
    return max(seen, key=lambda lane: seen[lane]["tie"])


# --- fates of effective ops (D10) ---

def fate(op, ops, seen, saw):
    """(kind, op ids) of an effective op among those on its key."""
    kind = op.said["t"]
    if kind == "put":
        return register_fate(op, ops, seen, saw)
    if kind == "del":
        return delete_fate(op, ops, seen, saw)
    return record_fate(op, ops, seen, saw)


def first_of(later, saw):
    return sorted(op.id for op in later
                  if not any(saw(op, other) for other in later))


def overruled(later, saw):
    first = first_of(later, saw)
    by_del = all(op.said["t"] == "del" for op in later if op.id in first)
    return ("removed" if by_del else "superseded"), first


def register_fate(op, ops, seen, saw):
    later = [o for o in ops if REGISTER in lanes_of(o) and saw(o, op)]
    if later:
        return overruled(later, saw)
    wins = seen[REGISTER]["live"][0][0] == op.id
    return ("winner" if wins else "conflict"), []


def delete_fate(op, ops, seen, saw):
    """A del stands in each lane that it names, and is the best of what it is there."""
    standing = [lane for lane in lanes_of(op)
                if not any(lane in lanes_of(o) and saw(o, op) for o in ops)]
    if standing:
        beside = all(lane in seen for lane in standing)
        return ("conflict" if beside else "winner"), []
    return overruled([o for o in ops if set(lanes_of(o)) & set(lanes_of(op))
                      and saw(o, op)], saw)


def record_fate(op, ops, seen, saw):
    """The best of what became of its cells; without one that stands, its presence."""
    shown = seen.get(RECORD, {"cells": {}, "presence": []})
    deletes = [o for o in ops if o.said["t"] == "del" and RECORD in o.said["lanes"]
               and counts_as_past(o, op, saw)]
    writes = [o for o in ops if o.said["t"] == "record" and saw(o, op)]
    mine = {cell[0] for cell in op.said["cells"]}
    found = set()
    for column, verb, _ in op.said["cells"]:
        live = [other for other, _ in shown["cells"].get(column, {"live": []})["live"]]
        if op.id in live:
            found.add("winner" if live[0] == op.id else "conflict")
        elif verb == "unset" and not any(
                column in [cell[0] for cell in o.said["cells"]] for o in writes):
            if shown["presence"]:
                found.add("conflict" if live else "winner")
    if found:
        return max(found), []
    if op.id in shown["presence"]:
        return "winner", []
    later = deletes + [o for o in writes if not mine
                       or mine & {cell[0] for cell in o.said["cells"]}]
    return (overruled(later, saw)[0], None) if later else (None, None)
