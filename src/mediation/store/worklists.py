"""The worklist of a body: its cases and those of the bodies below it, by an index of its own whatever their number."""

from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Any, NamedTuple
from uuid import UUID

from mediation.domain.facts import Case, Handoff, Instant, Organisation
from mediation.domain.lines import Line
from mediation.domain.vocabulary import HandoffState
from mediation.store import listing
from mediation.store.append import Memory
from mediation.store.line import Value
from mediation.store.listing import EQUAL, Found, Shape, cases_in, found_in, statement
from mediation.store.pages import LAST_ID, Day, Id, Page, capped, page_of, uncursor
from mediation.store.sight import Viewer, Worded, look

__all__ = ["Filters", "Listed", "Trayed", "tray", "worklist"]

_ALWAYS_LIVE = frozenset({HandoffState.OFFERED, HandoffState.RECEIVED})
_LEAST_AT_ONCE, _MOST_AT_ONCE = 16, 1000


class Filters(NamedTuple):
    """Conditions on a worklist, all of which must hold; None is no condition. `at` decides what is overdue.

    `due_before` and `due_after` leave their own day out. `q` is the beginning of a number or a reference; or the facts
    hold all its `grams` (`Vault.grams`), in whatever order: a few cases may be found that do not hold it whole.
    """

    at: Instant
    state: str | None = None
    track: str | None = None
    tier: str | None = None
    holder: str | None = None
    category: str | None = None
    risk: str | None = None
    overdue: bool | None = None
    due_before: date | None = None
    due_after: date | None = None
    division: str | None = None
    q: str | None = None
    grams: tuple[int, ...] = ()


class Listed(NamedTuple):
    """A case of a worklist; `orgs` are the bodies that conduct the cases of its page."""

    line: Line
    orgs: Mapping[str, Organisation]


class Trayed(NamedTuple):
    """A hand-off of a tray and the case it belongs to; `orgs` are the bodies that conduct the cases of its page."""

    case: Case
    handoff: Handoff
    orgs: Mapping[str, Organisation]


async def worklist(
    memory: Memory,
    viewer: Viewer,
    filters: Filters,
    *,
    sort: str = "newest",
    cursor: str | None = None,
    limit: int = 50,
) -> Page[Listed]:
    """Cases the viewer may see: the "newest" first; or by "due" day, and then those alone that have one.

    `holder` matches any body with an open leg. A cursor goes on in the order it was given for. Raises Malformed.
    """
    by_due = sort == "due"
    after = uncursor(cursor, Day, Id) if cursor and by_due else ["", *uncursor(cursor, Id)] if cursor else []
    body = await _body(memory, viewer, filters)
    shape = Shape(
        everywhere=not body,
        by_state=filters.state is not None,
        by_due=by_due,
        dated=not by_due and (filters.due_before is not None or filters.due_after is not None),
        told="" if filters.q is None else "words" if filters.grams else "named",
        numbered=(filters.q or "").isascii(),  # as all numbers are
    )
    search = _Search(memory, viewer, shape, _said(filters, body, after, by_due=by_due), capped(limit) + 1)
    found = await search.look(listing.walk) if by_due or filters.q is None else await _searched(search)
    keys = [(line.due_on, line.id) if by_due else line.id for line in found.lines]
    return page_of([(key, Listed(line, found.orgs)) for key, line in zip(keys, found.lines, strict=True)], limit)


