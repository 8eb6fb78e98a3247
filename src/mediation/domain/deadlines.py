"""Limits and procedures as data: rule packs parsed, the version in force on a day, and the day a clock is due."""

import tomllib
from collections.abc import Mapping
from datetime import date, timedelta
from itertools import pairwise
from typing import Any, NamedTuple, TypeVar

import msgspec

from mediation.domain.calendar import WorkCalendar, add_months, parse_notices
from mediation.domain.errors import Malformed, Reason
from mediation.domain.facts import Fact
from mediation.domain.vocabulary import Category, ClaimKind, DecisionKind, FailGround, OrgKind, Track

_T = TypeVar("_T")
UNITS = frozenset({"calendar_day", "working_day", "month", "year"})


class Rule(Fact, frozen=True):
    """One version of a limit: `value` `unit`s from a start event, with its article and evidence label."""

    id: str
    zh: str
    value: int
    unit: str
    basis: str
    label: str
    valid_from: str
    valid_to: str = ""
    on_expiry: str = ""
    extend_by: str = ""
    extend_days: int = 0
    extend_times: int = 0

    @property
    def version(self) -> str:
        """`<id>@<valid_from>`, the name under which events cite it."""
        return f"{self.id}@{self.valid_from}"


class Procedure(Fact, frozen=True):
    """A procedure: its track, who holds it, whether it decides, what it asks before mediation, and its clocks."""

    id: str
    zh: str
    en: str
    track: Track
    decides: bool
    kinds: tuple[OrgKind, ...]
    basis: str
    label: str
    texts: tuple[str, ...] = ()
    articles: dict[str, str] = {}  # noqa: RUF012  a struct copies its defaults
    by_link_up: bool = False
    beside: bool = False
    mediates: bool = True
    consent: str = "express"
    notice: bool = True
    prepared: bool = False
    confirmable: bool = False
    enforceable_by: str = ""
    forms: tuple[str, ...] = ("written",)
    seal: bool = True
    displaces: bool = False
    excludes: tuple[str, ...] = ()
    claim_kinds: tuple[ClaimKind, ...] = (ClaimKind.CIVIL,)
    categories: tuple[Category, ...] = ()
    fail_grounds: tuple[FailGround, ...] = ()
    decisions: tuple[DecisionKind, ...] = ()
    accept_clock: str = ""
    conclude_clock: str = ""
    conclude_from: str = "accept"
    mediation_stops_clock: bool = False
    speciality: str = ""


class Due(NamedTuple):
    """A due day, and whether it rests on a year without a published notice."""

    on: date
    provisional: bool


class Laws(NamedTuple):
    """Everything the law says as data: rules by id, each with its versions, oldest first; procedures; the calendar."""

    rules: Mapping[str, tuple[Rule, ...]]
    procedures: Mapping[str, Procedure]
    calendar: WorkCalendar

    def rule(self, rule_id: str, on: date) -> Rule | None:
        """The version of a rule in force on a day, or None."""
        day = on.isoformat()
        for rule in self.rules.get(rule_id, ()):
            if rule.valid_from <= day and (not rule.valid_to or day <= rule.valid_to):
                return rule
        return None

    def version(self, name: str) -> Rule | None:
        """The rule version an event cites as `<id>@<valid_from>`, or None."""
        rule_id = name.partition("@")[0]
        return next((rule for rule in self.rules.get(rule_id, ()) if rule.version == name), None)

    def due(self, rule: Rule, start: date, stood_days: int = 0, extended_days: int = 0) -> Due:
        """The last day of a limit that starts on `start`, which is not counted (民法典 201–203).

        `stood_days` are days the clock stood still; `extended_days` calendar days agreed on top.
        """
        if rule.unit == "working_day":
            day = self.calendar.add_working_days(start + timedelta(days=stood_days), rule.value)
        else:
            if rule.unit == "month":
                day = add_months(start, rule.value)
            elif rule.unit == "year":
                day = add_months(start, rule.value * 12)
            else:
                day = start + timedelta(days=rule.value)
            day = self.calendar.roll(day + timedelta(days=stood_days))
        if extended_days:
            day = self.calendar.roll(day + timedelta(days=extended_days))
        return Due(day, self.calendar.is_provisional(day))

    def default_procedure(self, kind: OrgKind, category: Category, speciality: str) -> Procedure | None:
        """The procedure a body uses for a category where the command names none: the most specific that fits."""
        fitting = [
            p
            for p in self.procedures.values()
            if kind in p.kinds
            and not p.by_link_up
            and not p.beside
            and (not p.categories or category in p.categories)
            and (not p.speciality or p.speciality == speciality)
        ]
        return max(fitting, key=lambda p: (bool(p.speciality), bool(p.categories)), default=None)


def parse_laws(packs: Mapping[str, str], notices: str) -> Laws:
    """Laws from rule packs (`{file name: TOML text}`) and the working-day notices (CSV).

    Raises Malformed with file, rule and reason: an unknown unit or field, a missing basis or label, versions that
    overlap, a procedure whose clock does not exist.
    """
    rules: dict[str, list[Rule]] = {}
    procedures: dict[str, Procedure] = {}
    for name, text in packs.items():
        try:
            pack = tomllib.loads(text)
        except tomllib.TOMLDecodeError as found:
            raise _bad(name, "-", str(found)) from found
        for table in pack.get("rule", ()):
            rule = _convert(name, table, Rule)
            if rule.unit not in UNITS:
                raise _bad(name, rule.id, f"unknown unit {rule.unit!r}")
            rules.setdefault(rule.id, []).append(rule)
        for table in pack.get("procedure", ()):
            procedure = _convert(name, table, Procedure)
            procedures[procedure.id] = procedure
    dated = {rule_id: tuple(sorted(versions, key=lambda r: r.valid_from)) for rule_id, versions in rules.items()}
    _check(dated, procedures)
    return Laws(dated, procedures, parse_notices(notices))


def _check(rules: Mapping[str, tuple[Rule, ...]], procedures: Mapping[str, Procedure]) -> None:
    for rule_id, versions in rules.items():
        for earlier, later in pairwise(versions):
            if not earlier.valid_to or earlier.valid_to >= later.valid_from:
                raise _bad("packs", rule_id, f"{earlier.version} and {later.version} overlap")
    for procedure in procedures.values():
        for clock in (procedure.accept_clock, procedure.conclude_clock):
            if clock and clock not in rules:
                raise _bad("packs", procedure.id, f"unknown clock {clock}")


def _convert(name: str, table: dict[str, Any], kind: type[_T]) -> _T:
    try:
        made = msgspec.convert(table, kind)
    except msgspec.ValidationError as found:
        raise _bad(name, str(table.get("id", "?")), str(found)) from found
    if not (table.get("basis") and table.get("label")):
        raise _bad(name, str(table.get("id", "?")), "basis or label missing")
    return made


def _bad(name: str, rule: str, why: str) -> Malformed:
    return Malformed(
        Reason("bad_rule_pack", f"规则包 {name} 的 {rule} 无效：{why}", f"Rule pack {name}, {rule}: {why}")
    )
