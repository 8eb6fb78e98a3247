"""Who asks, and what they may see: the context of row-level security, and the application's own predicate before it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, and_, false, func, not_, or_, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from mediation.domain import access
from mediation.domain.errors import NotFound
from mediation.domain.facts import Actor, Organisation
from mediation.domain.vocabulary import OrgKind, Power, Role, Standing
from mediation.store.append import CLOCK, CLOCK_CALLER, Context, Seen
from mediation.store.tables import CASES, ORGANISATIONS

_CONTEXT = text(
    "SELECT enter(cast(:person AS uuid), cast(:org AS uuid), cast(:roles AS text[]), cast(:request AS uuid), NULL), "
    "set_config('mediation.grams', :grams, true)"
)
_WALKING = text("SELECT set_config('enable_seqscan', 'off', true)")
_FOLLOWS = text("SELECT set_config('mediation.follows', '1', true)")
_AS_LONG = text("SELECT bodies_below(), bodies_audited()")


class Viewer(NamedTuple):
    """Who asks, for which body, in which request."""

    actor: Actor
    org: Organisation
    request: str

    @property
    def audits(self) -> str:
        """The division whose cases an auditor of an audit office may read; empty for anybody else."""
        auditor = self.org.kind is OrgKind.AUDIT_OFFICE and Role.AUDITOR in self.actor.roles
        return self.org.division if auditor else ""


def viewer(context: Context, seen: Seen) -> Viewer:
    """Who asks, as `Memory.read_case` found them."""
    return Viewer(seen.actor, seen.orgs[seen.actor.org], context.request)


@asynccontextmanager
async def reading(
    engine: AsyncEngine, viewer: Viewer, grams: str = "", *, walking: bool = False
) -> AsyncIterator[AsyncConnection]:
    """A transaction in which row-level security knows who asks; `grams`, an array, opens the index of words to it.

    `walking`: cases are read in the order of an index until a page is full. The planner cannot know how many of them a
    policy lets through, thinks hardly any, and would read them all to sort the few.
    """
    person = viewer.actor.person
    said = {
        "person": CLOCK_CALLER if person == CLOCK else person,
        "org": viewer.org.id,
        "roles": [role.value for role in viewer.actor.roles],
        "request": viewer.request,
        "grams": grams,
    }
    async with engine.begin() as connection:
        await connection.execute(_CONTEXT, said)
        if walking:
            await connection.execute(_WALKING)
        yield connection


async def following(connection: AsyncConnection, viewer: Viewer) -> bool:
    """Whether the viewer may follow the signed logs: an auditor with jurisdiction over every body there is.

    If so, what was logged is open to this transaction of `reading`.
    """
    beyond = select(ORGANISATIONS.c.id).where(not_(ORGANISATIONS.c.division.startswith(viewer.audits, autoescape=True)))
    everywhere = bool(viewer.audits) and not await connection.scalar(select(beyond.exists()))
    stands = frozenset({Standing.AUDIT}) if everywhere else frozenset[Standing]()
    if not access.permitted(Power.FOLLOW, viewer.actor, stands):
        return False
    await connection.execute(_FOLLOWS)
    return True


async def denied(connection: AsyncConnection) -> NotFound:
    """What to raise where nothing is found, once all is asked that the policy of an invisible row has asked already.

    So what is absent takes as long to be denied.
    """
    await connection.execute(_AS_LONG)
    return NotFound()


def visible(viewer: Viewer, *, in_codes: bool = True) -> ColumnElement[bool]:
    """What the permits for reading say (domain/access.py), as a condition: row-level security says it once more.

    `in_codes`: also the cases in which this reader sees nothing personal, not even masked.
    """
    person, roles = viewer.actor.person, frozenset(viewer.actor.roles)
    ordinary = CASES.c.restricted.is_(False)
    arms: list[ColumnElement[bool]] = []
    if roles & access.EVERYBODY:
        here = CASES.c.orgs.contains([viewer.org.id])
        below = CASES.c.orgs.op("&&")(_bodies(ORGANISATIONS.c.path.contains([viewer.org.id])))
        if not roles & access.WIDE:
            unassigned = CASES.c.assigned == text("'{}'::uuid[]")
            here = and_(here, or_(ordinary, CASES.c.assigned.contains([person]), unassigned))
        arms += [here, below if roles & access.ABOVE else and_(below, ordinary)]
    if viewer.audits:
        there = ORGANISATIONS.c.division.startswith(viewer.audits, autoescape=True)
        lies_there = CASES.c.division.startswith(viewer.audits, autoescape=True)
        audited = or_(CASES.c.orgs.op("&&")(_bodies(there)), lies_there)
        audited = and_(audited, not_(CASES.c.closers.contains([person])))
        arms.append(audited if in_codes else and_(audited, ordinary))
    return and_(or_(false(), *arms), not_(CASES.c.recused.contains([person])))


def _bodies(which: ColumnElement[bool]) -> ColumnElement[Any]:
    """The ids of these bodies as an array."""
    ids = func.coalesce(func.array_agg(ORGANISATIONS.c.id), text("'{}'::uuid[]"))
    return select(ids).where(which).scalar_subquery()
