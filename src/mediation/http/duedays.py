"""The deadlines of a case: each clock with its rule, how its day was counted, and what happens when it runs out."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from mediation.domain.calendar import day_of
from mediation.domain.clocks import counted, division_of, due_of, is_over, terms, urgencies
from mediation.domain.deadlines import Extension, Rule
from mediation.domain.errors import Refused
from mediation.domain.facts import Case, Clock, Day, Instant, Organisation
from mediation.domain.laws import Laws
from mediation.domain.vocabulary import ClockState, Expiry, Unit, Word
from mediation.http.contract import ACTING, ACTING_FOR, ETAG, EVERY, LANGUAGE, answer, refusals
from mediation.http.dependencies import CaseId, desk, json_answer, no_query, now, seeing
from mediation.http.schemas import Schema, ref
from mediation.service.perform import instant

routes = APIRouter(tags=["cases"])

OWED = {
    "answer": ("答复移交", "answer to the hand-off"),
    "report": ("反馈结果", "report on the hand-off"),
    "performance": ("履行协议", "performance of the agreement"),
    "tracking": ("挂牌跟踪", "tracking of a listed case"),
}
"""What a person sets a day for."""

_SET = "办理时设定的日期，设定人见历史", "A day set in a step of the case; its history says by whom"
_OPEN_ENDED = "自该日起跟踪，无届满日", "Tracked from this day; it has no last day"
_STANDS = (
    "自{}起中止计时，恢复后届满日相应顺延",
    "It stands still since {}; its last day moves on accordingly once it runs again",
)
_NOW_OTHERWISE = (
    "届满日按当时的放假安排计算；按现行安排计算有所不同",
    "Its day was counted by the notices of its time; by those of today the count is another",
)
_LOST = (
    "现行规则集无法重新推算，以记录的届满日为准",
    "The present set of laws cannot count it again; the day on record stands",
)
Table = dict[str, Any]


@routes.get(
    "/v1/cases/{case_id}/deadlines",
    operation_id="list_deadlines",
    responses={
        200: answer("期限 its deadlines", ref("Deadlines")) | {"headers": ETAG},
        **refusals(*EVERY, *ACTING, "not_found"),
    },
    openapi_extra={"parameters": [ACTING_FOR, LANGUAGE]},
)
async def list_deadlines(request: Request, case_id: CaseId) -> Response:
    """各项期限及推算过程，计时中的在前。The clocks of a case, how each was counted, running and earliest first."""
    no_query(request)
    asked_at = now(request)
    case, seen = await seeing(request, case_id)
    laws, at = desk(request).house.laws, instant(asked_at, case)
    urgent = urgencies(case, laws, seen.orgs, at)
    clocks = sorted(case.clocks, key=_order)
    items = [_deadline(case, clock, laws, seen.orgs, at) | urgent[clock.id - 1]._asdict() for clock in clocks]
    return json_answer(msgspec.json.encode({"items": items, "laws": laws.digest}), ETag=f'"{case.version}"')


def _order(clock: Clock) -> tuple[bool, bool, Day, Instant, int]:
    return clock.state is not ClockState.RUNNING, not clock.going, clock.due_on, clock.due_at, clock.id


def _deadline(case: Case, clock: Clock, laws: Laws, orgs: Mapping[str, Organisation], at: Instant) -> Table:
    """One clock as a person reads it at an instant; what is absent is left out."""
    division = division_of(case, clock, orgs)
    known = laws.version(clock.rule, division)
    rule = terms(laws, clock, division) if clock.rule else None
    lines, pending = _explanation(laws, clock, rule)
    out: Table = {"clock": clock.id} | _named(clock, rule)
    for name in ("leg", "handoff", "agreement", "complaint", "from_on", "from_at", "due_on", "due_at"):
        if value := getattr(clock, name):
            out[name] = value
    out |= {"state": clock.state, **_words("state", clock.state)}
    out |= {"provisional": clock.provisional, "recount_pending": pending, "stood": _stood(clock)}
    if clock.standing_on:
        out["standing_since"] = clock.standing_on
    if clock.state is ClockState.RUNNING and clock.due_on:
        today = day_of(at)
        out["days_left"] = (date.fromisoformat(clock.due_on) - today).days
        out["reminders_on"] = _reminders(known, clock.due_on, today)
    if clock.expiry:
        out |= {"on_expiry": clock.expiry, **_words("on_expiry", Expiry(clock.expiry))}
    if known:
        out |= _extension(known.extension, clock, at)
        out |= {"basis": known.basis, "label": known.label, **_words("label", known.label)}
        told = ("expiry_zh", "expiry_en", "region", "doubt")
        out |= {name: value for name in told if (value := getattr(known, name))}
    return out | {"explanation": lines}


def _named(clock: Clock, rule: Rule | None) -> Table:
    """The rule and its terms; or what a person set the day for."""
    zh, en = OWED.get(clock.owed, ("", ""))
    if rule is None:
        return {"owed": clock.owed, "zh": zh, "en": en}
    out = {"rule": clock.rule} | ({"owed": clock.owed} if clock.owed else {})
    return out | {"zh": rule.zh, "en": rule.en, "value": rule.value, "unit": rule.unit, **_words("unit", rule.unit)}


def _explanation(laws: Laws, clock: Clock, rule: Rule | None) -> tuple[list[Table], bool]:
    """How the day was counted, a line a step; and whether the calendar of today says otherwise."""
    stored = clock.due_at or clock.due_on
    if rule is None:
        return [_line(stored, *_SET) if stored else _line(clock.from_on, *_OPEN_ENDED)], False
    try:
        due = due_of(laws, clock, rule)
        lines = [line._asdict() for line in counted(laws, clock, rule)]
    except Refused:  # its pack has gone, or allows no more what was once extended
        return [_line(stored, *_LOST)], False
    if clock.standing_on:
        lines.append(_line(stored, *(said.format(clock.standing_on) for said in _STANDS)))
    if due.on != stored and not clock.going:
        lines.append(_line(stored, *_NOW_OTHERWISE))
    return lines, clock.going and due != (stored, clock.provisional)


def _line(on: str, zh: str, en: str) -> Table:
    return {"on": on, "zh": zh, "en": en}


def _stood(clock: Clock) -> list[Table]:
    return [{"from": first, "to": last} for first, last in zip(clock.stood[::2], clock.stood[1::2], strict=True)]


def _reminders(rule: Rule | None, due_on: Day, today: date) -> list[Day]:
    """The days still to come on which the body is reminded, the first first."""
    days = (date.fromisoformat(due_on) - timedelta(days=before) for before in (rule.warn if rule else ()))
    return [day.isoformat() for day in sorted(days) if day > today]


def _extension(allowed: Extension | None, clock: Clock, at: Instant) -> Table:
    """By how much it was extended, and what its rule still allows: a number that is left out is not limited."""
    if allowed is None:
        return {}
    unit: Table = {"unit": allowed.unit, **_words("unit", allowed.unit)}
    out: Table = {"extended": {"by": clock.extended, **unit, "times": clock.extensions}} if clock.extensions else {}
    spent = allowed.times and clock.extensions >= allowed.times
    if spent or clock.state is not ClockState.RUNNING or is_over(clock, at):
        return out
    more: Table = {"by": allowed.by, **_words("by", allowed.by)}
    if allowed.value:
        more |= {"most": allowed.value}
    if allowed.times:
        more |= {"times_left": allowed.times - clock.extensions}
    if allowed.paper:
        more |= {"paper": allowed.paper, **_words("paper", allowed.paper)}
    return out | {"may_extend": more | unit}


def _words(name: str, word: Word) -> Table:
    return {f"{name}_zh": word.zh, f"{name}_en": word.en}


# ── what the OpenAPI file says ──


def _text(description: str = "", **more: str) -> Schema:
    return {"type": "string", **({"description": description} if description else {}), **more}


def _object(properties: Schema, *optional: str) -> Schema:
    return {"type": "object", "properties": properties, "required": [n for n in properties if n not in optional]}


def _worded(name: str, schema: Schema) -> Schema:
    return {name: schema, f"{name}_zh": _text(), f"{name}_en": _text()}


_DAY, _MOMENT = {"format": "date"}, {"format": "date-time"}
_NUMBER: Schema = {"type": "integer"}
_FLAG: Schema = {"type": "boolean"}
_UNIT = _worded("unit", ref(Unit.__name__))
_STEP = _object({"on": _text("日期或时刻 the day, or the instant"), "zh": _text(), "en": _text()})
_EXTENDED = _object({"by": _NUMBER, **_UNIT, "times": _NUMBER})
_MORE = _object(
    {
        **_worded("by", ref("ExtendBy")),
        "most": _NUMBER | {"description": "每次最多 at most so much each time; absent: no most"},
        "times_left": _NUMBER | {"description": "还可延长几次 how often yet; absent: as often as agreed"},
        **_worded("paper", ref("DocumentKind")),
        **_UNIT,
    },
    *("most", "times_left", "paper", "paper_zh", "paper_en"),
)
_PROPERTIES: Schema = {
    "clock": _NUMBER | {"description": "期限编号 number of the clock"},
    "rule": _text("规则版本 `<id>@<valid_from>`; absent: a person set the day"),
    "owed": _text("所待事项 what is awaited by that day") | {"enum": list(OWED)},
    "zh": _text("期限名称"),
    "en": _text("name of the limit"),
    "value": _NUMBER,
    **_UNIT,
    **dict.fromkeys(("leg", "handoff", "agreement", "complaint"), _NUMBER),
    "from_on": _text("起算日 the day from which it counts", **_DAY),
    "from_at": _text("按小时的起算时刻 the instant, of an hour rule", **_MOMENT),
    "due_on": _text("届满日 its last day", **_DAY),
    "due_at": _text("按小时的届满时刻 its last instant, of an hour rule", **_MOMENT),
    **_worded("state", ref(ClockState.__name__)),
    "overdue": _FLAG | {"description": "已逾期 it has run out at the instant of the request"},
    "due_soon": _FLAG | {"description": "临期 it is to be reminded of, or three days are left at most"},
    "provisional": _FLAG | {"description": "暂定 it depends on a year without a notice"},
    "recount_pending": _FLAG | {"description": "待重算 the calendar of today says otherwise; to be counted anew"},
    "stood": {"type": "array", "items": _object({"from": _text(**_DAY), "to": _text(**_DAY)})},
    "standing_since": _text("中止自 it stands still since", **_DAY),
    "days_left": _NUMBER | {"description": "剩余自然日 calendar days left; negative: so many days over"},
    "reminders_on": {"type": "array", "items": _text(**_DAY), "description": "尚未到的提醒日 reminders to come"},
    "extended": _EXTENDED | {"description": "已延长 by how much, and how often"},
    "may_extend": _MORE | {"description": "还可延长 who may extend it, by how much, how often, on what paper"},
    **_worded("on_expiry", ref("Expiry")),
    "expiry_zh": _text("届满后果"),
    "expiry_en": _text("what expiry means"),
    "basis": _text("依据 the article"),
    **_worded("label", ref("Label")),
    "region": _text("地方规则适用的地方 where a regional rule holds"),
    "doubt": _text("存疑之处 what is open about it"),
    "explanation": {"type": "array", "items": _STEP, "description": "推算过程 how its day was counted, step by step"},
}
_ALWAYS = {
    *("clock", "zh", "en", "state", "state_zh", "state_en", "overdue", "due_soon", "provisional", "recount_pending"),
    *("stood", "explanation"),
}
SCHEMAS: dict[str, Schema] = {
    "Deadline": _object(_PROPERTIES, *(name for name in _PROPERTIES if name not in _ALWAYS)),
    "Deadlines": _object(
        {
            "items": {"type": "array", "items": ref("Deadline")},
            "laws": _text("现行规则集摘要 digest of the set of laws in force"),
        }
    ),
}
