"""The plan of so many cases in so many years: which are cast of which mould, where, and under what numbers."""

from bisect import bisect
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from itertools import accumulate
from random import Random
from typing import NamedTuple

from mediation.service.imagined import counties
from mediation.service.imagined.casts import Casting
from mediation.service.imagined.moulds import Sketch, tell
from mediation.service.imagined.plots import plots
from mediation.service.lawbook import load_laws

_REST = 0.15
"""How many come on a day of rest, beside a working day."""
_FEW, _SOME, _MOST_OF_A_MOULD = 2000, 250, 96
A_TASK = 192
"""So many cases a process makes at a time."""
_RETOLD = 150


class Wanted(NamedTuple):
    """How many cases, of how many counties, filed in how many years up to a day; all of it follows from `seed`."""

    cases: int
    counties: int
    years: int
    until: date
    seed: str

    @property
    def since(self) -> date:
        """The first day on which one is filed."""
        return self.until - timedelta(days=365 * self.years - 1)


class Work(NamedTuple):
    """A mould and what is cast of it; `retold`: the first cast is decided anew, step by step."""

    sketch: Sketch
    castings: tuple[Casting, ...]
    retold: bool


Task = tuple[Work, ...]
"""What a process makes at a time."""


class Plan:
    """Tasks in the order of the days of filing; afterwards `last` holds the last number of each body and year."""

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.last: dict[tuple[str, int], int] = {}
        few = wanted.cases < _FEW
        self._of_a_mould = 1 if few else min(_MOST_OF_A_MOULD, max(2, wanted.cases // _SOME))
        self._serial = self._mould = 0
        self._retold_every = max(1, wanted.cases // self._of_a_mould // _RETOLD)

    def tasks(self) -> Iterator[Task]:
        """Every task, once."""
        some, count = list[Work](), 0
        for work in self._works():
            some.append(work)
            count += len(work.castings)
            if count >= A_TASK:
                yield tuple(some)
                some, count = [], 0
        if some:
            yield tuple(some)

    def _works(self) -> Iterator[Work]:
        wanted = self.wanted
        villages = counties.villages(counties.codes(wanted.counties))
        busy = counties.weights(len(villages), Random(f"{wanted.seed}/villages"))  # noqa: S311  # invented
        wished = self._every_plot_once()
        for day, count in self._days().items():
            left = count
            while left:
                size = min(left, self._of_a_mould)
                left -= size
                chance = Random(f"{wanted.seed}/mould/{self._mould}")  # noqa: S311  # invented
                plot = wished[day].pop() if wished.get(day) else self._drawn(chance, (wanted.until - day).days)
                sketch = Sketch(self._mould, plot, day, wanted.until)
                filed_by = tell(sketch, wanted.seed)[1][0].org
                where = [villages[bisect(busy, chance.random() * busy[-1])] for _ in range(size)]
                castings = tuple(self._casting(filed_by, village, day.year) for village in where)
                yield Work(sketch, castings, self._mould % self._retold_every == 0)
                self._mould += 1

    def _casting(self, filed_by: str, village: str, year: int) -> Casting:
        body = counties.moved(filed_by, village)
        self.last[body, year] = number = self.last.get((body, year), 0) + 1
        self._serial += 1
        return Casting(self._serial - 1, village, f"{body}-{year}-{number:06}")

    def _drawn(self, chance: Random, age: int) -> str:
        names = [name for name, plot in plots().items() if not plot.lately or age <= plot.lately]
        return chance.choices(names, [plots()[name].share for name in names])[0]

    def _days(self) -> Mapping[date, int]:
        """How many are filed on each day."""
        wanted, calendar = self.wanted, load_laws().calendar
        days = [wanted.since + timedelta(days=number) for number in range(365 * wanted.years)]
        sums = list(accumulate(1.0 if calendar.is_working(day) else _REST for day in days))
        shares = [round(wanted.cases * each / sums[-1]) for each in sums]
        return {day: now - before for day, before, now in zip(days, [0, *shares], shares, strict=False) if now > before}

    def _every_plot_once(self) -> dict[date, list[str]]:
        """Days on which a plot is told that chance might leave out, each where it may be."""
        days, wished = list(self._days()), dict[date, list[str]]()
        taken: set[date] = set()
        for name, plot in sorted(plots().items(), key=lambda pair: (not pair[1].lately, pair[1].lately, pair[0])):
            age = plot.lately or 365 * self.wanted.years
            may = [day for day in days if (self.wanted.until - day).days <= age and day not in taken]
            if may:
                day = may[0] if plot.lately else may[len(may) // 3]
                taken.add(day)
                wished.setdefault(day, []).append(name)
        return wished
