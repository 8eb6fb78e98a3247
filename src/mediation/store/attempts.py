"""What was refused and what was disclosed: the first written down in batches, both read by those who oversee them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import ColumnElement, Row, Select, Table, false, or_, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from mediation.domain import access
from mediation.domain.vocabulary import Power, Standing
from mediation.store.pages import Page, Serial, capped, page_of, uncursor
from mediation.store.sight import Viewer, reading
from mediation.store.tables import ATTEMPTS, DISCLOSURES, ORGANISATIONS


class Attempt(NamedTuple):
    """A request that was refused: who, what and why, in codes and ids; None is unknown.

    `person` is the token's own, else (`issuer`, `subject`) may be known; `acting_for` is what the caller claims and
    is believed of a member alone. `client` is a keyed hash in hex. `route` is a template, `action` that of a step.
    """

    at: datetime
    request: str
    person: str | None
    issuer: str
    subject: str
    acting_for: str | None
    client: str
    method: str
    route: str
    case_id: str | None
    action: str
    status: int
    code: str
    reasons: tuple[str, ...]


class Refusal(NamedTuple):
    """An attempt as it was written down: whose it was as far as could be told, `client` where it could not."""

    at: datetime
    request: str
    person: str | None
    org: str | None
    client: str | None
    method: str
    route: str
    case: str | None
    action: str
    status: int
    code: str
    reasons: list[str]


class Access(NamedTuple):
    """Who was shown which plain values, and what for: a code, or words, `sealed`."""

    at: datetime
    person: str
    org: str
    request: str
    kind: str
    case: str | None
    purpose: str
    fields: list[str]
    sealed: bytes | None


class Sought(NamedTuple):
    """Conditions on a log, all of which must hold; None is no condition. `since` is within, `until` beyond.

    `word` is the code of a refusal, or the kind of a disclosure.
    """

    since: datetime | None = None
    until: datetime | None = None
    person: str | None = None
    org: str | None = None
    case: str | None = None
    word: str | None = None


async def write_attempts(engine: AsyncEngine, batch: Sequence[Attempt]) -> None:
    """Write these down in one statement, durable on return; no context is needed, and none can be read by it."""
    rows = msgspec.json.encode([attempt._asdict() for attempt in batch]).decode()
    async with engine.begin() as connection:
        await connection.execute(_WRITE, {"rows": rows})


async def attempts(
    engine: AsyncEngine, viewer: Viewer, sought: Sought, *, cursor: str | None = None, limit: int = 50
) -> Page[Refusal]:
    """What was refused to members of the bodies the viewer oversees, the last written down first. Raises Malformed.

    What was refused to nobody's member is seen at the top alone.
    """
    mine = _overseen(viewer, Power.READ_ATTEMPTS, ATTEMPTS)
    if not viewer.org.superior and access.permitted(Power.READ_ATTEMPTS, viewer.actor, stands(viewer)):
        mine = or_(mine, ATTEMPTS.c.org.is_(None))
    query = _narrowed(ATTEMPTS, ATTEMPTS.c.code, sought).where(mine)
    found = await _rows(engine, viewer, ATTEMPTS, query, cursor, limit)
    return page_of([(row.id, _refusal(row)) for row in found], limit)


async def disclosures(
    engine: AsyncEngine, viewer: Viewer, sought: Sought, *, cursor: str | None = None, limit: int = 50
) -> Page[Access]:
    """Who of the bodies the viewer oversees was shown what is personal, the last first. Raises Malformed."""
    mine = _overseen(viewer, Power.READ_ACCESS, DISCLOSURES)
    query = _narrowed(DISCLOSURES, DISCLOSURES.c.kind, sought).where(mine)
    found = await _rows(engine, viewer, DISCLOSURES, query, cursor, limit)
    return page_of([(row.id, _access(row)) for row in found], limit)


def stands(viewer: Viewer) -> frozenset[Standing]:
    """Where the viewer stands to the bodies whose logs these are: above some, or with jurisdiction over some."""
    found = access.over(viewer.actor, viewer.org)
    return found | {Standing.AUDIT} if viewer.audits else found


def _overseen(viewer: Viewer, power: Power, log: Table) -> ColumnElement[bool]:
    """The rows of the bodies over which the viewer has the power: row-level security says it once more."""
    arms: list[ColumnElement[bool]] = [false()]
    if access.permitted(power, viewer.actor, frozenset({Standing.SUBTREE})):
        below = select(ORGANISATIONS.c.id).where(ORGANISATIONS.c.path.contains([viewer.org.id]))
        arms += [log.c.org == viewer.org.id, log.c.org.in_(below)]
    if viewer.audits and access.permitted(power, viewer.actor, frozenset({Standing.AUDIT})):
        there = ORGANISATIONS.c.division.startswith(viewer.audits, autoescape=True)
        arms.append(log.c.org.in_(select(ORGANISATIONS.c.id).where(there)))
    return or_(*arms)


async def _rows(
    engine: AsyncEngine, viewer: Viewer, log: Table, query: Select[Any], cursor: str | None, limit: int
) -> Sequence[Row[Any]]:
    if cursor:
        query = query.where(log.c.id < uncursor(cursor, Serial)[0])
    async with reading(engine, viewer) as connection:
        found: Sequence[Row[Any]] = (
            await connection.execute(query.order_by(log.c.id.desc()).limit(capped(limit) + 1))
        ).all()
    return found


def _narrowed(log: Table, word: ColumnElement[str], sought: Sought) -> Select[Any]:
    equal = ((log.c.person, sought.person), (log.c.org, sought.org), (log.c.case_id, sought.case), (word, sought.word))
    query = select(log).where(*(column == value for column, value in equal if value is not None))
    if sought.since is not None:
        query = query.where(log.c.at >= sought.since)
    if sought.until is not None:
        query = query.where(log.c.at < sought.until)
    return query


def _refusal(row: Row[Any]) -> Refusal:
    client = row.client.hex() if row.client else None
    who = row.at, row.request, row.person, row.org, client
    return Refusal(*who, row.method, row.route, row.case_id, row.action, row.status, row.code, row.reasons)


def _access(row: Row[Any]) -> Access:
    who = row.at, row.person, row.org, row.request
    return Access(*who, row.kind, row.case_id, row.purpose, row.fields, row.sealed)


# Whose token it was is looked up here, and so is the body: the one claimed if they are its member, or else their only
# one, or else the one that registered them. A request need not have come so far as to learn either.
_WRITE = text("""
INSERT INTO attempts (at, request, person, org, client, method, route, case_id, action, status, code, reasons)
SELECT a.at, a.request, who.person,
       coalesce((SELECT CASE WHEN count(*) = 1 THEN min(m.org::text)::uuid END
                   FROM memberships m JOIN organisations o ON o.id = m.org AND o.active
                  WHERE m.person = who.person AND (a.acting_for IS NULL OR m.org = a.acting_for)),
                (SELECT p.home FROM people p WHERE p.id = who.person)),
       CASE WHEN who.person IS NULL THEN decode(a.client, 'hex') END,
       a.method, a.route, a.case_id, a.action, a.status, a.code, a.reasons
  FROM jsonb_to_recordset(cast(:rows AS jsonb)) AS a (
           at timestamptz, request uuid, person uuid, issuer text, subject text, acting_for uuid, client text,
           method text, route text, case_id uuid, action text, status integer, code text, reasons text[])
  LEFT JOIN identities i ON i.issuer = a.issuer AND i.subject = a.subject
 CROSS JOIN LATERAL (SELECT coalesce(a.person, i.person) AS person) who
 ORDER BY a.at
""")
