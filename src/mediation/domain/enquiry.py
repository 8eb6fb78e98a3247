"""What may be asked of the laws: which rules and procedures there are, and when a limit that starts on a day is due."""

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from difflib import get_close_matches
from typing import Any, TypeVar

import msgspec

from mediation.domain.calendar import SHANGHAI
from mediation.domain.deadlines import Interval, Rule, explain, reckon
from mediation.domain.errors import Malformed, NotFound, Reason, Refused
from mediation.domain.facts import Fact
from mediation.domain.laws import Laws, Procedure
from mediation.domain.vocabulary import Label, Unit, Word

Table = dict[str, Any]
_V = TypeVar("_V", Rule, Procedure)
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d(:\d\d(\.\d{1,6})?)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_EARLIEST, _LATEST = 1949, 2100


def moment(said: str) -> date | datetime:
    """A day `YYYY-MM-DD`, or an instant with its offset (RFC 3339), of 1949 to 2100. Raises Malformed."""
    try:
        if _DAY.fullmatch(said):
            return _plausible(date.fromisoformat(said))
        if _INSTANT.fullmatch(said):
            return _plausible(datetime.fromisoformat(said.upper()))
    except ValueError:
        pass
    zh = f"{said[:40]} 不是1949至2100年间的日期（YYYY-MM-DD）或带时区的时刻（RFC 3339）"
    en = f"{said[:40]} is neither a day YYYY-MM-DD nor an instant with its offset (RFC 3339), of 1949 to 2100"
    raise Malformed(Reason("bad_day", zh, en))


def day(said: str) -> date:
    """A day `YYYY-MM-DD` of 1949 to 2100. Raises Malformed."""
    if not _DAY.fullmatch(said):
        raise Malformed(Reason("bad_day", f"{said[:40]} 须为日期 YYYY-MM-DD", f"{said[:40]} is no day YYYY-MM-DD"))
    return moment(said)


def _plausible(found: date) -> date:
    if not _EARLIEST <= found.year <= _LATEST:
        raise ValueError
    return found


def counted(
    laws: Laws,
    rule_id: str,
    start: date | datetime,
    *,
    stood: Sequence[Interval] = (),
    extended: int = 0,
    division: str = "",
    on: date | None = None,
) -> Table:
    """`{rule, due_on, provisional, explanation: [{on, zh, en}]}`: when a limit that starts on `start` ends, and why.

    The version in force `on` a day (by default that of the start, in Shanghai) in a division is counted.

    Raises NotFound for an unknown rule; Refused, if no version is in force there and then (its reasons name those there
    are) or the extension is longer than the rule allows; Malformed, if an hour rule is given a day; and what `reckon`
    raises.
    """
    applies = (on or (start.astimezone(SHANGHAI) if isinstance(start, datetime) else start)).strftime("%Y-%m-%d")
    rule = _in_force(laws, rule_id, applies, division)
    if rule.unit is Unit.HOUR and not isinstance(start, datetime):
        zh = f"{rule.version} 按小时计算：须给出时刻，如 {start}T08:00:00+08:00"
        en = f"{rule.version} counts hours: give an instant, such as {start}T08:00:00+08:00"
        raise Malformed(Reason("instant_needed", zh, en))
    _allow(rule, extended)
    due = reckon(rule, start, laws.calendar, stood=stood, extended=extended)
    lines = explain(rule, start, laws.calendar, stood=stood, extended=extended)
    applied = {"on": applies, "zh": f"适用 {_said(rule, 'zh')}", "en": f"The rule: {_said(rule, 'en')}"}
    explanation = [applied, *(line._asdict() for line in lines)]
    if stood and not rule.suspends:
        zh, en = (
            "该规则未规定中止事由：仅按所给区间推算",
            "The rule names no cause for standing still: counted as asked",
        )
        explanation.insert(1, {"on": applies, "zh": zh, "en": en})
    if rule.doubt:
        zh, _, en = rule.doubt.partition("。 ")
        explanation.append({"on": due.on, "zh": f"存疑：{zh}", "en": f"Open to doubt: {en or zh}"})
    return {"rule": rule.version, "due_on": due.on, "provisional": due.provisional, "explanation": explanation}


def listed(laws: Laws, *, on: str = "", division: str = "", named: str = "") -> Table:
    """`{digest, sources, rules, procedures, calendar}`: every version of every rule and procedure, with its labels.

    `on` leaves those in force on a day, `division` those for bodies of a division; with both there is one of each id,
    the one that applies. `named` leaves those of one id.
    """
    years = laws.calendar.years
    return {
        "digest": laws.digest,
        "sources": [{"name": name, "sha256": digest} for name, digest in laws.sources.items()],
        "rules": [rule_table(rule) for rule in _chosen(laws.rules, on, division, named)],
        "procedures": [_whole(procedure) for procedure in _chosen(laws.procedures, on, division, named)],
        "calendar": {"years": sorted(years), "provisional_from": provisional_from(laws)},
    }


def provisional_from(laws: Laws) -> int | None:
    """The first year after the published ones without a notice; None where no year is published."""
    years = laws.calendar.years
    return next((year + 1 for year in sorted(years) if year + 1 not in years), None)


