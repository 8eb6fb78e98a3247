"""The oracle: the stories as entities of Cedar, and what its policy says of each question."""

import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import cedarpy
from tests.matrix.district import BODIES, PEOPLE, STORIES, HandedOff, Story

POLICY = Path(__file__).with_name("policy.cedar")
COUNTER = ("Counter", "cases")


class Question(NamedTuple):
    """Whether a person may do something: to a case by its name here, a body, or the counter."""

    who: str
    action: str
    kind: str
    what: str


def _ref(kind: str, name: str) -> dict[str, Any]:
    return {"__entity": {"type": kind, "id": name}}


def _refs(kind: str, names: Iterable[str]) -> list[dict[str, Any]]:
    return [_ref(kind, name) for name in names]


def _parents(*pairs: tuple[str, str]) -> list[dict[str, str]]:
    return [{"type": kind, "id": name} for kind, name in pairs]


def _entity(kind: str, name: str, parents: list[dict[str, str]], **attrs: Any) -> dict[str, Any]:
    return {"uid": {"type": kind, "id": name}, "attrs": attrs, "parents": parents}


def _codes() -> set[str]:
    return {b.division for b in BODIES.values()} | {s.division for s in STORIES.values()}


def _divisions() -> list[dict[str, Any]]:
    """Each division below the one whose code begins its own."""
    codes = _codes()
    return [
        _entity("Division", code, _parents(*(("Division", above) for above in codes if above != code and code.startswith(above))))
        for code in codes
    ]  # fmt: skip


def _people() -> list[dict[str, Any]]:
    made = []
    for name, who in PEOPLE.items():
        attrs = {"org": _ref("Org", who.org or "none"), "roles": list(who.roles), "second_factor": who.second_factor}
        if who.org and BODIES[who.org].kind == "audit_office":
            attrs["jurisdiction"] = _ref("Division", BODIES[who.org].division)
        made.append(_entity("User", name, [], **attrs))
    return made


def _case(name: str, story: Story) -> dict[str, Any]:
    live = [handoff for handoff in story.handoffs if handoff.live]
    where = {story.division, *(BODIES[body].division for body in story.named)}
    attrs: dict[str, Any] = {
        "named": _refs("Org", story.named),
        "open": _refs("Org", story.open),
        "unassigned": _refs("Org", (body for body in story.open if not story.mediators.get(body))),
        "mediating": _refs("Org", (body for body in story.open if body not in story.deciding)),
        "receiving": _refs("Org", (handoff.to_org for handoff in live)),
        "received": _refs("Org", (handoff.to_org for handoff in live if handoff.received)),
        "assisting": _refs("Org", story.assisting),
        "assigned": _refs("User", (one for people in story.mediators.values() for one in people)),
        "recused": _refs("User", story.recused),
        "closers": _refs("User", story.closers),
        "listed_by": _refs("Org", story.listed_by),
        "restricted": story.restricted,
        "keeper": _ref("Org", story.keeper or story.leg_org),
    }
    if story.leader:
        attrs["leader"] = _ref("User", story.leader)
    parents = _parents(*(("Org", body) for body in story.named), *(("Division", code) for code in where))
    return _entity("Case", name, parents, **attrs)


@cache
def _entities() -> str:
    bodies = [
        _entity("Org", key, _parents(("Division", b.division), *([("Org", b.superior)] if b.superior else [])))
        for key, b in BODIES.items()
    ]
    groups = [_entity("Action", name, _parents(("Action", group))) for name, group in _ACTIONS.items()]
    cases = [_case(name, story) for name, story in STORIES.items()]
    everywhere = next(code for code in _codes() if all(one.startswith(code) for one in _codes()))
    counter = _entity(*COUNTER, [], everywhere=_ref("Division", everywhere))
    return json.dumps([*_divisions(), *bodies, *_people(), *cases, *groups, counter])


_STEPS = (
    "accept decline merge absorb reopen prepare appoint inform_rights record_consent start convene record_undisputed "
    "suspend resume extend settle fail decide withdraw close fulfil breach void follow_up escalate delegate refer "
    "receive return recall report change_parties note correct grade_risk take_charge urge supervise lift complain "
    "answer archive appoint_for_party record_consent_for_party fulfil_for_party"
)
_ACTIONS = dict.fromkeys(_STEPS.split(), "step") | dict.fromkeys(
    ("disclose_plain", "disclose_undisputed", "disclose_compromise"), "disclose"
)


def _context(story: Story, *, sees: bool) -> dict[str, Any]:
    leg = {"org": _ref("Org", story.leg_org), "mediators": _refs("User", story.mediators.get(story.leg_org, ()))}
    said: dict[str, Any] = {"leg": leg, "sees": sees}
    first: HandedOff | None = next(iter(story.handoffs), None)
    if first:
        said["handoff"] = {"from": _ref("Org", first.from_org), "to": _ref("Org", first.to_org)}
    return said


def _ask(questions: list[Question], sees: dict[tuple[str, str], bool]) -> list[bool]:
    requests = []
    for who, action, kind, what in questions:
        context = _context(STORIES[what], sees=sees.get((who, what), False)) if kind == "Case" else {}
        requests.append(
            {
                "principal": {"type": "User", "id": who},
                "action": {"type": "Action", "id": action},
                "resource": {"type": kind, "id": what},
                "context": context,
            }
        )
    results = cedarpy.is_authorized_batch(requests, POLICY.read_text("utf-8"), _entities())
    faults = {error for result in results for error in result.diagnostics.errors}
    assert not faults, faults
    return [result.allowed for result in results]


@cache
def readers() -> dict[tuple[str, str], bool]:
    """Whether each person reads each case."""
    cells = [(who, case) for who in PEOPLE for case in STORIES]
    answers = _ask([Question(who, "read", "Case", case) for who, case in cells], {})
    return dict(zip(cells, answers, strict=True))


def answers(questions: Iterable[Question]) -> dict[Question, bool]:
    """What the policy says to each question."""
    asked = list(dict.fromkeys(questions))
    return dict(zip(asked, _ask(asked, readers()), strict=True))
