"""What the effective ops on one key come to: part 5 of the semantics.

Part of the executable specification: see causal.py. Every function takes the ops of one
key and a relation `saw(later, earlier)`, and compares all pairs.
"""

from functools import cache

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


def present(writes, deletes, saw):
    return [op for op in maximal(writes, saw)
            if not any(counts_as_past(d, op, saw) for d in deletes)]


def record(ops, saw):
    """D11, as docs/semantics.md has it of rows that came back."""
    writes = [op for op in ops if op.said["t"] == "record"]
    deletes = [op for op in ops if op.said["t"] == "del"]
    presence = present(writes, deletes, saw)
    if not presence:
        return None
    @cache
    def buried(op, by):
        """A delete lies between, and the row that `by` had seen did not show the cell."""
        past = [d for d in deletes if saw(by, d)]
        if by is op or not any(counts_as_past(d, op, saw) for d in past):
            return False
        row = present([write for write in writes if saw(by, write)], past, saw)
        return all(buried(op, p) for p in row)

    def shows(op):
        """Not buried for every presence op."""
        return not all(buried(op, p) for p in presence)

    cells, typed_cells = {}, {}
    for column in sorted({cell[0] for op in writes for cell in op.said["cells"]}):
        cell = record_cell(column, writes, shows, saw)
        if cell:
            cells[column] = cell
        for lane in TYPED:
            cell = typed(lane, cell_writes(column, lane, writes), saw, shows)
            if cell:
                typed_cells.setdefault(column, {})[lane] = cell
    ties = [op.tie for op in presence] + [cell["tie"] for cell in cells.values()] + [
        cell["tie"] for lanes in typed_cells.values() for cell in lanes.values()]
    beside = any(not any(saw(op, d) for op in ops) for d in deletes)
    return {"cells": cells, "typed": typed_cells, "presence": sorted(op.id for op in presence),
            "deleted": beside, "tie": max(ties)}


def lane_of_cell(cell):
    return cell[3] if len(cell) > 3 else REGISTER


def cell_writes(column, lane, writes):
    return [Write(op, "del" if cell[1] == "unset" else cell[1], cell[2] or {})
            for op in writes for cell in op.said["cells"]
            if cell[0] == column and lane_of_cell(cell) == lane]


def record_cell(column, writes, shows, saw):
    here = [(op, cell) for op in writes for cell in op.said["cells"]
            if cell[0] == column and lane_of_cell(cell) == REGISTER]
    standing = [(op, cell) for op, cell in here
                if not any(saw(other, op) for other, _ in here)]
    shown = sorted(((op.tie, op.id, cell[2]) for op, cell in standing
                    if cell[1] == "set" and shows(op)), reverse=True)
    if not shown:
        return None
    return {"live": [(op_id, value) for _, op_id, value in shown],
            "deleted": any(cell[1] == "unset" for _, cell in standing),
            "tie": shown[0][0]}


# --- the typed lanes (D3, D4, D5), of a key or of a cell ---


class Write:
    """What an op does to a typed lane: of a key, or of one cell of a record."""

    def __init__(self, op, verb, said):
        self.op = op
        self.verb = verb  # inc, reset, add, remove, raise, flag, or del (a cell's unset)
        self.said = said  # the op, or {"value": ...} and so on of a cell


def unseen(writes, of, by, saw):
    """The writes of kind `of` that none for which `by` holds has seen."""
    return [w for w in writes if w.verb == of
            and not any(by(o, w) and saw(o.op, w.op) for o in writes)]


def counter(writes, saw):
    """D3: the exact sum of the incs that no reset and no del has seen."""
    live = unseen(writes, "inc", lambda o, w: o.verb in ("reset", "del"), saw)
    return live, lambda shown: {"sum": sum(w.said["n"] for w in shown)}


def element_set(writes, saw):
    """D4: observed remove, add wins; a later add takes the place of one it has seen."""
    live = unseen(writes, "add", lambda o, w: o.verb == "del" or (
        o.verb in ("add", "remove") and o.said["value"] == w.said["value"]), saw)
    return live, lambda shown: {"elements": sorted({w.said["value"] for w in shown})}


