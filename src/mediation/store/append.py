"""The one write to a case, and the reads that go before it: calls of the functions of hot.sql, each a round trip."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from time import monotonic
from typing import Any, TypeAlias, cast

import msgspec
import psycopg
from psycopg.errors import ForeignKeyViolation, InsufficientPrivilege, UniqueViolation
from psycopg_pool import AsyncConnectionPool

from mediation.domain.errors import (
    Conflict,
    KeyInFlight,
    Malformed,
    MediationError,
    NotFound,
    NotPermitted,
    Reason,
    StaleVersion,
)
from mediation.domain.events import Event, dump, load, parse
from mediation.domain.facts import Actor, Case, Instant, Organisation
from mediation.domain.lapsing import late_at
from mediation.domain.tallying import tallies
from mediation.domain.vocabulary import Role
from mediation.store.calls import (
    BODY,
    CLOCK,
    CLOCK_CALLER,
    Context,
    Filing,
    Placed,
    Replay,
    SealedRow,
    Seen,
    bodies,
    sealed_json,
    sealed_rows,
)
from mediation.store.columns import columns_of
from mediation.store.line import Call, Line, Value

__all__ = [
    "CLOCK",
    "CLOCK_CALLER",
    "Connection",
    "Context",
    "DatabaseError",
    "Filing",
    "Memory",
    "OrganisationRequired",
    "Placed",
    "Pool",
    "Replay",
    "SealedRow",
    "Seen",
]

Connection: TypeAlias = psycopg.AsyncConnection[Any]
DatabaseError: TypeAlias = psycopg.Error
Pool: TypeAlias = AsyncConnectionPool[Line]


class OrganisationRequired(Malformed):
    """The person acts for several bodies and did not say for which."""

    code = "organisation_required"
    zh = "您任职于多个单位，请用 Acting-For 指明代表哪个单位"
    en = "You act for several bodies: say which with Acting-For"


MOST_FIELDS = 500
"""Values named in an entry of the access log: a leaf of a log has 65,535 bytes at most (C2SP tlog-tiles)."""


class Memory:
    """The hot path's door to the database."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def read_case(
        self,
        context: Context,
        case_id: str | None = None,
        key: str = "",
        named: Sequence[str] = (),
        *,
        sealed: bool = False,
    ) -> Seen:
        """What the caller may see of a case, who they are, and what was answered under `key`, in one round trip.

        `named` are further bodies to read; `sealed`: also the sealed values of the case.
        Raises: OrganisationRequired; NotPermitted, for who is no member of the body named, or of any.
        """
        row = await self._call(
            _READ,
            (
                context.caller or None,
                context.issuer,
                context.subject,
                context.acting_for or None,
                context.request,
                case_id,
                key or None,
                _array(named),
                context.shown or None,
                sealed,
            ),
        )
        standing, person, org, roles, facts, orgs, text_key, fingerprint, event, values = row
        if standing != "ok":
            raise _no_standing(standing)
        known = CLOCK if person == CLOCK_CALLER else person
        actor = Actor(person=known, org=org, roles=tuple(_ROLES[role] for role in roles.split()))
        return Seen(
            load(facts) if facts else None,
            actor,
            bodies(orgs),
            Replay(fingerprint, parse(event)) if event else None,
            text_key or b"",
            sealed_rows(values) if values else [],
        )

    async def case_numbered(self, context: Context, number: str) -> str | None:
        """The id of the case of that number, for the check of a case code."""
        (found,) = await self._call(_NUMBERED, (context.caller or None, context.request, number))
        return cast("str | None", found)

    async def prepare_filing(
        self,
        context: Context,
        actor: Actor,
        year: int,
        division: str,
        since: datetime,
        blinds: tuple[Sequence[bytes], Sequence[bytes]],
    ) -> Filing:
        """A fresh number, and the visible cases of the division filed since then with parties of both sides in common.

        `blinds` are the blind indexes of the applicants and of the respondents.
        """
        number, similar = await self._call(
            _FILING,
            (*who(actor, context.request), year, division, since.isoformat(), _bytes(blinds[0]), _bytes(blinds[1])),
        )
        return Filing(number, tuple(str(case_id) for case_id in similar))

    async def bodies_of(self, people: Sequence[str]) -> dict[str, frozenset[str]]:
        """The bodies at which each of these people is a member; who is a member of none is left out."""
        rows = await self.rows(_MEMBERS, (_array(people),))
        return {person: frozenset(bodies) for person, bodies in rows}

    async def sealed(self, context: Context, actor: Actor, case_id: str) -> list[SealedRow]:
        """The sealed rows of a case the actor may see, in order, each with its wrapped key, as long as there is one.

        A row named `erased` stands for each subject whose key was destroyed.
        """
        rows = await self.rows(_SEALED, (*who(actor, context.request), context.shown or None, case_id))
        return [
            SealedRow(subject, digest, name, data, blind or b"", key, blind_id or b"")
            for subject, digest, name, data, blind, key, blind_id in rows
        ]

    async def write_step(  # noqa: PLR0913  # who, what, and what it made of the case
        self,
        context: Context,
        actor: Actor,
        event: Event,
        canonical: bytes,
        before: Case | None,
        after: Case,
        *,
        sealed: Sequence[SealedRow] = (),
        key: str = "",
        fingerprint: bytes = b"",
    ) -> None:
        """Append an event and what it made of the case, all or nothing, durable on return; one round trip.

        Raises: StaleVersion, when the case has moved on; KeyInFlight, when the key was used in the meantime; Conflict,
        where the number is another case's.
        """
        columns = columns_of(after)
        person, _, roles, request = who(actor, context.request)
        step = (
            person,
            event.org or None,
            roles,
            request,
            context.shown or None,
            event.case,
            event.seq - 1,
            event.event,
            canonical,
            key or None,
            fingerprint or None,
            sealed_json(sealed),
            msgspec.json.encode(counted).decode() if (counted := tallies(before, after)) else None,
            _listed_anew(before, after),
            dump(after).decode(),
            *(_array(value) if isinstance(value, list) else value for value in columns),
        )
        try:
            if event.seq == 1:
                (written,) = await self._call(_OPEN, (after.number, event.at, *step))
            else:
                (written,) = await self._call(_WRITE, step)
        except UniqueViolation as found:
            if found.diag.table_name == "event_keys":
                raise KeyInFlight from found
            if found.diag.table_name == "cases":  # the next filing takes the next number
                zh, en = "案号已被占用，请重试", "The number of the case is taken: send it again"
                raise Conflict(Reason("number_taken", zh, en)) from found
            raise
        except ForeignKeyViolation as found:  # an erasure has destroyed it meanwhile
            raise StaleVersion from found
        if not written:
            raise StaleVersion

    async def disclose(
        self,
        context: Context,
        actor: Actor,
        kind: str,
        case_id: str | None,
        purpose: str,
        fields: Sequence[str],
        sealed: bytes = b"",
    ) -> None:
        """Write down who is about to be shown which plain values, and what for. Durable on return.

        Of very many values each entry names so many that it fits into the log.
        `purpose` is a code; what is written by hand may name somebody and comes `sealed`.
        Raises: NotFound, for a case that is not (or no longer) theirs to see.
        """
        shown = context.shown or None
        try:
            for start in range(0, len(fields) or 1, MOST_FIELDS):
                named = _array(fields[start : start + MOST_FIELDS])
                said = (*who(actor, context.request), shown, kind, case_id, purpose, named, sealed or None)
                await self._call(_DISCLOSE, said)
        except InsufficientPrivilege as found:
            raise NotFound from found

    async def turn_month(self, days: int) -> None:
        """Make the parts of tables for the months to come; drop idempotency keys, by the month, that are older."""
        await self._call(_COMING, ())
        await self._call(_FORGET, (days,))

    async def events(self, actor: Actor, request: str, case_id: str, after: int, limit: int) -> list[Placed]:
        """The events of a case after that one, in order. Raises NotFound, where it is absent or invisible."""
        try:
            rows = await self.rows(_EVENTS, (*who(actor, request), case_id, after, limit))
        except InsufficientPrivilege as found:
            raise NotFound from found
        return [Placed(*row) for row in rows]

    # ── what the clock looks up ──

    @asynccontextmanager
    async def alone(self, work: str) -> AsyncIterator[bool]:
        """Whether nobody else, on whatever machine, is at this work; if so nobody else will be until the block ends.

        The lock is a transaction's, as a session's would stay behind with a pooler; idle, that one holds up no vacuum.
        """
        line = await self._taken()
        try:
            await line.ask("BEGIN", ())
            try:
                ((alone, _),) = await line.ask(_ALONE, (work,))
                yield alone
            finally:
                with suppress(psycopg.Error):  # a connection that is lost has lost its lock
                    await line.ask("ROLLBACK", ())
        finally:
            await self._pool.putconn(line)

    async def waking(self, until: Instant, after: tuple[Instant, str] | None, limit: int) -> list[Case]:
        """The cases a clock of which wants attention by then, earliest first; `after` this instant and id of a case."""
        since = after or ("-infinity", CLOCK_CALLER)
        return [load(facts) for (facts,) in await self.rows(_WAKING, (until, *since, limit))]

    async def awake(self, until: Instant) -> int:
        """How many cases want attention by then."""
        ((count,),) = await self.rows("SELECT awake_cases(%s::timestamptz)", (until,))
        return int(count)

    async def counting(self, after: str, limit: int) -> list[Case]:
        """So many of the cases after that id (at first "") in which a clock runs, by id."""
        return [load(facts) for (facts,) in await self.rows(_COUNTING, (after or CLOCK_CALLER, limit))]

    async def organisations(self, ids: Iterable[str]) -> dict[str, Organisation]:
        """These bodies by id."""
        rows = await self.rows(_BODIES, (_array(ids),))
        return {body.id: body for (body,) in ((_ORGANISATION.decode(text),) for (text,) in rows)}

    async def recounted(self) -> str:
        """The digest of the laws for which days were last counted anew; "" for never."""
        rows = await self.rows("SELECT digest FROM recounts ORDER BY done_at DESC LIMIT 1", ())
        return rows[0][0] if rows else ""

    async def note_recount(self, digest: str) -> None:
        """Every day to come has been counted anew under these laws."""
        await self._call(_RECOUNTED, (digest,))

    async def together(self, *calls: Call) -> list[tuple[Any, ...]]:
        """The rows of the last of these statements, all of them in one transaction and one round trip: for lists."""
        line = await self._taken()
        try:
            return await line.together(*calls)
        finally:
            await self._pool.putconn(line)

    async def _taken(self) -> Line:
        """A connection of the pool, in the time the pool allows; those that the server has dropped are replaced."""
        over = monotonic() + self._pool.timeout
        while (line := await self._pool.getconn(max(0.0, over - monotonic()))).closed:
            await self._pool.putconn(line)
        return line

    async def rows(self, call: str, values: Sequence[Value]) -> list[tuple[Any, ...]]:
        """The rows of one statement, in a transaction of its own."""
        return await self.together(Call(call, values))

    async def _call(self, call: str, values: Sequence[Value]) -> tuple[Any, ...]:
        (row,) = await self.rows(call, values)
        return row


