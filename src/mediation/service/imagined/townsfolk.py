"""Who the parties of imagined disputes are, and what is said of these: invented, and the same of one seed."""

import tomllib
from bisect import bisect
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from functools import cache
from importlib.resources import files
from itertools import accumulate
from random import Random
from typing import NamedTuple

from mediation.domain.numbers import check_of_person
from mediation.service.naiman import county

REGULARS = 12
"""So many people of a village have disputes again and again."""

_NOWHERE = "150599"
_AGAIN = 0.12
_WOMEN = 0.45
_MONGOLIAN = 0.2
_HALF = 0.5
_OLDEST, _ADULT = date(1941, 1, 1), 23
_MINOR = (7, 15)
_DAYS = 365.25
_TRADES = (
    "商贸有限公司",
    "建筑工程队",
    "农机合作社",
    "物业服务有限公司",
    "养殖专业合作社",
    "超市",
    "运输服务部",
    "装饰经营部",
)


class Person(NamedTuple):
    """A party as the vault holds it."""

    name: str
    id_number: str | None
    phone: str
    address: str


def person(chance: Random, village: str, on: date, *, legal: bool, minor: bool) -> Person:
    """Somebody of a village on a day; now and then one of its regulars, who is the same whenever they come."""
    if not (legal or minor) and chance.random() < _AGAIN:
        return _regular(village, int(chance.random() ** 2 * REGULARS))
    return _somebody(chance, village, on, legal=legal, minor=minor)


@cache
def _regular(village: str, number: int) -> Person:
    return _somebody(Random(f"{village}/{number}"), village, date(2026, 1, 1), legal=False, minor=False)  # noqa: S311  # a name


def _somebody(chance: Random, village: str, on: date, *, legal: bool, minor: bool) -> Person:
    words = _words()
    drawn = chance.random
    phone = f"1380000{int(drawn() * 10000):04}"
    address = f"{village}{_NUMERALS[int(drawn() * 9)]}组{1 + int(drawn() * 199)}号"
    surname = words.surnames[int(drawn() * len(words.surnames))]
    woman = drawn() < _WOMEN
    if legal:
        owner = words.given[woman][int(drawn() * len(words.given[woman]))]
        name = f"{surname}{owner}{_TRADES[int(drawn() * len(_TRADES))]}"
        return Person(name, None, phone, address)
    if drawn() < _MONGOLIAN:
        name = words.mongolian[woman][int(drawn() * len(words.mongolian[woman]))]
    else:
        first, other = (words.given[woman][int(drawn() * len(words.given[woman]))] for _ in range(2))
        name = surname + (first if drawn() < _HALF else first[0] + other[-1])
    if minor:
        born = on - timedelta(days=int((_MINOR[0] + drawn() * (_MINOR[1] - _MINOR[0])) * _DAYS))
    else:
        born = _OLDEST + timedelta(days=int(drawn() * ((on - _OLDEST).days - _ADULT * _DAYS)))
    digits = f"{_NOWHERE}{born.year}{born.month:02}{born.day:02}{int(drawn() * 500) * 2 + (not woman):03}"
    return Person(name, digits + check_of_person(digits), phone, address)


def facts(chance: Random, category: str, told: Mapping[str, str]) -> str:
    """What happened, as a clerk would write it; `told` says {a}, {b}, {day} and {yuan}."""
    words = _words()
    drawn = chance.random
    causes = words.causes[category]
    thing = words.things[bisect(words.rarity, drawn() * words.rarity[-1])]
    said = (
        f"{words.openings[int(drawn() * len(words.openings))]}{causes[int(drawn() * len(causes))]}发生争执，"
        f"事涉{thing}。"
        f"{words.manners[int(drawn() * len(words.manners))]}{words.demands[int(drawn() * len(words.demands))]}"
    )
    return said.format_map(told)


_NUMERALS = "一二三四五六七八九"


class _Words(NamedTuple):
    surnames: Sequence[str]
    given: Mapping[bool, Sequence[str]]
    mongolian: Mapping[bool, Sequence[str]]
    openings: Sequence[str]
    demands: Sequence[str]
    manners: Sequence[str]
    causes: Mapping[str, Sequence[str]]
    things: Sequence[str]
    rarity: Sequence[float]


@cache
def _words() -> _Words:
    """Names of the demo's county, and the phrases of data/imagined.toml."""
    told = tomllib.loads((files("mediation") / "data/imagined.toml").read_text("utf-8"))
    names = county.names()
    return _Words(
        names["surnames"],
        {True: names["given_female"], False: names["given_male"]},
        {True: names["mongolian_female"], False: names["mongolian_male"]},
        told["openings"],
        told["demands"],
        told["manners"],
        told["causes"],
        told["things"],
        list(accumulate(1 / rank for rank, _ in enumerate(told["things"], 1))),
    )
