"""The worklist of a body: its cases and those of the bodies below it, by an index of its own whatever their number."""

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

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
_MONTH_MS = 30 * 86_400_000
_AGES = 16
_MOST_AT_ONCE = 1000


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
        "grams": "{" + ",".join(map(str, filters.grams)) + "}" if filters.grams else None,
    }


# ── searching ──


async def _searched(search: _Search) -> Found:
    """The newest of the cases that `q` finds.

    What is frequent is found by looking at one case after another; what is rare by the indexes, of which that of words
    lies in parts by month and gives its finds unordered. What none of the newest cases holds may be in very many of
    those further back, as it is written late in a case: so it is sampled where these begin.
    """
    cases, orgs, hi = list[Case](), dict[str, Organisation](), str(search.said["before"])
    while True:
        near = await search.look(listing.near, before=hi, wanted=search.wanted - len(cases))
        cases, orgs = cases + near.cases, orgs | near.orgs
        first, last = (None, None) if len(cases) == search.wanted else await search.ask(listing.ends, before=hi)
        if not first or not last:
            return Found(cases, orgs)
        hi, ms = last, _ms(first) - _ms(last) + 1
        if len(near.cases) < listing.OFTEN:
            begin = 0 if cases else await _begin(search, _ms(last), ms)
            rare = await _indexed(search, last, begin, search.wanted - len(cases), ms, len(near.cases))
            cases, orgs = cases + rare.cases, orgs | rare.orgs
            if not begin or len(cases) == search.wanted:
                return Found(cases, orgs)
            hi = _first_of(begin)


async def _indexed(search: _Search, hi: str, lo: int, wanted: int, ms: int, seen: int) -> Found:
    """So many as are `wanted` of the cases that the indexes find from a moment up to an id.

    `seen` were in the `ms` after it. It is gone back by as much as it should take, and by less where far more is found.
    """
    cases, orgs = list[Case](), dict[str, Organisation]()
    end, least = _ms(hi), ms
    ms = _enough(ms, seen, wanted) if seen and not lo else end
    while len(cases) < wanted and end > lo:
        start = max(end - ms, lo)
        many = listing.MANY if end - start > least else None
        bounds = {"lo": _first_of(start), "hi": hi}
        *said, held = await search.ask(listing.found, **bounds, wanted=wanted - len(cases), many=many)
        if many and held >= many:
            ms = max(least, min(_MONTH_MS, (end - start) // 4))
            continue
        more = found_in(*said)
        cases, orgs = cases + more.cases, orgs | more.orgs
        ms, hi, end = _enough(end - start, len(more.cases), wanted - len(cases)), _first_of(start), start
    return Found(cases, orgs)


async def _begin(search: _Search, end: int, ms: int) -> int:
    """The moment before which cases begin to hold the words, to within so many `ms`; 0, where they hardly ever do."""
    newer, ages = 0, [age for age in (ms << n for n in range(_AGES)) if age < end]
    while search.shape.told == "words" and ages:
        (told,) = await search.ask(listing.sampled, ages=f"{{{','.join(_first_of(end - age) for age in ages)}}}")
        held = msgspec.json.decode(told, type=list[int])
        place = next((place for place, some in enumerate(held) if some), None)
        if place is None:
            break
        newer, older = ages[place - 1] if place else newer, ages[place]
        if older - newer <= 2 * ms:
            break
        ages = [newer + (older - newer) * n // _AGES for n in range(1, _AGES + 1)]
    return end - newer if newer else 0


def _enough(ms: int, found: int, wanted: int) -> int:
    """In how many milliseconds so many more should be found, with some to spare, if they come as they did in these."""
    return ms * wanted * 3 // (2 * found) if found else 16 * ms


def _ms(case_id: str) -> int:
    """When a case was filed (UUIDv7, RFC 9562 §5.7)."""
    return UUID(case_id).int >> 80


def _first_of(ms: int) -> str:
    """The lowest id of a moment."""
    return str(UUID(int=ms << 80))


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
