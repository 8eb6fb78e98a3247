"""How each operation of the API is called so that nothing changes, and which question to the oracle it is.

A step is sent about a version that never was: in the fixed order of refusals whoever does not see the case is told 404,
whoever may not take the step 403, and only who may is told 412.
"""

import json
import uuid
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeAlias

import httpx2
from tests.matrix.district import BODIES, PEOPLE, STORIES, Story
from tests.matrix.told import DISPUTE, District, org, person

NOBODY = "00000000-0000-7000-8000-000000000000"
NEVER = '"999999999"'
_TOMORROW = "2099-01-01"
_PLAN = {"leader": NOBODY, "handler": NOBODY, "plan": "先听双方意见", "due_on": _TOMORROW}

STEPS: Mapping[str, dict[str, Any]] = {
    "accept": {},
    "decline": {"ground": "not_competent"},
    "merge": {"into": NOBODY},
    "absorb": {"case": NOBODY, "version": 1},
    "reopen": {"cause": "new_fact"},
    "prepare": {"plan": _PLAN},
    "appoint": {"mediators": [NOBODY]},
    "inform_rights": {},
    "record_consent": {"consent": "given", "parties": [1]},
    "start": {},
    "convene": {},
    "record_undisputed": {"signed_by": [1, 2]},
    "suspend": {"cause": "appraisal"},
    "resume": {},
    "extend": {"clock": 1, "by": 1},
    "settle": {},
    "fail": {"ground": "no_agreement"},
    "decide": {"decision": "judgment"},
    "withdraw": {"reason": "solved", "on_behalf_of": [1]},
    "close": {},
    "fulfil": {},
    "breach": {},
    "void": {"ground": "judgment"},
    "follow_up": {"finding": "reconciled"},
    "escalate": {"to_org": NOBODY},
    "delegate": {"to_org": NOBODY},
    "refer": {"link_up": "joint", "to_org": NOBODY},
    "receive": {"handoff": 1},
    "return": {"handoff": 1, "reason": "no_capacity"},
    "recall": {"handoff": 1},
    "report": {"handoff": 1, "code": "failed"},
    "change_parties": {"change": "leave", "parties": [1]},
    "note": {"kind": "fact"},
    "correct": {"category": "other"},
    "grade_risk": {"risk": "blue"},
    "take_charge": {},
    "urge": {},
    "supervise": {},
    "lift": {},
    "complain": {"on_behalf_of": [1]},
    "answer": {"complaint": 1, "upheld": True},
    "archive": {},
    "appoint_for_party": {"action": "appoint", "mediators": [NOBODY], "on_behalf_of": [1]},
    "record_consent_for_party": {"action": "record_consent", "consent": "given", "on_behalf_of": [1]},
    "fulfil_for_party": {"action": "fulfil", "on_behalf_of": [1]},
}
"""By the name of the oracle's action: the command, at its least."""
OF_A_HANDOFF = {"receive", "return", "recall", "report"}

Answer: TypeAlias = httpx2.Response
Ask: TypeAlias = Callable[[District, str, str], Awaitable[Answer]]


class Column(NamedTuple):
    """One question about a case: an operation, the oracle's action, and how it is answered to whoever may.

    `fits`: the cases about which it can be asked at all.
    """

    operation: str
    action: str
    ask: Ask
    allowed: tuple[int, ...] = (200,)
    fits: Callable[[Story], bool] = lambda _: True

    @property
    def name(self) -> str:
        return self.operation if self.action == "read" else f"{self.operation}: {self.action}"


class Found(NamedTuple):
    """One list or search: the cases found in it; None where it is refused. `action`: what one must have leave for."""

    operation: str
    action: str
    ask: Callable[[District, str], Awaitable[set[str] | None]]
    holds: Callable[[str, Story], bool] = lambda _who, _story: True


