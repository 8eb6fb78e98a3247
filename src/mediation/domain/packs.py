"""Rule packs and notices, read: what the files of a set say as `Laws`, or every reason why they cannot be used."""

import hashlib
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta
from itertools import pairwise
from typing import Any, TypeVar

import msgspec

from mediation.domain.calendar import WorkCalendar, parse_notices
from mediation.domain.deadlines import Rule
from mediation.domain.errors import Malformed, Reason
from mediation.domain.laws import Laws, Procedure
from mediation.domain.process import TEXTS
from mediation.domain.vocabulary import Action, Expiry, LinkUp, Moment, Unit

_V = TypeVar("_V", Rule, Procedure)
_NEXT = frozenset({*(action.value for action in Action), *(link_up.value for link_up in LinkUp)})
_HANDOFF_ONLY = frozenset({Expiry.RETURN, Expiry.RECALL})
_DIVISION = re.compile(r"[0-9]{2,12}")
_RULE_ID, _PROCEDURE_ID = re.compile(r"[A-Z][A-Za-z0-9-]*"), re.compile(r"[a-z][a-z0-9_]*")
_LONGEST = {Unit.HOUR: 87_600, Unit.CALENDAR_DAY: 36_500, Unit.WORKING_DAY: 36_500, Unit.MONTH: 1_200, Unit.YEAR: 100}
"""The longest limit and extension of each unit: no count of them leaves the calendar."""
_DAYS = frozenset({Unit.CALENDAR_DAY, Unit.WORKING_DAY})
_IN_HOURS = frozenset({Unit.HOUR, Unit.CALENDAR_DAY})
"""By what a limit in hours may be extended."""


def parse_laws(packs: Mapping[str, str], notices: Mapping[str, str]) -> Laws:
    """Laws from rule packs (`{file name: TOML text}`) and working-day notices (`{file name: CSV text}`; pure).

    The set's digest is the SHA-256 of its files' `<sha256>  <name>` lines in order of name, as `sha256sum` prints them.
    Raises Malformed, naming file, rule and reason of everything wrong: an unknown unit, field or procedure, a missing
    basis or label, versions of one rule in force at once in one region, a limit beyond any calendar, a clock that
    nothing stops or that has no action on expiry.
    """
    wrong: list[Reason] = []
    rules: list[tuple[str, Rule]] = []
    procedures: list[tuple[str, Procedure]] = []
    for name, text in packs.items():
        try:
            pack = tomllib.loads(text)
        except tomllib.TOMLDecodeError as found:
            wrong.append(_bad(name, "-", f"不是有效的TOML {found}", f"not TOML: {found}"))
            continue
        given: dict[str, Any] = {key: pack.pop(key) for key in ("division", "region") if key in pack}
        texts = [key for key, said in given.items() if not isinstance(said, str)]
        wrong += [_bad(name, "-", f"{key} 须为文本", f"{key} is a text") for key in texts]
        given = {key: said for key, said in given.items() if key not in texts}
        rules += _entries(name, _tables(name, "rule", pack, wrong), Rule, given, wrong)
        procedures += _entries(name, _tables(name, "procedure", pack, wrong), Procedure, given, wrong)
        wrong += [_bad(name, "-", f"未知的表 {key}", f"unknown table {key!r}") for key in pack]
    calendar = WorkCalendar()
    try:
        calendar = parse_notices(notices)
    except Malformed as found:
        wrong += found.reasons
    dated_rules, dated_procedures = _dated(rules, wrong), _dated(procedures, wrong)
    wrong += (*_superseding(rules), *_superseding(procedures))
    known = {procedure.id for _, procedure in procedures}
    mediating = {procedure.id for _, procedure in procedures if procedure.mediates}
    for name, rule in rules:
        faults = (*_faults_of_rule(rule, known), *_faults_of_expiry(rule, known - mediating), *_faults_of_length(rule))
        wrong += (_bad(name, rule.version, zh, en) for zh, en in faults)
    for name, procedure in procedures:
        wrong += (_bad(name, procedure.version, zh, en) for zh, en in _faults_of_procedure(procedure, known))
    if wrong:
        raise Malformed(*wrong)
    sources, digest = digest_of({**packs, **notices})
    return Laws(dated_rules, dated_procedures, calendar, sources, digest)