async def tray(
    memory: Memory,
    viewer: Viewer,
    *,
    box: str,
    state: HandoffState | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[Trayed]:
    """Hand-offs to (`box` "in") or from ("out") the viewer's own body, newest cases first; by default live ones."""
    incoming, live = box == "in", state is None or state in _ALWAYS_LIVE
    start = uncursor(cursor, Id, int) if cursor else None
    asked = statement(listing.tray, viewer, (incoming, live))
    through, wanted = start[0] if start else LAST_ID, capped(limit) + 1
    found: list[tuple[tuple[str, int], Trayed]] = []
    while True:
        cases, orgs = cases_in(*await look(memory, viewer, asked, {"through": through, "wanted": wanted}))
        for case in cases:
            some = _trayed(case, viewer.org.id, state, start, incoming=incoming)
            found += [((case.id, one.id), Trayed(case, one, orgs)) for one in some]
        if len(found) > capped(limit) or len(cases) < wanted:
            return page_of(found, limit)
        through, wanted = str(UUID(int=UUID(cases[-1].id).int - 1)), min(4 * wanted, _MOST_AT_ONCE)


class _Search(NamedTuple):
    """What is sought, and by whom."""

    memory: Memory
    viewer: Viewer
    shape: Shape
    said: dict[str, Value]
    wanted: int

    async def ask(self, step: Callable[[Viewer, Shape], Worded], **more: Value) -> tuple[Any, ...]:
        """What a step of the search tells: one statement."""
        asked = statement(step, self.viewer, self.shape)
        said, walking = {"wanted": self.wanted, **self.said, **more}, self.shape.everywhere
        return await look(self.memory, self.viewer, asked, said, str(said["grams"] or ""), walking=walking)

    async def look(self, step: Callable[[Viewer, Shape], Worded], **more: Value) -> Found:
        """The cases that a step finds."""
        return found_in(*await self.ask(step, **more))


async def _body(memory: Memory, viewer: Viewer, filters: Filters) -> str:
    """The body whose list it is: the viewer's; the holder that is asked for, where that is below it.

    An auditor stands above no body: "" is all cases.
    """
    if viewer.audits:
        return ""
    if filters.holder is not None:
        found = await memory.organisations([filters.holder])
        if filters.holder in found and viewer.org.id in found[filters.holder].path:
            return filters.holder
    return viewer.org.id


def _said(filters: Filters, body: str, after: list[str], *, by_due: bool) -> dict[str, Value]:
    """The values of every statement of a list by name; whatever is None is no condition."""
    before, since = filters.due_before, filters.due_after
    day, number = since.isoformat() if since else "-infinity", LAST_ID
    if after and by_due:
        day, number = max((after[0], after[1]), (day, number))
    return {
        **{name: getattr(filters, name) for name in (*EQUAL, "state", "holder", "division", "at", "q")},
        "overdue": None if filters.overdue is None else str(filters.overdue),
        "body": body,
        "before": after[1] if after else LAST_ID,
        "day": day,
        "number": number,
        "due_before": before.isoformat() if before else "infinity",
        "due_after": since.isoformat() if since else "-infinity",
        "q_end": f"{filters.q}\U0010ffff",
        "grams": _array(map(str, filters.grams)) if filters.grams else None,
    }


def _array(words: Iterable[str]) -> str:
    return "{" + ",".join(f'"{word}"' for word in words) + "}"


# ── searching ──


async def _searched(search: _Search) -> Found:
    """The newest of the cases that `q` finds; each of the two ways gives as many as are wanted, or all."""
    words = search.shape.told == "words"
    found = [await _worded(search)] if words else []
    if search.shape.numbered or not words:
        found.append(await _named(search))
    lines = {line.id: line for one in found for line in one.lines}
    orgs = {org.id: org for one in found for org in one.orgs.values()}
    return Found([lines[id_] for id_ in sorted(lines, reverse=True)[: search.wanted]], orgs)


async def _named(search: _Search) -> Found:
    """Those whose number begins so, or whose reference it is.

    What is frequent is found by looking at one case after another; what is rare by the indexes, which give all they
    find.
    """
    lines, orgs, before = list[Line](), dict[str, Organisation](), str(search.said["before"])
    while True:
        wanted = search.wanted - len(lines)
        *said, last = await search.ask(listing.near, before=before, wanted=wanted)
        near = found_in(*said)
        lines, orgs = lines + near.lines, orgs | near.orgs
        if len(lines) == search.wanted or not last:
            return Found(lines, orgs)
        before = last
        if len(near.lines) < listing.OFTEN:
            rare = await search.look(listing.named, before=before, wanted=search.wanted - len(lines))
            return Found(lines + rare.lines, orgs | rare.orgs)


async def _worded(search: _Search) -> Found:
    """Those that hold the words, or whose reference it is, batch by batch (search.sql).

    The first time that is looked into is that of the newest cases.
    """
    first, last, oldest, named = await search.ask(listing.pace)
    found = Found([], {})
    if not first:
        return found
    before, ms = _id(UUID(first).int + 1), _ms(first) - _ms(last or oldest)
    batch = search.wanted + search.wanted // 4  # a few more, as some may be seen and yet not told of by their words
    while True:
        wanted = search.wanted - len(found.lines)
        asked: dict[str, Value] = {"before": before, "oldest": oldest, "ms": ms, "batch": batch, "named": named}
        *said, held, before, ms = await search.ask(listing.holding, **asked, wanted=wanted)
        some = found_in(*said)
        found = Found(found.lines + some.lines, found.orgs | some.orgs)
        if len(some.lines) >= wanted or held < batch:
            return found
        # Twice as many as should be among them what is still wanted, going by these.
        left = 2 * (wanted - len(some.lines)) * held // max(1, len(some.lines))
        batch = min(max(_LEAST_AT_ONCE, left), _MOST_AT_ONCE)


def _id(number: int) -> str:
    return str(UUID(int=number))


def _ms(case_id: str) -> int:
    """When a case was filed (UUIDv7, RFC 9562 §5.7)."""
    return UUID(case_id).int >> 80


def _trayed(
    case: Case, org: str, state: HandoffState | None, start: list[Any] | None, *, incoming: bool
) -> list[Handoff]:
    """The hand-offs of one case that belong in the tray, after the one where the last page ended."""
    return [
        handoff
        for handoff in case.handoffs
        if (handoff.to_org if incoming else handoff.from_org) == org
        and (handoff.live if state is None else handoff.state is state)
        and not (start and case.id == start[0] and handoff.id <= start[1])
    ]
