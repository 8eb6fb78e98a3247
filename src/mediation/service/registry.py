"""The registry as files fill it: divisions, organisations and people from CSV, checked before they are loaded."""

import csv
import io
import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any, NamedTuple

from msgspec import Struct
from uuid_utils import uuid7

from mediation.domain.errors import MediationError, Reason
from mediation.domain.registering import (
    OPERATOR,
    DivisionRow,
    Hand,
    IdentityRow,
    Import,
    ImportDivisions,
    ImportIdentities,
    ImportOrganisations,
    ImportPeople,
    MemberRow,
    clashes,
    identity_digest,
    imported,
    name_digest,
    put,
    vouched,
)
from mediation.domain.vocabulary import Category, OrgKind, Role, Tier, Word
from mediation.store import bodies
from mediation.store.bodies import AsyncConnection, AsyncEngine, Person

LEVELS = ("province", "city", "county", "township", "village")

_NAMESPACE = uuid.UUID("6f3c1c52-7a0e-4f5e-9b0d-2a6d8a1f4c10")
_MOST_REASONS = 50
_CODE = re.compile(r"[A-Za-z0-9._-]{1,64}")


class ImportRefused(MediationError):
    """A file was not loaded; each reason names a line."""

    code = "import_refused"
    zh = "文件有误，未导入任何内容"
    en = "The file has errors; nothing was imported"


class _Line(NamedTuple):
    number: int
    fields: dict[str, str]


class _Check:
    """Collects what is wrong with a file, by line."""

    def __init__(self) -> None:
        self.reasons: list[Reason] = []

    def wrong(self, line: int, zh: str, en: str) -> None:
        self.reasons.append(Reason("bad_line", f"第{line}行：{zh}", f"Line {line}: {en}"))

    def unknown(self, line: _Line, field: str, known: Callable[[str], bool]) -> None:
        value = line.fields[field]
        if not known(value):
            self.wrong(line.number, f"{field} “{value}” 不存在", f"{field} {value!r} is unknown")

    def refuse(self) -> None:
        if self.reasons:
            raise ImportRefused(*self.reasons[:_MOST_REASONS])


def org_id(code: str) -> str:
    """The id of the organisation of this code: the same in every import."""
    return str(uuid.uuid5(_NAMESPACE, f"organisation:{code}"))


def person_id(code: str) -> str:
    """The id of the person of this code: the same in every import."""
    return str(uuid.uuid5(_NAMESPACE, f"person:{code}"))


async def person_by(engine: AsyncEngine, said: str) -> Person | None:
    """The person of this code or id, with memberships; None if there is none."""
    return await bodies.find_person(engine, said)


async def import_divisions(engine: AsyncEngine, text: str) -> int:
    """Load divisions from CSV `code,level,name,parent_code`: how many. Raises ImportRefused, and loads nothing."""
    check = _Check()
    lines = _lines(text, ("code", "level", "name", "parent_code"), check)
    _distinct(lines, ("code",), check)
    codes = {line.fields["code"] for line in lines}
    async with bodies.turn(engine) as connection:
        parents = (line.fields["parent_code"] for line in lines)
        known = codes | await bodies.known_divisions(connection, parents)
        for line in lines:
            check.unknown(line, "level", LEVELS.__contains__)
            if line.fields["parent_code"]:
                check.unknown(line, "parent_code", known.__contains__)
            _filled(line, ("code", "name"), check)
            _spelt(line, check)
        check.refuse()
        rows = [
            {"code": f["code"], "name": f["name"], "level": f["level"], "parent": f["parent_code"] or None}
            for _, f in lines
        ]
        await bodies.put(connection, divisions=rows)
        said = (DivisionRow(f["code"], f["level"], name_digest(f["name"], ""), f["parent_code"]) for _, f in lines)
        await _noted(connection, ImportDivisions, text, said, len(lines))
    return len(rows)


