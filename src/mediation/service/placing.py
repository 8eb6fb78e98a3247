"""Where the events of a case stand in the tree, and the spans that were made of them, beside what the fold says."""

from collections.abc import Mapping
from datetime import datetime

from mediation.domain.errors import Reason
from mediation.domain.events import Event
from mediation.domain.facts import Case, Instant
from mediation.domain.lapsing import late_at
from mediation.service.findings import Failure
from mediation.store.trails import StoredSpan, Trail

_PLACED = Reason(
    "wrong_order", "事件在日志中的先后与历史不符", "The place in the log is not in the order of the history"
)
_NO_SPAN = Reason("wrong_span", "时段表中没有该事件", "The table of spans lacks the event")


class History:
    """What a fold says of each event: how the case stood after it, and whether it was overdue before."""

    def __init__(self) -> None:
        self._spans: list[StoredSpan] = []

    def take(self, event: Event, after: Case) -> None:
        """Note the next event. Its place, and when the next one ends its span, are not known yet."""
        at = datetime.fromisoformat(event.at)
        late = self._spans[-1].late_at if self._spans else None
        self._spans.append(
            StoredSpan(
                position=0,
                event=event.event,
                since=at,
                until=None,
                action=event.action,
                org=event.org or None,
                actor=event.actor,
                role=event.role,
                basis=list(event.basis),
                before=event.from_,
                state=event.to,
                holder=after.holder or None,
                open_orgs=sorted({leg.org for leg in after.legs if leg.open}),
                category=after.category.value,
                division=after.division,
                late_at=_moment(late_at(after)),
                was_late=late is not None and late <= at,
            )
        )

    def misplaced(self, trail: Trail, number: str) -> Failure | None:
        """The first event whose place is not after that of the one before, or whose span is not as the fold says."""
        last: int | None = 0  # None: an event before has no place yet, so none after it may have one
        followers = [*zip(trail.events[1:], self._spans[1:], strict=True), None]
        for told, stored, follower in zip(self._spans, trail.events, followers, strict=True):
            reason = None
            position = stored.position
            if position is None:
                reason = None if stored.span is None else _PLACED
            elif last is None or position <= last:
                reason = _PLACED
            elif stored.span is None:
                reason = _NO_SPAN
            else:
                until = follower[1].since if follower and follower[0].position is not None else None
                reason = _differing(told._replace(position=position, until=until), stored.span)
            if reason:
                return Failure(trail.case_id, number, stored.seq, stored.id, reason, position or 0)
            last = position
        return None


def log_misplaced(trail: Trail, said: Mapping[int, int]) -> Failure | None:
    """The first entry of the log of administration whose place is not after that of the one before.

    `said`: by number, the place that an entry about a new tree of events names. It is the first leaf there, before
    entries that had waited while nothing was signed.
    """
    last: int | None = 0
    begun = 0
    for stored in trail.events:
        position = stored.position
        if position is not None and position == said.get(stored.seq):
            begun = position
        elif position is not None and (last is None or position <= max(last, begun)):
            return Failure(trail.case_id, "", stored.seq, stored.id, _PLACED, position)
        else:
            last = position
    return None


def _differing(told: StoredSpan, stored: StoredSpan) -> Reason | None:
    if told == stored:
        return None
    differ = [name for name in StoredSpan._fields if getattr(told, name) != getattr(stored, name)]
    zh, en = "、".join(differ), ", ".join(differ)
    return Reason("wrong_span", f"时段表与历史不符：{zh}", f"The span differs from the history: {en}")


def _moment(at: Instant) -> datetime | None:
    return datetime.fromisoformat(at) if at else None
