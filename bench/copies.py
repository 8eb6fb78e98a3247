"""True histories put into the database as the corridor would have left them, many of them at once."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec
import psycopg
from uuid_utils import uuid7

from mediation.domain.events import NO_HASH, Event, dump, evolve, leaf_hash, parse
from mediation.domain.facts import Case, Instant
from mediation.domain.tallying import tallies
from mediation.settings import Urls
from mediation.store import append
from mediation.store.columns import CaseColumns, columns_of
from mediation.store.leaves import instant
from mediation.store.trails import trails

AT_ONCE = 2500
"""Cases that go on side by side: an event and the next of its case stand so far apart in the log."""

_SPREAD = 600_000
_COLUMNS = ("id", "number", "version", "filed_at", "facts", *CaseColumns._fields)


class History(NamedTuple):
    """A case with its events, the columns of its row after each, and its rows of the vault and of the vault's keys.

    `tallies`: what each event adds to the counts of bodies, where anybody reads these.
    """

    case: Case
    events: Sequence[Event]
    columns: Sequence[CaseColumns]
    vault: Sequence[tuple[object, ...]] = ()
    keys: Sequence[tuple[object, ...]] = ()
    tallies: Sequence[str | None] = ()


async def patterns(urls: Urls) -> list[History]:
    """Every history that there is, but for cases that name another, which a copy would name too."""
    found = []
    with psycopg.connect(urls.reader) as reader:
        async with trails(urls.reader) as every:
            async for trail in every:
                events = [parse(stored.data) for stored in trail.events]
                case, columns, counted = _folded(events) if trail.case else (None, [], [])
                if case is None or case.merged_into or case.absorbed or case.successor_of:
                    continue
                vault, keys = (reader.execute(query, (case.id,)).fetchall() for query in _SEALED)
                found.append(History(case, events, columns, vault, keys, counted))
    return found


def _folded(events: Sequence[Event]) -> tuple[Case | None, list[CaseColumns], list[str | None]]:
    case, columns, counted = None, [], []
    for event in events:
        before, case = case, evolve(case, event)
        columns.append(columns_of(case))
        added = tallies(before, case)
        counted.append(msgspec.json.encode(added).decode() if added else None)
    return case, columns, counted


def copies(found: Sequence[History], events: int) -> Iterator[History]:
    """Copies of these in turn until there are so many events, each with ids, a number and a chain of its own.

    Each is some milliseconds later than its pattern; whatever an event says of days and of the law stays as it was.
    """
    made = 0
    for number in range(events):
        if made >= events:
            return
        copy = _copied(found[number % len(found)], f"bench-2026-{number:07}", timedelta(milliseconds=number % _SPREAD))
        made += len(copy.events)
        yield copy


def _copied(history: History, number: str, later: timedelta) -> History:
    case_id, head, events = str(uuid7()), NO_HASH, []
    for event in history.events:
        attrs = event.attrs if events else event.attrs | {"case": event.attrs["case"] | {"number": number}}
        changes = {"event": str(uuid7()), "case": case_id, "prev": head, "at": _moved(event.at, later), "attrs": attrs}
        events.append(msgspec.structs.replace(event, **changes))
        head = leaf_hash(events[-1].canonical)
    case = msgspec.structs.replace(history.case, id=case_id, number=number, head=head, at=events[-1].at)
    return history._replace(case=case, events=events)


def _moved(at: Instant, later: timedelta) -> Instant:
    return instant(datetime.fromisoformat(at) + later)


def put(database: psycopg.Connection, histories: Iterable[History]) -> int:
    """Put these down in one transaction, the first event of each before the second of any; how many events.

    `database` is a superuser's: row-level security lets nobody else copy rows in. What is sealed is that of the
    pattern, which no key of the copy opens: what verifies a history looks for it, and opens nothing.
    """
    some = list(histories)
    events = [
        (seq, event, one.columns[seq], (*one.tallies[seq : seq + 1], None)[0])
        for one in some
        for seq, event in enumerate(one.events)
    ]
    events.sort(key=lambda row: row[0])
    cursor = database.cursor()
    with cursor.copy(f"COPY cases ({', '.join(_COLUMNS)}) FROM STDIN") as rows:
        for one in some:
            case, columns = one.case, [_cell(value) for value in columns_of(one.case)]
            rows.write_row((case.id, case.number, case.version, one.events[0].at, dump(case).decode(), *columns))
    with cursor.copy("COPY events (id, case_id, seq, bytes) FROM STDIN") as rows:
        for _, event, *_ in events:
            rows.write_row((event.event, event.case, event.seq, event.canonical))
    outbox = "COPY outbox (event, case_id, holder, open_orgs, category, division, late_at, tallies) FROM STDIN"
    with cursor.copy(outbox) as rows:
        for _, event, stood, counted in events:
            found = (stood.holder, _cell(stood.open_orgs), stood.category, stood.division, stood.late_at, counted)
            rows.write_row((event.event, event.case, *found))
    with cursor.copy("COPY vault_keys (case_id, subject, wrapped) FROM STDIN") as rows:
        for one in some:
            for row in one.keys:
                rows.write_row((one.case.id, *row))
    with cursor.copy("COPY vault (case_id, subject, digest, name, sealed) FROM STDIN") as rows:
        for one in some:
            for row in one.vault:
                rows.write_row((one.case.id, *row))
    database.commit()
    return len(events)


def _cell(value: object) -> object:
    return append._array(value) if isinstance(value, list) else value  # noqa: SLF001  as `write_step` writes them


_SEALED = (
    "SELECT subject, digest, name, sealed FROM vault WHERE case_id = %s ORDER BY place",
    "SELECT subject, wrapped FROM vault_keys WHERE case_id = %s",
)