async def import_organisations(engine: AsyncEngine, text: str) -> int:
    """Load organisations from CSV `code,name,name_en,kind,tier,division,speciality,superior`: how many.

    `superior` is the code of a body in the file or already known. Raises ImportRefused, and loads nothing.
    """
    check = _Check()
    columns = ("code", "name", "name_en", "kind", "tier", "division", "speciality", "superior")
    lines = _lines(text, columns, check)
    _distinct(lines, ("code",), check)
    async with bodies.turn(engine) as connection:
        divisions = await bodies.known_divisions(connection, (line.fields["division"] for line in lines))
        above = await bodies.superiors(connection) | {line.fields["code"]: line.fields["superior"] for line in lines}
        for line in lines:
            _filled(line, ("code", "name"), check)
            _spelt(line, check)
            check.unknown(line, "kind", _codes(OrgKind).__contains__)
            check.unknown(line, "tier", _codes(Tier).__contains__)
            check.unknown(line, "division", divisions.__contains__)
            check.unknown(line, "speciality", {"", *_codes(Category)}.__contains__)
            check.unknown(line, "superior", {"", *above}.__contains__)
            if _circular(line.fields["code"], above):
                check.wrong(line.number, "上级关系成环", "its superiors go round in a circle")
        ids = await bodies.coded(connection, "organisations", above)
        made = {code: org_id(code) for code in above if code not in ids}
        _untaken(lines, "code", made, await bodies.codes_of(connection, "organisations", made.values()), check)
        check.refuse()
        rows = [
            {
                "id": ids.get(f["code"]) or org_id(f["code"]),
                **{name: f[name] for name in columns if name != "superior"},
                "superior": (ids.get(f["superior"]) or org_id(f["superior"])) if f["superior"] else None,
            }
            for _, f in lines
        ]
        await bodies.put(connection, organisations=rows)
        if await bodies.too_deep(connection):
            raise ImportRefused(Reason("too_deep", "上级层数过多", "Some have too many superiors above one another"))
        there = await bodies.bodies(connection, (str(row["id"]) for row in rows))
        said = (put(there[str(row["id"])].organisation, active=there[str(row["id"])].active) for row in rows)
        await _noted(connection, ImportOrganisations, text, said, len(rows))
    return len(rows)


async def import_people(engine: AsyncEngine, text: str) -> int:
    """Load people from CSV `person_code,name,org_code,roles`, a line a membership: how many lines.

    Roles are separated by `|`. Raises ImportRefused, and loads nothing.
    """
    check = _Check()
    lines = _lines(text, ("person_code", "name", "org_code", "roles"), check)
    _distinct(lines, ("person_code", "org_code"), check)
    names: dict[str, str] = {}
    async with bodies.turn(engine) as connection:
        orgs = await bodies.coded(connection, "organisations", (line.fields["org_code"] for line in lines))
        people = await bodies.coded(connection, "people", (line.fields["person_code"] for line in lines))
        for line in lines:
            _filled(line, ("person_code", "name", "roles"), check)
            check.unknown(line, "org_code", orgs.__contains__)
            for role in line.fields["roles"].split("|"):
                if role not in _codes(Role) or role == Role.CLOCK.value:
                    check.wrong(line.number, f"角色 “{role}” 不存在", f"role {role!r} is unknown")
            if names.setdefault(line.fields["person_code"], line.fields["name"]) != line.fields["name"]:
                check.wrong(line.number, "同一人员代码有两个姓名", "one person code has two names")
        made = {code: person_id(code) for code in names if code not in people}
        _untaken(lines, "person_code", made, await bodies.codes_of(connection, "people", made.values()), check)
        check.refuse()
        known = await bodies.staff(connection, people.values())
        homes = {id_: person.home for id_, person in known.items()}
        held = {id_: dict(person.memberships) for id_, person in known.items()}
        memberships: list[MemberRow] = []
        for line in lines:
            code, org, roles = (
                line.fields["person_code"],
                orgs[line.fields["org_code"]],
                line.fields["roles"].split("|"),
            )
            person = people.setdefault(code, person_id(code))
            homes.setdefault(person, org)
            held.setdefault(person, {})[org] = tuple(map(Role, roles))
            memberships.append(MemberRow(person, homes[person], org, held[person][org]))
        for line in lines:  # what is refused depends on every line of a person, so each of them is named
            person = people[line.fields["person_code"]]
            there, wanted = known.get(person), {role for at in held[person].values() for role in at}
            had = {role for at in there.memberships.values() for role in at} if there else set()
            identified = there is not None and bool(there.identities)
            for why in (*clashes(wanted), *vouched(had, wanted, identified=identified)):
                check.wrong(line.number, why.zh, why.en)
        check.refuse()
        rows = [
            {"id": people[code], "code": code, "name": name, "home": homes[people[code]]}
            for code, name in names.items()
        ]
        held_now = [{"person": one.person, "org": one.org, "roles": list(one.roles)} for one in memberships]
        await bodies.put(connection, people=rows, memberships=held_now)
        await _noted(connection, ImportPeople, text, memberships, len(lines))
    return len(lines)