def versions(laws: Laws, rule_id: str) -> list[Table]:
    """Every version of a rule, oldest first. Raises NotFound."""
    if rule_id not in laws.rules:
        raise _unknown(laws, rule_id)
    return [rule_table(rule) for rule in laws.rules[rule_id]]


def rule_table(rule: Rule) -> Table:
    """A rule as it is published: every field, its version, and in both languages what its codes mean."""
    table = _whole(rule)
    for name in ("unit", "label", "roll", "on_expiry"):
        word: Word | None = getattr(rule, name)
        table[f"{name}_zh"], table[f"{name}_en"] = (word.zh, word.en) if word else ("", "")
    return table | {"limit_zh": limit(rule)[0], "limit_en": limit(rule)[1]}


def limit(rule: Rule) -> tuple[str, str]:
    """`30个工作日`, `30 working days`; that no number is stated, where none is."""
    if not rule.value:
        return "无具体期限", "no number stated"
    return f"{rule.value}{rule.unit.zh}", f"{rule.value} {rule.unit.en}{'s' if rule.value > 1 else ''}"


def in_force(version: Rule | Procedure) -> tuple[str, str]:
    """From when to when a version holds, and where, in both languages."""
    zh, en = f"自{version.valid_from}", f"from {version.valid_from}"
    if version.valid_to:
        zh, en = f"{zh}至{version.valid_to}", f"{en} to {version.valid_to}"
    if version.division:
        region = version.region or version.division
        zh, en = f"{zh}，限{region}（{version.division}）", f"{en}, in {region} ({version.division})"
    return zh, en


def _in_force(laws: Laws, rule_id: str, day: str, division: str) -> Rule:
    if rule_id not in laws.rules:
        raise _unknown(laws, rule_id)
    rule = laws.rule(rule_id, day, division)
    if rule:
        return rule
    reasons = []
    for version in laws.rules[rule_id]:
        zh, en = in_force(version)
        reasons.append(Reason("rule_not_in_force", f"{version.version} {zh}", f"{version.version} {en}", version.basis))
    where_zh, where_en = (f"在区划{division}", f" in division {division}") if division else ("", "")
    raise Refused(
        *reasons,
        zh=f"{rule_id} {day}{where_zh}没有施行的版本；现有版本：" + "；".join(reason.zh for reason in reasons),
        en=f"No version of {rule_id} is in force on {day}{where_en}; there are: "
        + "; ".join(reason.en for reason in reasons),
    )


def _unknown(laws: Laws, rule_id: str) -> NotFound:
    asked = rule_id.upper()
    near = [known for known in laws.rules if asked and known.startswith(asked)][:5]
    near = near or get_close_matches(asked, laws.rules, n=3)
    zh, en = (f"；是否指 {'、'.join(near)}", f"; did you mean {', '.join(near)}") if near else ("", "")
    return NotFound(zh=f"没有规则 {rule_id}{zh}", en=f"There is no rule {rule_id}{en}")


def _allow(rule: Rule, extended: int) -> None:
    """Refuse more than the extensions of a rule together allow; whether it has any, `reckon` asks."""
    extension = rule.extension
    if not extension or not extension.value or not extension.times:
        return
    most = extension.value * extension.times
    if extended > most:
        unit, each = extension.unit, f"{extension.value}×{extension.times}"
        zh = f"{rule.version} 最多可延长{most}{unit.zh}（{each}），不能延长{extended}{unit.zh}"
        en = f"{rule.version} may be extended by {most} {unit.en}s at most ({each}), not by {extended}"
        raise Refused(Reason("extension_too_long", zh, en, rule.basis))


def _chosen(kinds: Mapping[str, Sequence[_V]], on: str, division: str, named: str) -> list[_V]:
    found: list[_V] = []
    for key in sorted(kinds):
        if named and key != named:
            continue
        held = [
            version
            for version in kinds[key]
            if (not on or (version.valid_from <= on and (not version.valid_to or on <= version.valid_to)))
            and (not division or division.startswith(version.division))
        ]
        if on and division and held:
            held = [max(held, key=lambda version: (len(version.division), version.valid_from))]
        found += held
    return found


def _said(rule: Rule, lang: str) -> str:
    zh, en = limit(rule)
    unheld = rule.label is Label.P and not rule.text
    if lang == "zh":
        return f"{rule.version} {rule.zh}：{zh}（{rule.basis}；{rule.label.zh}{'，本库未存原文' if unheld else ''}）"
    return f"{rule.version} {rule.en}: {en} ({rule.basis}; {rule.label.en}{', not held here' if unheld else ''})"


def _whole(version: Rule | Procedure) -> Table:
    """Every field, defaults too; `valid_to` is null where it is open."""
    return {
        "id": version.id,
        "version": version.version,
        **_fields(version),
        "valid_to": version.valid_to or None,
    }


def _fields(fact: Fact) -> Table:
    return {name: _plain(value) for name, value in msgspec.structs.asdict(fact).items()}


def _plain(value: object) -> object:
    if isinstance(value, Fact):
        return _fields(value)
    return [_plain(item) for item in value] if isinstance(value, tuple) else value
