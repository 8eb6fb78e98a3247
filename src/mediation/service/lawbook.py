"""The lawbook: packs and notices of the package and of the operator's directory, read, and read again when changed."""

import asyncio
import csv
import hashlib
import logging
import os
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import suppress
from datetime import date
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from mediation.domain.calendar import lacking
from mediation.domain.errors import Malformed, MediationError, Reason
from mediation.domain.laws import Laws
from mediation.domain.packs import parse_laws

NOTICES = "workday_exceptions_2004_2026.csv"
"""The package's notices, one file of all years."""
LOOK_S = 60
"""Seconds between two looks at the directory."""

_CORRECTION = re.compile(r"calendar-([0-9]{4})-[0-9]{2}-[0-9]{2}\.csv")
_log = logging.getLogger(__name__)
_Sign = tuple[tuple[str, int, int, int], ...]


class BadLaws(MediationError):
    """The rule packs or notices cannot be used: `reasons` names file, rule and fault of each."""

    code = "bad_laws"

    def __init__(self, *reasons: Reason) -> None:
        super().__init__(
            *reasons,
            zh="规则包或放假安排有误：" + "\n  ".join(["", *(reason.zh for reason in reasons)]),
            en="The rule packs or notices are wrong: " + "\n  ".join(["", *(reason.en for reason in reasons)]),
        )


class LawSet(NamedTuple):
    """Laws, and the text of every file they were read from by its name."""

    laws: Laws
    files: Mapping[str, str]

    @property
    def exceptions(self) -> dict[str, tuple[bool, str]]:
        """Every day that the notices name: `{day: (works, name)}`, in order of days."""
        named: dict[str, tuple[bool, str]] = {}
        for text in _notices(self.files).values():
            for row in csv.DictReader(text.removeprefix("\ufeff").splitlines()):
                named[row["date"]] = row["is_workday"] == "1", row["name"]
        return dict(sorted(named.items()))


class Added(NamedTuple):
    """A notice put into the directory: its file, the set with it, and the year it is of.

    `lacks`: the festivals (Chinese, English) that a whole notice of the year would have; with any missing it is a
    correction. `aside`: the corrections of the year that a whole notice put out of use, by their new names.
    """

    path: Path
    found: LawSet
    year: int
    lacks: tuple[tuple[str, str], ...]
    aside: tuple[Path, ...]


class Lawbook:
    """The laws in force here: the package's files, with those of `directory` added, or in place of one of their name.

    `current` is the set in use. A directory that is not there adds nothing, and may come later. `wrong` says why what
    is in the directory now is not in use; empty when it is. Raises BadLaws, if what is there cannot be used.
    """

    def __init__(self, directory: Path | None = None) -> None:
        self.directory = directory
        self.wrong: tuple[Reason, ...] = ()
        self._seen = self._looked = self._sign()
        self.current = _parsed(_read(directory))

    @property
    def laws(self) -> Laws:
        """The laws of the current set."""
        return self.current.laws

    def changed(self) -> LawSet | None:
        """Another set than the current one, where the directory has one that can be used; blocks while it reads.

        One that cannot be used is told in the log, once, and in `wrong`.
        """
        self._looked = self._sign()
        if self._looked == self._seen:
            return None
        try:
            found = _parsed(_read(self.directory))
        except BadLaws as error:
            if error.reasons != self.wrong:
                _log.error("the laws stay as they were: %s", "; ".join(reason.en for reason in error.reasons))
            self.wrong, self._seen = error.reasons, self._looked
            return None
        self.wrong = ()
        if found.laws.digest == self.laws.digest:
            self._seen = self._looked
            return None
        return found

    def adopt(self, found: LawSet) -> None:
        """Use this set from now on."""
        _log.info("the laws are now those of the set %s", found.laws.digest)
        self.current, self._seen = found, self._looked

    async def follow(self, adopt: Callable[[LawSet], Awaitable[None]]) -> None:
        """Look at the directory once a minute, for ever.

        `adopt` is awaited with the first set, and with each new one before it is in use; where it raises, the old one
        stays in use and the new one is offered to it again a minute later.
        """
        known = False
        while True:
            try:
                found = await asyncio.to_thread(self.changed)
                if found or not known:
                    await adopt(found or self.current)
                    known = True
                if found:
                    self.adopt(found)
            except Exception as error:  # noqa: BLE001  # the database is away, most likely: the set can wait
                _log.warning("a set of laws is not in use yet: %s", type(error).__name__)
            await asyncio.sleep(LOOK_S)

    def add_notice(self, text: str) -> Added:
        """Put a notice of working days, as CSV, into the directory.

        It is checked together with all the rest. The first notice of a year publishes it. The whole one replaces
        that, and sets aside the corrections of that year that were there before it (`….csv.superseded`): it says
        all they said, or took it back. Any other is a correction, which goes on top of it. Raises BadLaws with the line
        of every bad row, and writes nothing; OSError.
        """
        assert self.directory is not None  # noqa: S101  # whoever adds has a directory to add to
        there = _read(self.directory)
        name, year, lacks = _placed(text, _parsed(there).laws.calendar.years)
        old = () if lacks else tuple(sorted(each for each in there if _corrects(each, year)))
        found = _parsed({each: said for each, said in there.items() if each not in old} | {name: text})
        if not year:
            raise BadLaws(Reason("bad_notice", "其中没有日期", "it has no days"))
        self.directory.mkdir(parents=True, exist_ok=True)
        path = self.directory / name
        coming = path.with_name(f".{name}.{os.getpid()}")
        try:
            with coming.open("xb") as file:
                file.write(text.encode())
                file.flush()
                os.fchmod(file.fileno(), 0o644)
                os.fsync(file.fileno())
            coming.replace(path)
        finally:
            coming.unlink(missing_ok=True)
        aside = []
        for each in old:  # only once the notice is there: until then they are what is known of the year
            kept = self.directory / f"{each}.superseded"
            aside.append((self.directory / each).replace(kept))
        return Added(path, found, year, lacks, tuple(aside))

    def _sign(self) -> _Sign:
        """Names, times, sizes and places of the directory's files: a change of theirs is worth reading."""
        found = []
        try:
            for path in _present(self.directory):
                seen = path.stat()
                found.append((path.name, seen.st_mtime_ns, seen.st_size, seen.st_ino))
        except OSError as error:  # reading says which, and why
            found.append(("", error.errno or 0, 0, 0))
        return tuple(found)


