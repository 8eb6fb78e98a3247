"""What happened in a year at a body and those below it, added up from the counts of each; and what is overdue now."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from mediation.domain import access
from mediation.domain.calendar import day_of
from mediation.domain.errors import NotFound
from mediation.domain.facts import Instant, Organisation
from mediation.domain.tallying import together
from mediation.domain.vocabulary import Power, Standing
from mediation.store.append import Memory, who
from mediation.store.sight import Viewer


@dataclass
class Figures:
    """How many of what, by the words of `Tallied` and by `ended_` and an outcome.

    `days`: of what ended and what was settled, how many took 0 days, 1 day and so on. `overdue`: open cases now, a
    clock of which has run out.
    """

    counts: Counter[str] = field(default_factory=Counter)
    days: dict[str, list[int]] = field(default_factory=dict)
    overdue: int = 0


class _Found(msgspec.Struct):
    """The answer of `statistics` in tallies.sql."""

    bodies: list[Organisation] = []
    counts: list[tuple[str, str, str, int]] | None = None
    days: list[tuple[str, str, str, list[int]]] | None = None
    overdue: list[tuple[str, str, int]] | None = None


class Statistics(NamedTuple):
    """Of a body and all below it; of itself alone and of each right below with all below that; by type.

    `branches` is empty where none is below, else in the order of codes after the body itself. `types` holds those
    categories of which there is anything.
    """

    body: Organisation
    total: Figures
    branches: tuple[tuple[Organisation, Figures], ...]
    types: tuple[tuple[str, Figures], ...]


async def statistics(memory: Memory, viewer: Viewer, org: str, year: int, at: Instant) -> Statistics:
    """The statistics of a body in a year of Asia/Shanghai, and what is overdue at this instant.

    What is overdue an auditor has counted of the cases they see, anybody else of the list of the body.
    Raises NotFound, where the body is absent or not one that the viewer is above, a member of, or has jurisdiction
    over.
    """
    person, acting, roles, request = who(viewer.actor, viewer.request)
    day = day_of(at).isoformat()
    said = (person, acting, roles, request, viewer.audits, org, year, at, day)
    ((found,),) = await memory.rows(_STATISTICS, said)
    near = _FOUND.decode(found) if found else _Found()
    body = next((one for one in near.bodies if one.id == org), None)
    if body is None or not access.permitted(Power.STATISTICS, viewer.actor, stands(viewer, body)):
        raise NotFound
    return _added(body, [one for one in near.bodies if one is not body], near)


def _added(body: Organisation, below: list[Organisation], found: _Found) -> Statistics:
    """What the body itself did is what is left of the whole once what those right below did is taken away."""
    total, of_branch, of_type = Figures(), defaultdict[str, Figures](Figures), defaultdict[str, Figures](Figures)
    own = of_branch[body.id]
    for org, category, what, many in found.counts or ():
        if org == body.id:
            total.counts[what] += many
            of_type[category].counts[what] = many
        else:
            of_branch[org].counts[what] = many
    own.counts.update(total.counts)
    for one in below:
        own.counts.subtract(of_branch[one.id].counts)
    days: defaultdict[tuple[str, str], list[list[int]]] = defaultdict(list)
    for org, category, what, took in found.days or ():
        days[org, what].append(took)
        if org == body.id:
            of_type[category].days[what] = took
    for (org, what), each in days.items():
        (total if org == body.id else of_branch[org]).days[what] = together(each)
    for what, took in total.days.items():
        less = together([figures.days.get(what, []) for figures in of_branch.values()])
        own.days[what] = together([took, [-many for many in less]])
    for org, category, many in found.overdue or ():
        for figures in (total, of_branch[org], of_type[category]):
            figures.overdue += many
    branches = tuple((one, of_branch[one.id]) for one in (body, *below)) if below else ()
    some = {one: figures for one, figures in of_type.items() if figures.overdue or any(figures.counts.values())}
    return Statistics(body, total, branches, tuple(sorted(some.items())))


def stands(viewer: Viewer, body: Organisation) -> frozenset[Standing]:
    """Where the viewer stands to a body: above it or a member of it, or with jurisdiction over it."""
    found = access.over(viewer.actor, body)
    audited = viewer.audits and body.division.startswith(viewer.audits)
    return found | {Standing.AUDIT} if audited else found


_FOUND = msgspec.json.Decoder(_Found)
_STATISTICS = (
    "SELECT statistics(%s::uuid, %s::uuid, %s::text[], %s::uuid, %s, %s::uuid, %s::integer, %s::timestamptz, %s::date)"
)