def who(actor: Actor, request: str) -> tuple[str, str, str, str]:
    """The first parameters of the functions of hot.sql: person, body, roles, request."""
    person = CLOCK_CALLER if actor.person == CLOCK else actor.person
    return person, actor.org, _array(actor.roles), request


def _listed_anew(before: Case | None, after: Case) -> bool:
    """Whether the case is to be listed elsewhere, or otherwise, than before."""
    return before is None or _listed(before) != _listed(after)


def _listed(case: Case) -> tuple[object, ...]:
    said = (case.state, case.due_on, late_at(case), case.holder, case.category)
    return *said, case.handoffs, case.refs, case.named


def _array(values: Iterable[str]) -> str:
    """A PostgreSQL array as text: psycopg is slower at lists than at strings."""
    quoted = [value.replace("\\", "\\\\").replace('"', '\\"') for value in values]
    return '{"' + '","'.join(quoted) + '"}' if quoted else "{}"


def _bytes(values: Iterable[bytes]) -> str:
    """A PostgreSQL array of bytes as text."""
    return _array(f"\\x{value.hex()}" for value in values)


def _no_standing(standing: str) -> MediationError:
    if standing == "several":
        return OrganisationRequired()
    if standing == "foreign":
        return NotPermitted(Reason("not_a_member", "您不是该单位的成员", "You are not a member of this body"))
    return NotPermitted(Reason("no_membership", "您不属于任何单位", "You are a member of no body"))