@cache
def package_set() -> LawSet:
    """The set of the package alone: every rule pack and the published working-day notices. Read once."""
    return _parsed(_read(None))


def load_laws() -> Laws:
    """The laws of the package alone."""
    return package_set().laws


def digests(texts: Mapping[str, str]) -> list[dict[str, str]]:
    """`[{name, sha256}]` of the files of a set, in order of name."""
    return [{"name": name, "sha256": hashlib.sha256(texts[name].encode()).hexdigest()} for name in sorted(texts)]


def read_set(texts: Mapping[str, str]) -> Laws:
    """The laws of a set whose files were kept. Raises BadLaws, where this version cannot read them any more."""
    return _parsed(texts).laws


def _read(directory: Path | None) -> dict[str, str]:
    """The text of every file of the set, by name. Raises BadLaws."""
    package = files("mediation")
    found = {pack.name: pack.read_bytes() for pack in package.joinpath("domain/rules").iterdir()}
    found[NOTICES] = package.joinpath("data", NOTICES).read_bytes()
    if directory is not None and directory.exists() and not directory.is_dir():
        zh, en = (
            f"MEDIATION_LAWS 须为目录，{directory} 不是",
            f"MEDIATION_LAWS is a directory, which {directory} is not",
        )
        raise BadLaws(Reason("unreadable_laws", zh, en))
    try:
        found |= {path.name: path.read_bytes() for path in _present(directory)}
    except OSError as error:
        said = f"{error.filename}: {error.strerror}"
        raise BadLaws(Reason("unreadable_laws", f"无法读取 {said}", f"cannot read {said}")) from error
    texts, wrong = {}, []
    for name in sorted(found):
        if not name.endswith((".toml", ".csv")):
            continue
        try:
            texts[name] = found[name].decode()  # not read_text, which would change the ends of lines and so the digest
        except UnicodeDecodeError:
            wrong.append(Reason("bad_rule_pack", f"{name} 不是 UTF-8 文本", f"{name} is not UTF-8 text"))
    if wrong:
        raise BadLaws(*wrong)
    return texts


def _present(directory: Path | None) -> Iterator[Path]:
    """The directory's packs and notices in order of name. What begins with a dot is on its way in, or an editor's."""
    if directory is not None and directory.is_dir():
        for path in sorted(directory.iterdir()):
            if path.suffix in {".toml", ".csv"} and not path.name.startswith(".") and path.is_file():
                yield path


def _parsed(texts: Mapping[str, str]) -> LawSet:
    packs = {name: text for name, text in texts.items() if name.endswith(".toml")}
    try:
        return LawSet(parse_laws(packs, _notices(texts)), texts)
    except Malformed as found:
        raise BadLaws(*found.reasons) from found


def _notices(texts: Mapping[str, str]) -> dict[str, str]:
    """The notices, an earlier one before whichever goes before it: the package's, then years, each before corrections.

    The order follows from the names alone, so that a set means the same wherever its files are kept.
    """
    names = (name.removesuffix(".csv") for name in texts if name.endswith(".csv"))
    ranked = sorted(names, key=lambda name: (not name.startswith("workday_exceptions_"), name))
    return {f"{name}.csv": texts[f"{name}.csv"] for name in ranked}


def _corrects(name: str, year: int) -> bool:
    found = _CORRECTION.fullmatch(name)
    return found is not None and int(found[1]) == year


def _placed(text: str, published: Collection[int]) -> tuple[str, int, tuple[tuple[str, str], ...]]:
    """The name of a notice, the year it is of, and what it lacks to be the whole notice of that year.

    `calendar-2027.csv` is the notice of that year, `calendar-2027-09-03.csv` a correction from that day on. The first
    that comes of a year is taken for its notice, whatever it lacks: who imports it says so. Of rows that cannot be read
    nothing is said here. Raises BadLaws, where it is the whole notice of more years than one.
    """
    days: dict[date, str] = {}
    with suppress(csv.Error):
        for row in csv.reader(text.removeprefix("\ufeff").splitlines()[1:]):
            with suppress(ValueError, IndexError):
                days[date.fromisoformat(row[0])] = row[1]
    if not days:
        return "calendar-x.csv", 0, (("", ""),)
    rest = {day for day, flag in days.items() if flag == "0"}
    years = Counter(day.year for day in days)
    whole = [year for year in years if not lacking(year, rest)]
    if len(whole) > 1:
        raise BadLaws(
            Reason("bad_notice", "含多个年份的安排：请每年一个文件", "it is of several years: a file for each")
        )
    year = whole[0] if whole else years.most_common(1)[0][0]
    if whole or year not in published:
        return f"calendar-{year}.csv", year, lacking(year, rest)
    first = min(day for day in days if day.year == year)
    return f"calendar-{first}.csv", year, lacking(year, rest)
