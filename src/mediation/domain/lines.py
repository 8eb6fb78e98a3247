"""A case as lists show it, in one line 案件行: so that no list reads whole cases."""

import msgspec

from mediation.domain import vocabulary as v
from mediation.domain.clocks import Running, running
from mediation.domain.facts import Case, Day, Instant


class Line(msgspec.Struct, frozen=True, array_like=True):
    """What a list shows of a case, named as in it, and the clocks that make it urgent at whatever instant.

    An array as JSON: whoever adds a field adds it at the end, with a migration that writes the lines anew.
    """

    id: str
    number: str
    version: int
    state: v.CaseState
    tier: str
    track: str
    holder: str
    category: v.Category
    division: str
    channel: v.Channel
    risk: v.Risk
    request_on: Day
    due_on: Day
    at: Instant
    clocks: tuple[Running, ...] = ()


def line_of(case: Case) -> Line:
    """The line of a case."""
    return Line(
        case.id,
        case.number,
        case.version,
        case.state,
        case.tier,
        case.track,
        case.holder,
        case.category,
        case.division,
        case.channel,
        case.risk,
        case.request_on,
        case.due_on,
        case.at,
        running(case),
    )
