"""Counties after the pattern of the demo's: the reference county of 21 townships and 608 villages, many times."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import accumulate
from random import Random
from typing import NamedTuple

from mediation.domain.facts import Organisation
from mediation.domain.vocabulary import Role
from mediation.service.naiman import county
from mediation.service.naiman.county import COUNTY, Row
from mediation.service.registry import org_id, person_id

TOWNSHIPS, VILLAGES = 21, 608
"""Of the reference county."""
MOST_COUNTIES = 8000

MODEL = f"{COUNTY}103201"
"""The village in which every history is first told; whatever is told of it may be told of any other."""

_CITY, _TOWNSHIP = 4, 9
_NOBODYS = "150599"  # the division of invented identity numbers does not exist
_NEW_TOWNSHIPS = ("南湾", "柳泉", "石门", "北洼", "青山")
_FIRST, _LAST = "东西南北上下前后大小新老", ("沟", "洼", "甸子", "窝堡", "泉", "营子", "林场", "河湾", "岭", "台")
_ZIPF = 0.8
"""How much busier the busiest village is: the weight of the n-th is n to minus this."""


class Imports(NamedTuple):
    """The files of a county, as the registry imports them: divisions, organisations, people."""

    divisions: str
    organisations: str
    people: str


def codes(counties: int) -> list[str]:
    """The codes of so many counties: the demo's, then others of its city, then of other cities of its province."""
    cities = [COUNTY[:_CITY], *(f"{COUNTY[:2]}{city:02}" for city in range(11, 99))]
    every = (f"{city}{place:02}" for city in cities for place in range(1, 99))
    others = (code for code in every if code not in {COUNTY, _NOBODYS})
    return [COUNTY, *(next(others) for _ in range(counties - 1))]


def imports(code: str, above: int = len(COUNTY)) -> Imports:
    """The files of one county, and of what is above it whose division has at least so many digits."""
    rows = list(csv.DictReader(_divisions().splitlines()))

    def own(row: Row, key: str) -> bool:
        return len(row[key].partition("-")[0]) >= above

    return Imports(
        county.as_csv(_moved(row, code) for row in rows if own(row, "code")),
        county.as_csv(_moved(row, code) for row in county.organisations(_divisions()) if own(row, "code")),
        county.as_csv(_moved(row, code) for row in county.people(_divisions()) if own(row, "org_code")),
    )


def villages(counties: Sequence[str]) -> list[str]:
    """The codes of every village of these counties."""
    return [home + code[len(COUNTY) :] for home in counties for code in _villages()]


def weights(count: int, chance: Random) -> list[float]:
    """How busy so many villages are, summed up from the first on: a few have very many disputes, and most have few."""
    ranks = list(range(1, count + 1))
    chance.shuffle(ranks)
    return list(accumulate(rank**-_ZIPF for rank in ranks))


def moved(code: str, village: str) -> str:
    """The code of a body, person or division of the model village or of what is above it, for another village."""
    if code.startswith(MODEL):
        return village + code[len(MODEL) :]
    if code.startswith(MODEL[:_TOWNSHIP]):
        return village[:_TOWNSHIP] + code[_TOWNSHIP:]
    if code.startswith(COUNTY):
        return village[: len(COUNTY)] + code[len(COUNTY) :]
    if code.startswith(COUNTY[:_CITY]):
        return village[:_CITY] + code[_CITY:]
    return code


def body(code: str, village: str) -> Organisation:
    """The body that is to another village what the body of this code is to the model village, as the rules know it."""
    found = county.bodies()[org_id(code)]
    here = moved(code, village)
    above = [org_id(moved(each, village)) for each in county.superiors(code)]
    return Organisation(
        id=org_id(here),
        code=here,
        name=found.name,
        kind=found.kind,
        tier=found.tier,
        division=moved(found.division, village),
        superior=above[0] if above else "",
        speciality=found.speciality,
        path=tuple(above),
        name_en=found.name_en,
    )


@cache
def around(village: str) -> Mapping[str, Organisation]:
    """Every body that the model village may meet, as it is to another village, by id."""
    return {found.id: found for found in (body(code, village) for code in body_codes())}


@cache
def staff(village: str) -> Mapping[str, frozenset[str]]:
    """The bodies of everybody whom the model village may meet, as they are to another village, by the person's id."""
    return {
        person_id(moved(row["person_code"], village)): frozenset({org_id(moved(row["org_code"], village))})
        for row in county.people()
        if row["org_code"] in body_codes()
    }


@cache
def body_codes() -> frozenset[str]:
    """The codes of the bodies that the model village may meet: its own, its township's, and those above."""
    return frozenset(row["code"] for row in county.organisations() if _near(row["code"].partition("-")[0]))


@cache
def roles() -> Mapping[str, tuple[Role, ...]]:
    """The roles of everybody whom the model village may meet, by code; each has one body."""
    return {
        row["person_code"]: tuple(map(Role, row["roles"].split("|")))
        for row in county.people()
        if row["org_code"] in body_codes()
    }


@cache
def places() -> Mapping[str, str]:
    """The names of the villages of one county, after that of their township, by what follows the county in a code."""
    named = {row["code"]: row["name"] for row in csv.DictReader(_divisions().splitlines())}
    return {code[len(COUNTY) :]: named[code[:_TOWNSHIP]] + named[code].removesuffix("委会") for code in _villages()}


def _near(division: str) -> bool:
    return MODEL.startswith(division)


@cache
def _divisions() -> str:
    """The divisions of the demo's county, and as many more as the reference county has."""
    rows = list(csv.DictReader(county.divisions_csv().splitlines()))
    townships = [row for row in rows if row["level"] == "township"]
    added = [
        {"code": f"{COUNTY}{206 + number}", "level": "township", "name": f"{name}乡", "parent_code": COUNTY}
        for number, name in enumerate(_NEW_TOWNSHIPS[: TOWNSHIPS - len(townships)])
    ]
    townships += added
    names = _names()
    for number in range(VILLAGES - sum(row["level"] == "village" for row in rows)):
        parent = townships[-1 - number % len(townships)]["code"]
        code = f"{parent}{600 + number // len(townships)}"
        added.append({"code": code, "level": "village", "name": f"{next(names)}村委会", "parent_code": parent})
    return county.as_csv([*rows, *added])


def _names() -> Iterator[str]:
    for middle in "柳杨榆松河石井坡":
        for last in _LAST:
            for first in _FIRST:
                yield f"{first}{middle}{last}"


@cache
def _villages() -> tuple[str, ...]:
    rows = csv.DictReader(_divisions().splitlines())
    return tuple(row["code"] for row in rows if row["level"] == "village")


def _moved(row: Row, home: str) -> Row:
    """A row of the demo's county for another one, whose bodies are told apart by their code."""
    if home == COUNTY:
        return row
    return {name: _said(value, home) for name, value in row.items()}


def _said(value: str, home: str) -> str:
    if value.startswith(COUNTY):
        return home + value[len(COUNTY) :]
    if value.startswith(COUNTY[:_CITY]) and value[_CITY : _CITY + 1] in {"", "-"}:
        return home[:_CITY] + value[_CITY:]
    return (
        value.replace("奈曼旗", f"{home}旗")
        .replace("Naiman Banner", f"County {home}")
        .replace("通辽市", f"{home[:_CITY]}市")
    )