def digest_of(files: Mapping[str, str]) -> tuple[dict[str, str], str]:
    """The digests of the files of a set by name, in order, and that of the set."""
    sources = {name: hashlib.sha256(files[name].encode()).hexdigest() for name in sorted(files)}
    listing = "".join(f"{digest}  {name}\n" for name, digest in sources.items())
    return sources, hashlib.sha256(listing.encode()).hexdigest()


def _tables(name: str, key: str, pack: dict[str, Any], wrong: list[Reason]) -> list[dict[str, Any]]:
    """The tables `[[key]]` of a pack; `[key]` and whatever else is there by that name is a fault."""
    tables = pack.pop(key, [])
    if isinstance(tables, list) and all(isinstance(table, dict) for table in tables):
        return tables
    wrong.append(_bad(name, "-", f"{key} 须写作 [[{key}]]，每条一表", f"{key} is written [[{key}]], a table for each"))
    return []


def _entries(
    name: str, tables: Iterable[dict[str, Any]], kind: type[_V], given: Mapping[str, str], wrong: list[Reason]
) -> Iterator[tuple[str, _V]]:
    for table in tables:
        called = f"{table.get('id', '?')}@{table.get('valid_from', '?')}"
        try:
            made: _V = msgspec.convert({**given, **table}, kind)
        except msgspec.ValidationError as found:
            wrong.append(_bad(name, called, str(found), str(found)))
            continue
        faults = [_bad(name, called, zh, en) for zh, en in _faults_of_entry(made)]
        wrong += faults
        if not faults:
            yield name, made


def _faults_of_entry(made: Rule | Procedure) -> Iterator[tuple[str, str]]:
    """What keeps a version out of the set: its name, its days, its place or its source."""
    if not all(_is_day(day) for day in (made.valid_from, made.valid_to or made.valid_from)):
        yield "valid_from、valid_to 须为日期", "valid_from and valid_to are days"
    elif made.valid_to and made.valid_to < made.valid_from:
        yield "valid_to 早于 valid_from", "valid_to is before valid_from"
    if not made.basis.strip():
        yield "缺依据", "its basis is empty"
    form = _RULE_ID if isinstance(made, Rule) else _PROCEDURE_ID
    if not form.fullmatch(made.id):
        yield f"id 须形如 {form.pattern}", f"its id is to match {form.pattern}"
    if made.division and not _DIVISION.fullmatch(made.division):
        yield "division 须为2至12位数字，全国留空", "division is 2 to 12 digits, or empty for the nation"


def _superseding(entries: Iterable[tuple[str, _V]]) -> Iterator[Reason]:
    """What is superseded is in the set."""
    entries = list(entries)
    known = {name for _, version in entries for name in (version.id, version.version)}
    for name, version in entries:
        if version.supersedes and version.supersedes not in known:
            zh, en = (
                f"所取代的 {version.supersedes} 不存在",
                f"it supersedes {version.supersedes!r}, which is not there",
            )
            yield _bad(name, version.version, zh, en)


def _dated(entries: Iterable[tuple[str, _V]], wrong: list[Reason]) -> dict[str, tuple[_V, ...]]:
    """Versions by id, oldest first; what is superseded ends the day before. Two in force at once are a fault."""
    entries = list(entries)
    after = {(v.supersedes, v.division): v.valid_from for _, v in entries if v.supersedes}
    by_id: dict[str, list[tuple[str, _V]]] = {}
    for name, version in entries:
        later = after.get((version.version, version.division)) or after.get((version.id, version.division))
        if later and not version.valid_to and later > version.valid_from:
            ends = (date.fromisoformat(later) - timedelta(days=1)).isoformat()
            version = msgspec.structs.replace(version, valid_to=ends)  # noqa: PLW2901  the version as it is in the set
        by_id.setdefault(version.id, []).append((name, version))
    for versions in by_id.values():
        versions.sort(key=lambda entry: (entry[1].division, entry[1].valid_from))
        for (_, earlier), (name, later_one) in pairwise(versions):
            same = earlier.division == later_one.division
            if same and (not earlier.valid_to or earlier.valid_to >= later_one.valid_from):
                zh = f"与 {earlier.version} 的有效期重叠"
                wrong.append(_bad(name, later_one.version, zh, f"in force at the same time as {earlier.version}"))
    return {
        key: tuple(sorted((version for _, version in versions), key=lambda v: (v.valid_from, v.division)))
        for key, versions in by_id.items()
    }