def _get(suffix: str = "") -> Ask:
    async def ask(district: District, who: str, case: str) -> Answer:
        return await district.call(who, "GET", f"/v1/cases/{district.cases[case].id}{suffix}")

    return ask


def _as_of_now() -> Ask:
    async def ask(district: District, who: str, case: str) -> Answer:
        return await _get(f"?as_of={_now()}")(district, who, case)

    return ask


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


async def _event(district: District, who: str, case: str) -> Answer:
    return await district.call(who, "GET", f"/v1/events/{district.cases[case].event}")


async def _proof(district: District, who: str, case: str) -> Answer:
    return await district.call(who, "GET", f"/v1/events/{district.cases[case].event}/proof")


def _disclosing(field: str) -> Ask:
    async def ask(district: District, who: str, case: str) -> Answer:
        path = f"/v1/cases/{district.cases[case].id}/disclosures"
        return await district.call(who, "POST", path, {"purpose": "通知到场", "fields": [field]})

    return ask


async def _erase(district: District, who: str, case: str) -> Answer:
    """Of a party that there is not, so that nobody is erased."""
    path = f"/v1/cases/{district.cases[case].id}/erasures"
    return await district.call(who, "POST", path, {"party": 99, "ground": "retention_ended"})


def _step(action: str) -> Ask:
    async def ask(district: District, who: str, case: str) -> Answer:
        body = {"action": action} | STEPS[action]
        if action not in OF_A_HANDOFF and action != "reopen":
            body["leg"] = STORIES[case].leg
        path = f"/v1/cases/{district.cases[case].id}/events"
        return await district.call(who, "POST", path, body, If_Match=NEVER, Idempotency_Key=uuid.uuid4().hex)

    return ask


def _stepping(action: str) -> Column:
    if action in OF_A_HANDOFF:
        return Column("take_step", action, _step(action), (412,), lambda story: bool(story.handoffs))
    return Column("take_step", action, _step(action), (412,))


CASES: tuple[Column, ...] = (
    Column("show_case", "read", _get()),
    Column("show_case", "read", _as_of_now()),
    Column("list_changes", "read", _get("/changes")),
    Column("list_case_events", "read", _get("/events")),
    Column("show_case_bundle", "read", _get("/bundle")),
    Column("list_actions", "read", _get("/actions")),
    Column("list_deadlines", "read", _get("/deadlines")),
    Column("show_event", "read", _event),
    Column("show_event_proof", "read", _proof),
    *(_stepping(action) for action in STEPS),
    Column("disclose", "disclose_plain", _disclosing("parties.1.phone")),
    # Of most cases there is no such value yet, which is told to whoever might see it.
    Column("disclose", "disclose_undisputed", _disclosing("undisputed.1"), (200, 422)),
    Column("disclose", "disclose_compromise", _disclosing("compromise.1"), (200, 422)),
    Column("erase", "erase", _erase, (422,)),
)


# ── lists ──


def _named(district: District, ids: set[str]) -> set[str]:
    return {name for name, told in district.cases.items() if told.id in ids}


def _worklist(query: str = "") -> Callable[[District, str], Awaitable[set[str] | None]]:
    async def ask(district: District, who: str) -> set[str] | None:
        answer = await district.call(who, "GET", f"/v1/cases?limit=200{query}")
        if answer.status_code == 403:
            return None
        assert answer.status_code == 200, answer.text
        return _named(district, {item["id"] for item in answer.json()["items"]})

    return ask


async def _by_number(district: District, who: str) -> set[str] | None:
    found: set[str] = set()
    for name, told in district.cases.items():
        one = await _worklist(f"&q={told.number}")(district, who)
        if one is None:
            return None
        assert one <= {name}
        found |= one
    return found


async def _as_they_stood(district: District, who: str) -> set[str] | None:
    return await _worklist(f"&as_of={_now()}")(district, who)


