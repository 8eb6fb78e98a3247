"""The worklist of a body: its cases and those of the bodies below it, by an index of its own whatever their number."""

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, NamedTuple
from uuid import UUID

from mediation.domain.facts import Case, Handoff, Instant, Organisation
from mediation.domain.vocabulary import HandoffState
from mediation.store import listing
from mediation.store.append import Memory
from mediation.store.line import Value
from mediation.store.listing import EQUAL, Found, Shape, found_in, statement
from mediation.store.pages import LAST_ID, Day, Id, Page, capped, page_of, uncursor
from mediation.store.sight import Viewer, Worded, look

__all__ = ["Filters", "Listed", "Trayed", "tray", "worklist"]

_ALWAYS_LIVE = frozenset({HandoffState.OFFERED, HandoffState.RECEIVED})
_MOST_AT_ONCE = 1000
_LOWEST_ID = str(UUID(int=0))


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

    case: Case
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
    keys = [(case.due_on, case.id) if by_due else case.id for case in found.cases]
    return page_of([(key, Listed(case, found.orgs)) for key, case in zip(keys, found.cases, strict=True)], limit)


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
        cases, orgs = found_in(*await look(memory, viewer, asked, {"through": through, "wanted": wanted}))
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
        grams, stretch = str(said["grams"] or ""), str(said["stretch"])
        return await look(self.memory, self.viewer, asked, said, grams, stretch, walking=walking)

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
        "grams": "{" + ",".join(map(str, filters.grams)) + "}" if filters.grams else None,
        "stretch": "",
    }


# ── searching ──


async def _searched(search: _Search) -> Found:
    """The newest of the cases that `q` finds.

    What is frequent is found by looking at one case after another; what is rare by the indexes, of which that of words
    gives its finds unordered: so it is asked for one stretch of time after another.
    """
    cases, orgs, hi = list[Case](), dict[str, Organisation](), str(search.said["before"])
    while True:
        *said, first, last = await search.ask(listing.near, before=hi, wanted=search.wanted - len(cases))
        near = found_in(*said)
        cases, orgs = cases + near.cases, orgs | near.orgs
        if len(cases) == search.wanted or not last:
            return Found(cases, orgs)
        hi = last
        if len(near.cases) < listing.OFTEN:
            seen_ms = (_ms(first) - _ms(last)) * search.wanted // max(1, len(near.cases))
            rare, hi = await _indexed(search, hi, search.wanted - len(cases), seen_ms)
            cases, orgs = cases + rare.cases, orgs | rare.orgs
            if len(cases) == search.wanted or hi == _LOWEST_ID:
                return Found(cases, orgs)


async def _indexed(search: _Search, hi: str, wanted: int, ms: int) -> tuple[Found, str]:
    """So many as are `wanted` of the cases that the indexes find below an id; and the id down to which they looked.

    That is before the lowest of all where they are frequent again. So many should be found in these `ms`. Where a
    stretch holds too many, a shorter one is tried, and a longer one no more until that is done with.
    """
    cases, orgs = list[Case](), dict[str, Organisation]()
    size, done = _size_of(ms) if search.shape.told == "words" else len(listing.STRETCHES) - 1, hi
    while len(cases) < wanted and hi != _LOWEST_ID:
        stretch = str(UUID(int=UUID(hi).int - 1))[: listing.STRETCHES[size]]
        lo = f"{stretch:0<8}{_LOWEST_ID[8:]}"
        asked: dict[str, Value] = {"stretch": stretch, "lo": lo, "hi": hi, "many": listing.MANY}
        *said, held = await search.ask(listing.found, **asked, wanted=wanted - len(cases))
        if held >= listing.MANY:
            if not size:
                break
            size, done = size - 1, lo
            continue
        more = found_in(*said)
        cases, orgs, hi = cases + more.cases, orgs | more.orgs, lo
        if size + 1 < len(listing.STRETCHES) and hi <= done and 16 * held < listing.MANY:
            size += 1
    return Found(cases, orgs), hi


def _size_of(ms: int) -> int:
    """Which of the lengths of stretches is the longest that is no longer than so many milliseconds, or the shortest."""
    lengths = (1 << 4 * (12 - digits) for digits in listing.STRETCHES)
    return max(0, sum(length <= ms for length in lengths) - 1)


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
