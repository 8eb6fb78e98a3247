"""The demo county 奈曼旗: its divisions, bodies and people, made from the package's tables; every name is invented."""

import csv
import io
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any

from mediation.domain.facts import Organisation
from mediation.domain.vocabulary import OrgKind, Tier
from mediation.service.registry import org_id

Row = dict[str, str]

COUNTY = "150525"
_COMMITTEE = "-people_committee"
_WOMEN_EVERY = 3


def divisions_csv() -> str:
    """The divisions as `registry.import_divisions` reads them."""
    return _read("naiman_150525.csv")


@cache
def organisations(divisions: str | None = None) -> tuple[Row, ...]:
    """Every body: those listed, and one of each rule for every township and village, of these divisions or its own."""
    county = _county()
    units = {row["code"]: row for row in csv.DictReader((divisions or divisions_csv()).splitlines())}
    rows = [_body(body) for body in county["bodies"]]
    for rule in county["per_unit"]:
        rows += [
            _derived(rule, unit, units, county["township_en"])
            for unit in units.values()
            if unit["level"] == rule["level"]
        ]
    return tuple(rows)


@cache
def people(divisions: str | None = None) -> tuple[Row, ...]:
    """A person for every post of every body: `person_code,name,org_code,roles`, the same at every call."""
    county = _county()
    rows = []
    for org in organisations(divisions):
        posts = county["staffing"][org["tier"]][org["kind"]]
        every = [(role, number) for role, count in posts.items() for number in range(1, count + 1)]
        names = _names(county["people"], org["code"])
        rows += [
            {
                "person_code": person_code(org["code"], role, number),
                "name": next(names),
                "org_code": org["code"],
                "roles": role,
            }
            for role, number in every
        ]
    return tuple(rows)


def person_code(org_code: str, role: str, number: int = 1) -> str:
    """`150525103201-mediator-1` at a people's committee, `150525-court-judge-1` elsewhere (`-02` is kept)."""
    return f"{org_code.removesuffix('-01').removesuffix(_COMMITTEE)}-{role}-{number}"


def as_csv(rows: Iterable[Row]) -> str:
    """Rows with the same keys as CSV with a header."""
    rows = list(rows)
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0].keys(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


@cache
def disputes() -> tuple[dict[str, Any], ...]:
    """The disputes as they are written in the package's tables, by their numbers."""
    names = ("disputes_1.toml", "disputes_2.toml", "disputes_3.toml", "disputes_4.toml")
    return tuple(dispute for name in names for dispute in tomllib.loads(_read(name))["disputes"])


@cache
def bodies() -> Mapping[str, Organisation]:
    """The organisations as the rules know them, by id, each with its superiors nearest first."""
    rows = {row["code"]: row for row in organisations()}
    return {
        org_id(code): Organisation(
            id=org_id(code),
            code=code,
            name=row["name"],
            name_en=row["name_en"],
            kind=OrgKind(row["kind"]),
            tier=Tier(row["tier"]),
            division=row["division"],
            speciality=row["speciality"],
            superior=org_id(row["superior"]) if row["superior"] else "",
            path=tuple(org_id(above) for above in superiors(code)),
        )
        for code, row in rows.items()
    }


def superiors(code: str) -> Iterator[str]:
    """The codes of the bodies above, nearest first."""
    above = _above()
    while code := above[code]:
        yield code


@cache
def _above() -> Mapping[str, str]:
    return {row["code"]: row["superior"] for row in organisations()}


def names() -> dict[str, list[str]]:
    """Surnames and given names of invented people, `mongolian_…` complete ones."""
    return {kind: some for kind, some in _county()["people"].items() if isinstance(some, list)}


@cache
def _county() -> dict[str, Any]:
    return tomllib.loads(_read("county.toml"))


def _read(name: str) -> str:
    return (files("mediation") / "data" / name).read_text("utf-8")


def _body(body: Mapping[str, str]) -> Row:
    columns = ("code", "name", "name_en", "kind", "tier", "division", "speciality", "superior")
    return {column: body.get(column, "") for column in columns}


def _derived(rule: Mapping[str, Any], unit: Row, units: Mapping[str, Row], english: Mapping[str, str]) -> Row:
    code, parent = unit["code"], unit["parent_code"]
    named = {
        "code": code,
        "parent": parent,
        "unit": unit["name"].removesuffix(rule["strip"]),
        "unit_en": english.get(code, unit["name"]),
        "parent_unit": units[parent]["name"].removesuffix("办事处"),
        "parent_en": english.get(parent, ""),
    }
    return {
        "code": rule["code"].format(**named),
        "name": rule.get("except", {}).get(code) or rule["name"].format(**named),
        "name_en": rule["name_en"].format(**named),
        "kind": rule["kind"],
        "tier": rule["level"],
        "division": code,
        "speciality": "",
        "superior": rule["superior"].format(**named),
    }


def _names(people: Mapping[str, list[str]], org_code: str) -> Iterator[str]:
    """Names for one body, every third a woman's (人民调解法 8), Han and Mongolian in turn."""
    turn = int.from_bytes(sha256(org_code.encode()).digest()[:4], "big")
    position = 0
    while True:
        number = turn + position * 37
        sex = "female" if position % _WOMEN_EVERY == 1 else "male"
        given, mongolian = people[f"given_{sex}"], people[f"mongolian_{sex}"]
        surname = people["surnames"][(number // 7) % len(people["surnames"])]
        yield mongolian[number % len(mongolian)] if number % 2 else surname + given[number % len(given)]
        position += 1