async def import_identities(engine: AsyncEngine, text: str) -> int:
    """Load by which tokens people are known, from CSV `person_code,issuer,subject`: how many lines.

    Identities that a person has already, and the file does not say, stay. Raises ImportRefused, and loads nothing.
    """
    check = _Check()
    lines = _lines(text, ("person_code", "issuer", "subject"), check)
    _distinct(lines, ("issuer", "subject"), check)
    async with bodies.turn(engine) as connection:
        people = await bodies.coded(connection, "people", (line.fields["person_code"] for line in lines))
        holders = await bodies.holders(connection, [(line.fields["issuer"], line.fields["subject"]) for line in lines])
        for line in lines:
            _filled(line, ("issuer", "subject"), check)
            check.unknown(line, "person_code", people.__contains__)
            holder = holders.get((line.fields["issuer"], line.fields["subject"]))
            if holder and holder != people.get(line.fields["person_code"]):
                check.wrong(line.number, "该登录标识属于另一人员", "this identity is another person's")
        check.refuse()
        for _, f in lines:
            if (f["issuer"], f["subject"]) not in holders:
                await bodies.link(connection, people[f["person_code"]], [(f["issuer"], f["subject"])])
        said = (IdentityRow(identity_digest(f["issuer"], f["subject"]), people[f["person_code"]]) for _, f in lines)
        await _noted(connection, ImportIdentities, text, said, len(lines))
    return len(lines)


async def _noted(
    connection: AsyncConnection, kind: type[Import], text: str, rows: Iterable[Struct], lines: int
) -> None:
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    hand = Hand(OPERATOR, "", OPERATOR, at, str(uuid7()))
    await bodies.note(connection, hand, *imported(kind, text, lines, rows))


def _lines(text: str, columns: Sequence[str], check: _Check) -> list[_Line]:
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff")))
    header = next(reader, [])
    if header != list(columns):
        check.wrong(1, f"表头须为 {','.join(columns)}", f"the header must be {','.join(columns)}")
        check.refuse()
    return list(_rows(reader, columns, check))


def _rows(reader: Any, columns: Sequence[str], check: _Check) -> Iterator[_Line]:  # noqa: ANN401  # csv's reader has no public type
    for values in reader:
        if len(values) == len(columns):
            yield _Line(reader.line_num, dict(zip(columns, (value.strip() for value in values), strict=True)))
        elif values:
            number = len(values)
            check.wrong(
                reader.line_num, f"应有{len(columns)}列，实为{number}列", f"{number} fields, not {len(columns)}"
            )


def _distinct(lines: Sequence[_Line], key: Sequence[str], check: _Check) -> None:
    seen: dict[tuple[str, ...], int] = {}
    for line in lines:
        first = seen.setdefault(tuple(line.fields[name] for name in key), line.number)
        if first != line.number:
            check.wrong(line.number, f"与第{first}行重复", f"says again what line {first} says")


def _filled(line: _Line, names: Sequence[str], check: _Check) -> None:
    for name in names:
        if not line.fields[name]:
            check.wrong(line.number, f"{name} 为空", f"{name} is empty")


def _spelt(line: _Line, check: _Check) -> None:
    """Refuse a code that no entry of the log can say, nor a case number begin with."""
    code = line.fields["code"]
    if code and not _CODE.fullmatch(code):
        zh, en = f"code “{code}” 只能用64个以内的字母、数字和 . _ -", f"code {code!r} is not of letters, digits, . _ -"
        check.wrong(line.number, zh, en)


def _untaken(lines: Sequence[_Line], field: str, made: dict[str, str], taken: dict[str, str], check: _Check) -> None:
    """Refuse to make a row whose id somebody has registered under another code: the file would name theirs."""
    for line in lines:
        code = line.fields[field]
        if other := taken.get(made.get(code, "")):
            zh, en = (
                f"{field} “{code}” 的标识已登记于另一代码“{other}”",
                f"the id of {field} {code!r} is another's: {other!r}",
            )
            check.wrong(line.number, zh, en)


def _circular(code: str, above: dict[str, str]) -> bool:
    seen = {code}
    while (code := above.get(code, "")) and code not in seen:
        seen.add(code)
    return bool(code)


@cache
def _codes(word: type[Word]) -> frozenset[str]:
    return frozenset(str(member.value) for member in word)