_ROLES = {role.value: role for role in Role}
_ORGANISATION = msgspec.json.Decoder(Organisation)
_ALONE = "SELECT pg_try_advisory_xact_lock(hashtext(%s)), set_config('idle_in_transaction_session_timeout', '0', true)"
_BODIES = f"SELECT {BODY}::text FROM organisations o WHERE o.id = ANY (%s::uuid[])"  # noqa: S608  # our own text
_WAKING = "SELECT waking_cases(%s::timestamptz, %s::timestamptz, %s::uuid, %s)"
_COUNTING = "SELECT counting_cases(%s::uuid, %s)"
_RECOUNTED = (
    "INSERT INTO recounts (digest, done_at) VALUES (%s, clock_timestamp()) "
    "ON CONFLICT (digest) DO UPDATE SET done_at = excluded.done_at RETURNING digest"
)
_READ = (
    "SELECT standing, actor::text, actor_org::text, actor_roles, facts, orgs, text_key, fingerprint, event, sealed "
    "FROM read_case(%s::uuid, %s, %s, %s::uuid, %s::uuid, %s::uuid, %s, %s::uuid[], %s, %s)"
)
_WHO = "%s::uuid, %s::uuid, %s::text[], %s::uuid"
_NUMBERED = "SELECT numbered_case(%s::uuid, %s::uuid, %s)"
_FILING = f"SELECT * FROM prepare_filing({_WHO}, %s, %s, %s, %s::bytea[], %s::bytea[])"  # noqa: S608  # our own text
_MEMBERS = "SELECT person::text, array_agg(org::text) FROM memberships WHERE person = ANY (%s::uuid[]) GROUP BY person"
_SEALED = f"SELECT * FROM sealed_rows({_WHO}, %s, %s::uuid)"  # noqa: S608  # our own text
_DISCLOSE = f"SELECT disclose({_WHO}, %s, %s, %s::uuid, %s, %s::text[], %b::bytea)"
_FORGET = "SELECT forget_keys(%s)"
_COMING = "SELECT make_partitions(now(), now() + interval '2 months')"
_EVENTS = f"SELECT seq, bytes, position FROM case_events({_WHO}, %s::uuid, %s::integer, %s::integer)"  # noqa: S608  # our own text
_STEP = (
    f"{_WHO}, %s, %s::uuid, %s::integer, %s::uuid, %b::bytea, %s, %b::bytea, %s::jsonb, %s::json, "
    "%s, %s::json, %s::json, "
    "%s, %s, %s, %s::uuid, %s, %s, %s, %s::date, %s::timestamptz, %s::timestamptz, "
    "%s::uuid[], %s::uuid[], %s::uuid[], %s::uuid[], %s::uuid[], %s::text[], %s, %s::uuid[], %s::uuid[], %s::uuid[]"
)
_WRITE = f"SELECT write_step({_STEP})"
_OPEN = f"SELECT open_case(%s, %s::timestamptz, {_STEP})"