def _faults_of_rule(rule: Rule, known: set[str]) -> Iterator[tuple[str, str]]:
    for procedure in rule.procedures:
        if procedure not in known:
            yield f"未知程序 {procedure}", f"unknown procedure {procedure!r}"
    if rule.starts and not (rule.procedures or rule.link_ups):
        yield "有起算事由而无程序或对接", "it has a start but neither procedure nor link-up"
    if rule.starts and rule.value and (rule.on_expiry is None or not rule.until):
        yield "计时的期限须有停止事由和届满动作", "a clock needs what stops it and an action on expiry"


def _faults_of_expiry(rule: Rule, others: set[str]) -> Iterator[tuple[str, str]]:
    """`others`: the procedures that do not mediate."""
    if rule.on_expiry is Expiry.ACCEPT and rule.procedures and Moment.ACCEPTED not in rule.until:
        yield "视为受理的期限须以受理为止", "what is deemed accepted runs until it is accepted"
    if rule.on_expiry in _HANDOFF_ONLY and not rule.link_ups:
        yield f"{rule.on_expiry}只用于移交", f"{rule.on_expiry} is for hand-offs only"
    if rule.on_expiry is Expiry.FAIL and (not rule.procedures or others.intersection(rule.procedures)):
        yield "届满视为调解不成只用于调解程序", "fail is for procedures that mediate only"
    if rule.on_expiry is None and rule.value and not (rule.expiry_zh and rule.expiry_en):
        yield "未写明届满后果", "it does not say what expiry means"


def _faults_of_procedure(procedure: Procedure, known: set[str]) -> Iterator[tuple[str, str]]:
    for other in procedure.excludes:
        if other not in known:
            yield f"未知程序 {other}", f"unknown procedure {other!r}"
    for code in procedure.next:
        if code not in _NEXT:
            yield f"未知的后续步骤 {code}", f"unknown next step {code!r}"
    cited = [*(c.basis for c in procedure.accepts), *(g.basis for g in procedure.refuses)]
    cited += [article for articles in procedure.articles.values() for article in articles.split()]
    for article in (*cited, *procedure.texts):
        if article.partition("-")[0] not in TEXTS:
            yield f"未知法律文本 {article}", f"unknown text {article!r}"


def _faults_of_length(rule: Rule) -> Iterator[tuple[str, str]]:
    extension, in_hours, most = rule.extension, rule.unit is Unit.HOUR, _LONGEST[rule.unit]
    if rule.value < 0:
        yield "期限不能为负", "a limit is not negative"
    if rule.value > most:
        yield f"期限不超过{most}{rule.unit.zh}", f"a limit is {most} {rule.unit.en}s at most"
    if any(days < 1 or (rule.unit in _DAYS and days >= rule.value) for days in rule.warn):
        yield "提醒须在届满日之前、期限之内", "a reminder comes before the last day, and within the limit"
    if extension is None:
        return
    most = _LONGEST[extension.unit]
    if extension.value < 0 or extension.times < 0:
        yield "延长期限和次数不能为负", "an extension and its times are not negative"
    elif extension.value * max(extension.times, 1) > most:
        yield f"延长合计不超过{most}{extension.unit.zh}", f"extensions are {most} {extension.unit.en}s at most together"
    if extension.unit is Unit.HOUR and not in_hours:
        yield "以日计的期限不能按小时延长", "a limit in days is not extended by hours"
    if in_hours and extension.unit not in _IN_HOURS:
        yield "以小时计的期限只能按小时或日延长", "a limit in hours is extended by hours or days only"


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _bad(name: str, rule: str, zh: str, en: str) -> Reason:
    return Reason("bad_rule_pack", f"规则包 {name} 的 {rule}：{zh}", f"Rule pack {name}, {rule}: {en}")
