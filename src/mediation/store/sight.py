"""Who asks, and what they may see: the context of row-level security, and the application's own predicate before it."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from sqlalchemy import BindParameter, ColumnElement, Select, and_, bindparam, false, func, not_, or_, select, text
from sqlalchemy.dialects.postgresql import array, psycopg
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from mediation.domain import access
from mediation.domain.errors import NotFound
from mediation.domain.facts import Actor, Organisation
from mediation.domain.vocabulary import OrgKind, Power, Role, Standing
from mediation.store.append import CLOCK, CLOCK_CALLER, Context, Memory, Seen
from mediation.store.line import Call, Value
from mediation.store.tables import CASES, ORGANISATIONS

_ENTER = (
    "SELECT enter(%s::uuid, %s::uuid, %s::text[], %s::uuid, NULL),"
    " set_config('mediation.grams', %s, true), set_config('plan_cache_mode', %s, true)"
)
_WALK = Call("SELECT set_config('enable_seqscan', 'off', true)", ())
_CONTEXT = text(
    "SELECT enter(cast(:person AS uuid), cast(:org AS uuid), cast(:roles AS text[]), cast(:request AS uuid), NULL)"
)
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


class Worded(NamedTuple):
    """A query as it is sent, and the names of its values in their order. `kept`: as of a Call."""

    text: str
    names: tuple[str, ...]
    kept: bool = True


def viewer(context: Context, seen: Seen) -> Viewer:
    """Who asks, as `Memory.read_case` found them."""
    return Viewer(seen.actor, seen.orgs[seen.actor.org], context.request)


def worded(query: Select[*tuple[Any, ...]], *, kept: bool = True) -> Worded:
    """A query whose values all have names, as `look` sends it: SQLAlchemy makes it once, and not for each request."""
    compiled = query.compile(dialect=_DIALECT)
    return Worded(str(compiled), tuple(compiled.positiontup or ()), kept)


async def look(
    memory: Memory,
    viewer: Viewer,
    asked: Worded,
    values: Mapping[str, Value],
    grams: str = "",
    *,
    walking: bool = False,
) -> tuple[Any, ...]:
    """The one row that a query tells in this viewer's sight, in one round trip and transaction.

    `grams`, an array, opens the words of texts to it that hold these. `walking`: cases are read in the order of an
    index until a page is full. The planner cannot know how many of them a policy lets through, thinks hardly any, and
    would read them all to sort the few.
    """
    said = {**_named(viewer), **values}
    # What is kept has one plan for all values: to plan a search takes longer than to search.
    planned = "force_generic_plan" if asked.kept else "auto"
    roles = "{" + ",".join(role.value for role in viewer.actor.roles) + "}"
    who = (said["viewer_person"], viewer.org.id, roles, viewer.request)
    entering = Call(_ENTER, (*who, grams, planned))
    asking = Call(asked.text, [said[name] for name in asked.names], asked.kept)
    (row,) = await memory.together(entering, *([_WALK] if walking else []), asking)
    return row


@asynccontextmanager
async def reading(engine: AsyncEngine, viewer: Viewer) -> AsyncIterator[AsyncConnection]:
    """A transaction in which row-level security knows who asks."""
    said = {
        "person": _named(viewer)["viewer_person"],
        "org": viewer.org.id,
        "roles": [role.value for role in viewer.actor.roles],
        "request": viewer.request,
    }
    async with engine.begin() as connection:
        await connection.execute(_CONTEXT, said)
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
    said, roles = _named(viewer), frozenset(viewer.actor.roles)
    person, org = (_value(name, said[name], CASES.c.id) for name in ("viewer_person", "viewer_org"))
    division = _value("viewer_audits", viewer.audits, CASES.c.division)
    ordinary = CASES.c.restricted.is_(False)
    arms: list[ColumnElement[bool]] = []
    if roles & access.EVERYBODY:
        here = CASES.c.orgs.contains(array([org]))
        below = _names(org == func.any(ORGANISATIONS.c.path))
        if not roles & access.WIDE:
            unassigned = CASES.c.assigned == text("'{}'::uuid[]")
            here = and_(here, or_(ordinary, CASES.c.assigned.contains(array([person])), unassigned))
        arms += [here, below if roles & access.ABOVE else and_(below, ordinary)]
    if viewer.audits:
        there = func.starts_with(ORGANISATIONS.c.division, division)
        audited = or_(func.starts_with(CASES.c.division, division), _names(there))
        audited = and_(audited, not_(CASES.c.closers.contains(array([person]))))
        arms.append(audited if in_codes else and_(audited, ordinary))
    return and_(or_(false(), *arms), not_(CASES.c.recused.contains(array([person]))))


def stands(viewer: Viewer) -> tuple[bool, ...]:
    """All that `visible` goes by to say it one way or another; of the rest it has but the values."""
    roles = frozenset(viewer.actor.roles)
    return *(bool(roles & some) for some in (access.EVERYBODY, access.WIDE, access.ABOVE)), bool(viewer.audits)


def _named(viewer: Viewer) -> dict[str, Value]:
    person = viewer.actor.person
    return {
        "viewer_person": CLOCK_CALLER if person == CLOCK else person,
        "viewer_org": viewer.org.id,
        "viewer_audits": viewer.audits,
    }


def _value(name: str, value: Value, of: ColumnElement[Any]) -> BindParameter[Any]:
    return bindparam(name, value, of.type)


def _names(which: ColumnElement[bool]) -> ColumnElement[bool]:
    """The case names such a body. Its few are looked up by id: below a city there are thousands."""
    named = ORGANISATIONS.c.id == func.any(CASES.c.orgs)
    return select(ORGANISATIONS.c.id).where(named, which).correlate_except(ORGANISATIONS).exists()


_DIALECT = psycopg.dialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]  # as SQLAlchemy has it
