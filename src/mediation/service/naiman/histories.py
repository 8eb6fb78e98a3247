"""Every path of the demo's disputes by its name: how it is told, and in which states a case may then stand."""

from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, time, timedelta
from typing import NamedTuple

from mediation.domain.calendar import SHANGHAI, WorkCalendar
from mediation.domain.errors import MediationError
from mediation.service.naiman import link_ups, mediations
from mediation.service.naiman.chronicle import Chronicle, Dispute, Line


class Path(NamedTuple):
    """How a path is told, and the states in which its case may stand in the end."""

    tell: Callable[[Chronicle], None]
    ends: frozenset[str]


def _path(tell: Callable[[Chronicle], None], ends: str) -> Path:
    return Path(tell, frozenset(ends.split()))


PATHS = {
    "filed": _path(mediations.filed, "filed"),
    "declined": _path(mediations.declined, "closed"),
    "accepted": _path(mediations.accepted, "accepted"),
    "mediating": _path(mediations.mediating, "mediating"),
    "suspended": _path(mediations.suspended, "suspended"),
    "settled": _path(mediations.settled, "settled"),
    "settled_partly_performed": _path(mediations.partly_performed, "settled"),
    "breached": _path(mediations.breached, "unsettled"),
    "unsettled": _path(mediations.unsettled, "unsettled"),
    "closed_performed": _path(mediations.closed_performed, "closed"),
    "archived": _path(mediations.archived, "archived"),
    "on_the_spot": _path(mediations.on_the_spot, "closed archived"),
    "reopened": _path(mediations.reopened, "mediating"),
    "escalated_in_transit": _path(mediations.escalated, "in_transit"),
    "at_township": _path(mediations.at_township, "mediating"),
    "at_county": _path(mediations.at_county, "mediating"),
    "supervised": _path(mediations.supervised, "mediating settled"),
    "joint": _path(mediations.joint, "settled closed"),
    "danger": _path(mediations.danger, "mediating closed"),
    "court_trial": _path(link_ups.court_trial, "deciding"),
    "court_entrusted": _path(link_ups.court_entrusted, "mediating"),
    "suit_offered": _path(link_ups.suit_offered, "in_transit"),
    "confirmation_offered": _path(link_ups.confirmation_offered, "settled"),
    "confirmation_pending": _path(link_ups.confirmation_pending, "settled"),
    "confirmed": _path(link_ups.confirmed, "settled closed"),
    "enforcement": _path(link_ups.enforcement, "settled"),
    "police_case": _path(link_ups.police_case, "closed"),
    "procuratorate": _path(link_ups.procuratorate, "closed settled"),
    "petition": _path(link_ups.petition, "closed deciding"),
    "labour_arbitration": _path(link_ups.labour_arbitration, "deciding closed settled"),
    "medical": _path(link_ups.medical, "mediating settled closed"),
    "traffic": _path(link_ups.traffic, "mediating settled closed"),
    "consumer": _path(link_ups.consumer, "mediating settled closed"),
    "merged": _path(mediations.closed_performed, "closed"),  # a half without its other half
}
_PACES = (1.0, 0.6, 0.3, 0.1, 0.0)


class Untellable(MediationError):
    """A dispute was filed too late for all its steps to have been taken by now."""

    code = "untellable"


def history(disputes: Sequence[Dispute], shift: timedelta, until: date, calendar: WorkCalendar) -> list[Line]:
    """The lines of a dispute, or of the two halves of a merged pair, in the order of time.

    They were filed `shift` later than is written down, and nothing happens after the day `until`: the nearer it is, the
    less time passes between steps. Raises: Untellable.
    """
    last = datetime.combine(until, time(18), SHANGHAI)
    for pace in _PACES:
        stories = [Chronicle(dispute, dispute["filed_on"] + shift, until, calendar, pace) for dispute in disputes]
        if len(stories) > 1:
            lines = mediations.merged(*stories)
        else:
            PATHS[disputes[0]["path"]].tell(stories[0])
            lines = stories[0].lines
        if datetime.fromisoformat(lines[-1].at) <= last:
            return lines
    number = disputes[0]["id"]
    raise Untellable(
        zh=f"第{number}号纠纷登记太晚，历史来不及发生", en=f"Dispute {number} was filed too late for its history"
    )


def together(disputes: Iterable[Dispute]) -> list[list[Dispute]]:
    """The disputes, each by itself, but for the halves of a merged pair."""
    groups: dict[int, list[Dispute]] = {}
    for dispute in disputes:
        groups.setdefault(min(dispute["id"], dispute.get("merge_with", dispute["id"])), []).append(dispute)
    return list(groups.values())