def extreme(pick):
    def lane(writes, saw):
        """D5: the farthest of the raises that no del has seen."""
        live = unseen(writes, "raise", lambda o, w: o.verb == "del", saw)
        # One that a raise at least as far has seen decides nothing any more.
        live = [w for w in live if not any(
            saw(o.op, w.op) and pick(o.said["n"], w.said["n"]) == o.said["n"]
            for o in live)]
        def shown_as(shown):
            number = pick(w.said["n"] for w in shown)
            return {"number": number, "winner": max(
                (w.op.tie, w.op.id) for w in shown if w.said["n"] == number)[1]}
        return live, shown_as
    return lane


def flag(writes, saw):
    """D5: of flags that disagree on wins, unless a disable says that it wins."""
    live = unseen(writes, "flag", lambda o, w: o.verb in ("flag", "del"), saw)

    def shown_as(shown):
        on = {bool(w.said["on"]) for w in shown}
        wins = any(w.said.get("wins") for w in shown if not w.said["on"])
        return {"on": True in on and not wins, "conflict": len(on) > 1}
    return live, shown_as


TYPED = {COUNTER: counter, SET: element_set, MAX: extreme(max), MIN: extreme(min),
         FLAG: flag}


def typed(lane, writes, saw, shows=lambda op: True):
    live, shown_as = TYPED[lane](writes, saw)
    shown = [w for w in live if shows(w.op)]
    if not shown:
        return None
    return {**shown_as(shown), "tie": max(w.op.tie for w in shown),
            "ops": sorted(w.op.id for w in shown)}


def typed_of_key(lane):
    return lambda ops, saw: typed(
        lane, [Write(op, op.said["t"], op.said) for op in ops], saw)


# --- sequences (D6) ---


class Sequence:
    """The FugueMax tree of the inserts on one lane of one key. An element is (op id,
    offset); its children hang on its left or on its right."""

    START, END = "start", "end"

    def __init__(self, ops, saw):
        self.saw = saw
        self.children = {(self.START, 1): [], (self.END, 0): []}
        self.right_origin = {}
        self.op_of = {}
        inserts = [op for op in ops if op.said["t"] == "insert"]
        placed = []
        while len(placed) < len(inserts):
            for op in inserts:
                if op not in placed and all(o in placed for o in inserts if saw(op, o)):
                    self.insert(op)
                    placed.append(op)

    def walk(self, element):
        stack = [(element, False)]
        while stack:
            top, named = stack.pop()
            if named:
                yield top
                continue
            stack += [(c, False) for c in reversed(self.children.get((top, 1), []))]
            stack.append((top, True))
            stack += [(c, False) for c in reversed(self.children.get((top, 0), []))]

    def order(self):
        return [*self.walk(self.START), *self.walk(self.END)]

    def known(self, reference, op):
        """The element that a reference names, if it counts: it is in the op's past."""
        element = reference and (tuple(reference[:3]), reference[3])
        return element in self.op_of and self.saw(op, self.op_of[element]) and element

    def insert(self, op):
        left = op.said["left"]
        origin = self.START if left is None else self.known(left, op)
        seen = [e for e in self.order() if e in (self.START, self.END)
                or self.saw(op, self.op_of[e])]
        if not origin:  # dead (F3b): on the left of what counts on the right
            parent, side = self.known(op.said["right"], op) or self.END, 0
            follower = parent
        else:
            follower = seen[seen.index(origin) + 1]
            has_right = any(e in seen for child in self.children.get((origin, 1), [])
                            for e in self.walk(child))
            parent, side = (follower, 0) if has_right else (origin, 1)
        for offset in range(len(contents(op))):
            element = (op.id, offset)
            self.op_of[element] = op
            self.right_origin[element] = follower
            siblings = self.children.setdefault((parent, side), [])
            siblings.append(element)
            place = {e: n for n, e in enumerate(self.order())}
            siblings.sort(key=lambda e: (
                -place[self.right_origin[e]] if side == 1 else 0, self.op_of[e].tie))
            parent, side = element, 1


def contents(op):
    """A text is inserted by code points, a list by whole values."""
    return op.said["value"] if op.said["lane"] == TEXT else [op.said["value"]]


def sequence(ops, saw):
    """D6: what no cut that names it and has seen it, and no del that has, takes away."""
    tree = Sequence(ops, saw)
    dead = set()
    for op in ops:
        if op.said["t"] == "cut":
            for reference, count in op.said["ranges"]:
                for n in range(count):
                    dead.add(tree.known([*reference[:3], reference[3] + n], op))
        elif op.said["t"] == "del":
            dead |= {e for e, of in tree.op_of.items() if saw(op, of)}
    live = [e for e in tree.order() if e in tree.op_of and e not in dead]
    if not live:
        return None
    return {"items": [contents(tree.op_of[e])[e[1]] for e in live],
            "tie": max(tree.op_of[e].tie for e in live),
            "ops": sorted({e[0] for e in live})}


