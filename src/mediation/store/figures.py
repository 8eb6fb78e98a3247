"""What happened in a year at a body and those below it, added up from the counts of each; and what is overdue now."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias

import msgspec
from sqlalchemy import Row, or_, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from mediation.domain import access
from mediation.domain.calendar import SHANGHAI
from mediation.domain.facts import Organisation
from mediation.domain.tallying import together
from mediation.domain.vocabulary import Power, Standing
from mediation.store.bodies import organisation
from mediation.store.sight import Viewer, denied, reading
from mediation.store.tables import ORGANISATIONS


@dataclass
class Figures:
    """How many of what, by the words of `Tallied` and by `ended_` and an outcome.

    `days`: of what ended and what was settled, how many took 0 days, 1 day and so on. `overdue`: open cases now, a
    clock of which has run out.
    """

    counts: Counter[str] = field(default_factory=Counter)
    days: dict[str, list[int]] = field(default_factory=dict)
    overdue: int = 0

    def add_days(self, what: str, more: list[int]) -> None:
        self.days[what] = together(self.days.get(what, ()), more)


_Rows: TypeAlias = Sequence[Row[Any]]


class Statistics(NamedTuple):
    """Of a body and all below it; of itself alone and of each right below with all below that; by type.

    `branches` is empty where none is below, else in the order of codes after the body itself. `types` holds those
    categories of which there is anything.
    """

    body: Organisation
    total: Figures
    branches: tuple[tuple[Organisation, Figures], ...]
    types: tuple[tuple[str, Figures], ...]


async def statistics(engine: AsyncEngine, viewer: Viewer, org: str, year: int, at: datetime) -> Statistics:
    """The statistics of a body in a year of Asia/Shanghai, and what is overdue at this instant.

    What is overdue is counted as far as the viewer sees the cases. Raises NotFound, where the body is absent or not one
    that the viewer is above, a member of, or has jurisdiction over.
    """
    async with reading(engine, viewer) as connection:
        query = select(ORGANISATIONS).where(or_(ORGANISATIONS.c.id == org, ORGANISATIONS.c.superior == org))
        near = [organisation(row) for row in await connection.execute(query.order_by(ORGANISATIONS.c.code))]
        body = next((one for one in near if one.id == org), None)
        if body is None or not access.permitted(Power.STATISTICS, viewer.actor, stands(viewer, body)):
            raise await denied(connection)
        said = {"org": org, "year": year, "at": at, "day": at.astimezone(SHANGHAI).date(), "own": viewer.org.id}
        counts = (await connection.execute(_COUNTS, said)).all()
        days = (await connection.execute(_DAYS, said)).all()
        overdue = (await connection.execute(_OVERDUE_AUDITED if viewer.audits else _OVERDUE_LISTED, said)).all()
    return await asyncio.to_thread(_added, body, [one for one in near if one.id != org], counts, days, overdue)


def _added(body: Organisation, below: list[Organisation], counts: _Rows, days: _Rows, overdue: _Rows) -> Statistics:
    total, of_branch, of_type = Figures(), defaultdict[str, Figures](Figures), defaultdict[str, Figures](Figures)
    for row in counts:
        for figures in (total, of_branch[row.branch], of_type[row.category]):
            figures.counts[row.what] += row.many
    cells: dict[tuple[str, str, str], list[int]] = {}
    for row in days:
        cell = row.branch, row.category, row.what
        cells[cell] = together(cells.get(cell, ()), _DAYS_OF.decode(row.days))
    for (branch, category, what), many in cells.items():
        for figures in (total, of_branch[branch], of_type[category]):
            figures.add_days(what, many)
    for row in overdue:
        for figures in (total, of_branch[row.branch], of_type[row.category]):
            figures.overdue += row.many
    branches = tuple((one, of_branch[one.id]) for one in (body, *below)) if below else ()
    some = {one: figures for one, figures in of_type.items() if figures.overdue or any(figures.counts.values())}
    return Statistics(body, total, branches, tuple(sorted(some.items())))


def stands(viewer: Viewer, body: Organisation) -> frozenset[Standing]:
    """Where the viewer stands to a body: above it or a member of it, or with jurisdiction over it."""
    found = access.over(viewer.actor, body)
    audited = viewer.audits and body.division.startswith(viewer.audits)
    return found | {Standing.AUDIT} if audited else found


_DAYS_OF = msgspec.json.Decoder(list[int])
_THERE = "(o.id = cast(:org AS uuid) OR o.path @> ARRAY[cast(:org AS uuid)])"
_BRANCH = "(ARRAY[o.id] || o.path)[coalesce(array_position(o.path, cast(:org AS uuid)), 1)]"
_BELOW = f"""
WITH below AS MATERIALIZED (SELECT o.id, {_BRANCH} AS branch FROM organisations o WHERE {_THERE})
"""  # noqa: S608  # our own text
_COUNTS = text(f"""{_BELOW}
SELECT b.branch::text, t.category, t.what, sum(t.count)::bigint AS many
FROM below b JOIN tallies t ON t.org = b.id AND t.year IN (0, :year)
GROUP BY b.branch, t.category, t.what
""")  # noqa: S608  # our own text
_DAYS = text(f"""{_BELOW}
SELECT b.branch::text, t.category, t.what, to_json(t.days)::text AS days
FROM below b JOIN tallies t ON t.org = b.id AND t.year = :year AND t.what IN ('ended', 'settled')
""")  # noqa: S608  # our own text
# Whatever is overdue fell due; so whoever has a worklist finds it there, and reads no case that is not theirs.
_OVERDUE = f"""
SELECT ({_BRANCH})::text AS branch, h.category, sum(h.many)::bigint AS many
FROM (SELECT c.holder, c.category, count(*) AS many FROM {{listed}}
      WHERE {{due}} AND c.late_at <= :at AND c.state NOT IN ('closed', 'archived')
      GROUP BY c.holder, c.category) h
JOIN organisations o ON o.id = h.holder
WHERE {_THERE}
GROUP BY 1, 2
"""  # noqa: S608  # our own text
_OVERDUE_LISTED = text(
    _OVERDUE.format(
        listed="worklists w JOIN cases c ON c.id = w.case_id", due="w.org = cast(:own AS uuid) AND w.due_on <= :day"
    )
)
_OVERDUE_AUDITED = text(_OVERDUE.format(listed="cases c", due="c.due_on <= :day"))