async def _streamed(district: District, who: str) -> set[str] | None:
    answer = await district.call(who, "GET", "/v1/events?overdue=false", Accept="application/x-ndjson")
    if answer.status_code == 403:
        return None
    assert answer.status_code == 200, answer.text
    return _named(district, {json.loads(line)["case"] for line in answer.content.splitlines()})


async def _feed(district: District, who: str) -> set[str] | None:
    ids: set[str] = set()
    after = -1
    while True:
        answer = await district.call(who, "GET", f"/v1/events?after={max(after, 0)}&limit=200")
        if answer.status_code == 403:
            return None
        said = answer.json()
        ids |= {item["case"] for item in said["items"]}
        if said["next"] in {after, 0}:
            return _named(district, ids)
        after = said["next"]


def _tray(box: str) -> Callable[[District, str], Awaitable[set[str] | None]]:
    async def ask(district: District, who: str) -> set[str] | None:
        answer = await district.call(who, "GET", f"/v1/handoffs?box={box}&limit=200")
        if answer.status_code == 403:
            return None
        return _named(district, {item["case"]["id"] for item in answer.json()["items"]})

    return ask


async def _by_person(district: District, who: str) -> set[str] | None:
    body = {"id_number": DISPUTE["parties"][0]["id_number"], "purpose": "duplicate", "limit": 200}
    answer = await district.call(who, "POST", "/v1/persons/search", body)
    if answer.status_code == 403:
        return None
    return _named(district, {item["case"]["id"] for item in answer.json()["items"]})


def _sent_to(who: str, story: Story) -> bool:
    return any(handoff.live and handoff.to_org == PEOPLE[who].org for handoff in story.handoffs)


def _sent_from(who: str, story: Story) -> bool:
    return any(handoff.live and handoff.from_org == PEOPLE[who].org for handoff in story.handoffs)


def _told_of(who: str, story: Story) -> bool:
    """What was said of a restricted case is found by its words by the bodies that handle it, and by nobody above them."""
    handling = {*story.open, *(handoff.to_org for handoff in story.handoffs if handoff.live)}
    return not story.restricted or PEOPLE[who].org in handling


LISTS: tuple[Found, ...] = (
    Found("list_cases", "read", _worklist()),
    Found("list_cases", "read", _by_number),
    Found("list_cases", "read", _worklist("&q=两家因排水发生争执"), _told_of),
    Found("search_person", "search", _by_person),
    Found("list_cases", "read", _as_they_stood),
    Found("list_events", "read", _feed),
    Found("list_events", "read", _streamed),
    Found("list_handoffs", "read", _tray("in"), _sent_to),
    Found("list_handoffs", "read", _tray("out"), _sent_from),
)


# ── what is about no case ──


class Other(NamedTuple):
    """An operation about no case; `action` is empty for what any good token may ask.

    `denied` answers members who may not. In `path`, `{events}` and `{access}` are the newest bundles of the logs.
    """

    operation: str
    action: str
    method: str
    path: str
    body: Callable[[District], Any] = lambda _: None
    allowed: int = 200
    resource: tuple[str, str] = ("Counter", "cases")
    denied: int = 403


def _filing(**changes: Any) -> Callable[[District], Any]:
    return lambda _: DISPUTE | changes


def _joining(**changes: Any) -> Callable[[District], Any]:
    """A filing by case code in an archived case, which is refused once it is permitted."""
    return lambda district: {"case_code": district.cases["archived"].code} | changes