READERS = {REGISTER: register, RECORD: record, TEXT: sequence, LIST: sequence,
           **{lane: typed_of_key(lane) for lane in TYPED}}


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
    if kind != "record":
        return typed_fate(op, ops, seen, saw)
    return record_fate(op, ops, seen, saw)


def first_of(later, saw):
    return sorted(op.id for op in later
                  if not any(saw(op, other) for other in later))


TAKE_AWAY = {"del", "reset", "remove", "cut"}


def overruled(later, saw):
    first = first_of(later, saw)
    taken = all(op.said["t"] in TAKE_AWAY for op in later if op.id in first)
    return ("removed" if taken else "superseded"), first


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
    mine = {(cell[0], lane_of_cell(cell)): cell for cell in op.said["cells"]}
    if any(lane != REGISTER and cell[1] in ("unset", "reset", "remove")
           for (_, lane), cell in mine.items()):
        return None, None  # what only takes away is kept in no lane
    shown = seen.get(RECORD, {"cells": {}, "typed": {}, "presence": []})
    deletes = [o for o in ops if o.said["t"] == "del" and RECORD in o.said["lanes"]
               and counts_as_past(o, op, saw)]
    writes = [o for o in ops if o.said["t"] == "record" and saw(o, op)]
    found = set()
    for (column, lane), (_, verb, said, *_) in mine.items():
        if lane != REGISTER:
            found.add(as_shown(op.id, lane, said, shown["typed"].get(column, {}).get(lane)))
            continue
        live = [other for other, _ in shown["cells"].get(column, {"live": []})["live"]]
        if op.id in live:
            found.add("winner" if live[0] == op.id else "conflict")
        elif verb == "unset" and not any(
                (cell[0], lane_of_cell(cell)) == (column, REGISTER)
                for o in writes for cell in o.said["cells"]):
            if shown["presence"]:
                found.add("conflict" if live else "winner")
    if found - {None}:
        return max(found - {None}), []
    if op.id in shown["presence"]:
        return "winner", []
    later = deletes + [o for o in writes if not mine or any(
        (cell[0], lane_of_cell(cell)) in mine and speaks_against(
            lane_of_cell(cell), cell[1], cell[2], mine[cell[0], lane_of_cell(cell)][2])
        for cell in o.said["cells"])]
    return (overruled(later, saw)[0], None) if later else (None, None)


def as_shown(op_id, lane, said, shown):
    """What a write to a lane that holds several is there; None if it does not stand."""
    if shown is None or op_id not in shown["ops"]:
        return None
    wins = (shown["winner"] == op_id if lane in (MAX, MIN)
            else bool(said["on"]) == shown["on"] if lane == FLAG else True)
    return "winner" if wins else "conflict"


def speaks_against(lane, verb, said, earlier):
    """A write to a lane that has seen an earlier one makes it count no longer."""
    if verb in ("del", "unset") or lane in (REGISTER, FLAG):
        return True
    if lane == COUNTER:
        return verb == "reset"
    if lane == SET:
        return said["value"] == earlier["value"]
    return said["n"] >= earlier["n"] if lane == MAX else said["n"] <= earlier["n"]


def typed_fate(op, ops, seen, saw):
    """Shown, or overruled by the first of those that speak to what it wrote."""
    lane, kind = lanes_of(op)[0], op.said["t"]
    stands = as_shown(op.id, lane, op.said, seen.get(lane))
    if stands:
        return stands, []
    later = [o for o in ops if lane in lanes_of(o) and saw(o, op) and (
        cuts(o, op) if lane in (TEXT, LIST)
        else speaks_against(lane, o.said["t"], o.said, op.said))]
    if later:
        return overruled(later, saw)
    beside = kind == "remove" and op.said["value"] in seen.get(SET, {"elements": []})["elements"]
    return ("conflict" if beside else "winner"), []


def cuts(later, op):
    """A del, or of an insert a cut that names elements of it."""
    return later.said["t"] == "del" or later.said["t"] == "cut" and op.said["t"] == (
        "insert") and any(tuple(of[:3]) == op.id and of[3] < len(contents(op))
                          for of, _ in later.said["ranges"])
