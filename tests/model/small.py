"""Every small history of authority: four members and so many ops of theirs, in every way
to have seen each other. What each may say is `MENU`; who says it is a founder, two admins
whom he named in this order, and a writer.
"""

import itertools
import math

from story import ADMIN, WRITER, Story

NAMES = ("F", "A", "B", "W")


def shapes(count, writers=len(NAMES)):
    """Every way: tuples of (who, position, what of each other's he has seen)."""
    known = {}

    def extend(shape, lengths, named):
        if len(shape) == count:
            known.setdefault(tuple(sorted(shape)), shape)
            return
        for who in range(writers):
            ranges = [(named[who][who],) if other == who
                      else range(named[who][other], lengths[other] + 1)
                      for other in range(writers)]
            for seen in itertools.product(*ranges):
                extend((*shape, (who, lengths[who], seen)),
                       tuple(n + (w == who) for w, n in enumerate(lengths)),
                       tuple(seen if w == who else n for w, n in enumerate(named)))
    extend((), (0,) * writers, ((0,) * writers,) * writers)
    return [known[key] for key in sorted(known)]


def revoke(victim, subtree=False):
    def op(grants, seen):
        who = NAMES.index(victim)
        keep = [[who, seen[who]]] if seen[who] and not subtree else []
        return {"t": "revoke", "of": grants[victim], "keep": keep, "subtree": subtree}
    return op


def grant(_grants, _seen):
    return {"t": "grant", "to": 3, "role": WRITER, "scope": "", "delegate": False,
            "forks": 0}


def put(_grants, seen):
    return {"t": "put", "key": "k", "value": f"v{sum(seen)}"}


MENU = (
    (revoke("A"), revoke("B"), revoke("W"), revoke("A", subtree=True), grant),
    (revoke("A"), revoke("B"), revoke("W"), grant),
    (revoke("A"), revoke("B"), revoke("W"), grant),
    (put, revoke("W")),
)


def build(shape, said):
    """The history in which block n of the shape says `said[n]`. One's own grant revoked
    is a resignation."""
    story = Story(*NAMES)
    grants = dict(zip(NAMES[1:], story.say("F", *(
        {"t": "grant", "to": who, "role": ADMIN if who < 3 else WRITER, "scope": "",
         "delegate": who < 3, "forks": 0} for who in (1, 2, 3)))))
    story.grants.update(grants)
    for (who, _, seen), op in zip(shape, said):
        sees = [(name, seen[other] + (other == 0)) for other, name in enumerate(NAMES)
                if other != who]
        story.say(NAMES[who], op(grants, seen), sees=sees)
    return story.history


def histories(count):
    """Each as a history, of the sizes up to `count`."""
    for size in range(1, count + 1):
        for shape in shapes(size):
            for said in itertools.product(*(MENU[who] for who, _, _ in shape)):
                yield build(shape, said)


def how_many(count):
    return sum(math.prod(len(MENU[who]) for who, _, _ in shape)
               for size in range(1, count + 1) for shape in shapes(size))
