"""A case at two instants: how it stood at one, and which facts are others at the other."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from mediation.domain.events import PARTS, Event, evolve
from mediation.domain.facts import Case, Fact, Instant

_OF_THE_VERSION = frozenset({"id", "version", "head", "at"})
"""What tells versions apart and is no fact of the dispute."""


class Change(NamedTuple):
    """One fact that is another now: `state`, or `legs.1.state` of a part by its number; None: there is or was none."""

    path: str
    before: Any
    after: Any


def stood_at(history: Iterable[Event], at: Instant) -> Case | None:
    """The case as it stood at an instant, by its history from the first event on; None before there was one.

    No event after that instant is folded, nor asked for but the first of them. Raises BrokenTrail, as `evolve`.
    """
    case: Case | None = None
    for event in history:
        if event.at > at:
            break
        case = evolve(case, event)
    return case


def differences(before: Case | None, after: Case | None) -> list[Change]:
    """The facts that differ, those of the case first, then of its parts in the order of their numbers.

    Codes, ids, numbers and days, as an event has them; nothing is personal here. A fact that is empty is None.
    """
    then, now = _header(before), _header(after)
    found = [Change(name, then.get(name), now.get(name)) for name in now or then if then.get(name) != now.get(name)]
    for name in PARTS:
        first, second = getattr(before, name, ()), getattr(after, name, ())
        for place in range(max(len(first), len(second))):
            found += _of_part(f"{name}.{place + 1}", first[place : place + 1], second[place : place + 1])
    return found


def _of_part(path: str, first: tuple[Fact, ...], second: tuple[Fact, ...]) -> list[Change]:
    """What differs in one part; where it was not there before (or is not now), whatever is said of it at all."""
    then, now = (_facts(part[0]) if part else {} for part in (first, second))
    told = [
        Change(f"{path}.{name}", then.get(name), now.get(name))
        for name in now or then
        if name != "id" and then.get(name) != now.get(name)
    ]
    return told if first and second else [change for change in told if change.before or change.after]


def _header(case: Case | None) -> dict[str, Any]:
    if case is None:
        return {}
    facts = _facts(msgspec.structs.replace(case, **dict.fromkeys(PARTS, ())))
    return {name: value for name, value in facts.items() if name not in _OF_THE_VERSION and name not in PARTS}


def _facts(fact: Fact) -> dict[str, Any]:
    """Every fact by its name, also one that is as it is by default; None for the empty code, day or list."""
    values = {name: msgspec.to_builtins(getattr(fact, name)) for name in fact.__struct_fields__}
    return {name: None if value in ("", []) else value for name, value in values.items()}