OTHERS: tuple[Other, ...] = (
    Other("file_case", "file", "POST", "/v1/cases", _filing(), 201),
    Other("file_case", "file_for_party", "POST", "/v1/cases", _filing(on_behalf_of=[1]), 201),
    Other("file_case", "file", "POST", "/v1/cases", _joining(), 409),
    Other("file_case", "file_for_party", "POST", "/v1/cases", _joining(on_behalf_of=[1]), 409),
    Other("list_attempts", "read_attempts", "GET", "/v1/attempts"),
    Other("list_disclosures", "read_access", "GET", "/v1/disclosures"),
    Other("show_statistics", "statistics", "GET", "/v1/statistics"),
    Other("list_administration", "read_administration", "GET", "/v1/administration"),
    Other("list_memberships", "read_registry", "GET", "/v1/memberships"),
    Other("list_people", "read_registry", "GET", "/v1/people"),
    Other("show_log_entries", "follow", "GET", "/v1/log/entries/{events}", denied=404),
    Other("show_log_bundle", "follow", "GET", "/v1/log/tile/entries/{events}", denied=404),
    Other("show_access_log_entries", "follow", "GET", "/v1/access-log/entries/{access}", denied=404),
    Other("show_access_log_bundle", "follow", "GET", "/v1/access-log/tile/entries/{access}", denied=404),
    Other("show_log_epoch", "follow", "GET", "/v1/log/epochs/1/tile/entries/{events}", denied=404),
    Other("show_access_log_epoch", "follow", "GET", "/v1/access-log/epochs/1/tile/entries/{access}", denied=404),
    Other("show_access", "", "GET", "/v1/access"),
    Other("show_process", "", "GET", "/v1/process"),
    Other("show_glossary", "", "GET", "/v1/glossary"),
    Other("list_divisions", "", "GET", "/v1/divisions"),
    Other("list_organisations", "", "GET", "/v1/organisations"),
    Other("list_rules", "", "GET", "/v1/rules"),
    Other("show_rule", "", "GET", "/v1/rules/PM-MED"),
    Other("reckon_due", "", "POST", "/v1/rules/PM-MED/due", lambda _: {"from": "2026-03-02"}),
)


class Registry(NamedTuple):
    """A change of the registry, to what is there already; `org` is the body it is about."""

    operation: str
    org: str
    method: str
    path: str
    body: dict[str, Any] | None = None
    allowed: int = 200

    @property
    def action(self) -> str:
        return {"grant_membership": "grant", "revoke_membership": "grant"}.get(self.operation, self.operation)


def _as_it_is(code: str) -> dict[str, Any]:
    body = BODIES[code]
    superior = org(body.superior) if body.superior else None
    return body._asdict() | {"code": code, "name": code, "superior": superior}


def _of(name: str) -> dict[str, Any]:
    return {"person": person(name), "org": org(PEOPLE[name].org), "roles": list(PEOPLE[name].roles)}


REGISTRY: tuple[Registry, ...] = (
    *(
        Registry("put_organisation", code, "PUT", f"/v1/organisations/{org(code)}", _as_it_is(code))
        for code in ("V1", "T", "K", "V9")
    ),
    *(
        Registry("put_person", PEOPLE[name].org, "PUT", f"/v1/people/{person(name)}", {"code": name, "name": name})
        for name in ("other_mediator", "coordinator", "judge", "far_chair")
    ),
    *(
        Registry("grant_membership", PEOPLE[name].org, "POST", "/v1/memberships", _of(name))
        for name in ("other_mediator", "coordinator", "judge", "far_chair")
    ),
    *(  # where they do not serve, so that nobody is revoked
        Registry("revoke_membership", code, "DELETE", f"/v1/memberships?person={person(name)}&org={org(code)}", None, 204)
        for name, code in (("other_mediator", "V2"), ("other_mediator", "T"), ("judge", "P"), ("far_chair", "C9"))
    ),
)  # fmt: skip


PUBLIC = {
    *("show_livez", "show_readyz", "show_version", "show_metrics"),
    *(f"show_{log}_{what}" for log in ("log", "access_log") for what in ("checkpoint", "vkey", "tile", "epoch")),
}
"""Asked without a token; they tell nothing of any case. Of an epoch the entries alone are for whoever may follow."""


def operations() -> set[str]:
    """Every operation that has a place in the matrix."""
    return PUBLIC | {column.operation for column in (*CASES, *LISTS, *OTHERS, *REGISTRY)}
