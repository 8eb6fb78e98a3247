"""What the clock does: which periods of a case have run out at an instant, and the steps that this asks for."""

from collections.abc import Mapping
from typing import NamedTuple

from mediation.domain import commands as c
from mediation.domain.clocks import is_over, midnight, runs_out
from mediation.domain.facts import Case, Clock, Instant, Organisation
from mediation.domain.vocabulary import (
    ClockState,
    Expiry,
    FailGround,
    HandoffReason,
    LegState,
    ReturnReason,
)

_MEDIATION = frozenset({LegState.ACCEPTED, LegState.MEDIATING})  # what is suspended is not ended behind its back
_CONCLUDED = frozenset({LegState.SETTLED, LegState.UNSETTLED})
_ESCALATES = frozenset({LegState.FILED, LegState.ACCEPTED, LegState.MEDIATING, LegState.UNSETTLED})


class Lapse(NamedTuple):
    """A step the clock takes; `alarm` is what it does instead where that is refused, so that nothing lapses unseen."""

    command: c.Command
    alarm: c.Urge


def wake_at(case: Case) -> Instant:
    """The next instant at which a clock of the case asks for a step; "" for never."""
    if case.archived:
        return ""
    return min((_next(clock) for clock in case.clocks if _live(clock)), default="")


def late_at(case: Case) -> Instant:
    """The instant from which the case is overdue if nothing is done: a running clock has run out; "" for never."""
    if case.archived:
        return ""
    running = (c for c in case.clocks if c.state is ClockState.RUNNING and c.due_on)
    return min((runs_out(clock) for clock in running), default="")


def lapses(case: Case, at: Instant, orgs: Mapping[str, Organisation]) -> list[Lapse]:
    """The steps the clock takes now, in the order in which they fell due; pure.

    A period that ran out asks for its rule's action (process.md R4); one that soon will, for a reminder.
    """
    due = sorted((_next(clock), clock.id) for clock in case.clocks if _live(clock))
    return [_lapse(case, case.clocks[number - 1], at, orgs) for when, number in due if when <= at]


def _live(clock: Clock) -> bool:
    return clock.state is ClockState.RUNNING and bool(clock.due_on) and not clock.alarmed


def _next(clock: Clock) -> Instant:
    """When a running clock next asks for a step: as soon as it has run out, or on the day of its reminder."""
    over = runs_out(clock)
    return min(over, midnight(clock.warn_on)) if clock.warn_on else over


def _lapse(case: Case, clock: Clock, at: Instant, orgs: Mapping[str, Organisation]) -> Lapse:
    sender = case.handoff(clock.handoff).from_leg if clock.handoff else 0
    leg = clock.leg or sender or case.agreement(clock.agreement).leg
    urge = c.Urge(action="urge", clock=clock.id, leg=leg)
    # On a provisional day nothing is done that cannot be undone: the notice that is missing may give it another.
    action = _action(case, clock, orgs) if is_over(clock, at) and not clock.provisional else None
    return Lapse(action or urge, urge)


def _action(case: Case, clock: Clock, orgs: Mapping[str, Organisation]) -> c.Command | None:
    """The action of a period that ran out, where the case still stands so that it can be taken."""
    match Expiry(clock.expiry):
        case Expiry.FAIL if clock.leg and case.leg(clock.leg).state in _MEDIATION:
            return c.Fail(action="fail", leg=clock.leg, ground=FailGround.PERIOD_OVER)
        case Expiry.RETURN if clock.handoff and case.handoff(clock.handoff).unanswered:
            return c.Return(action="return", handoff=clock.handoff, reason=ReturnReason.OVERDUE)
        case Expiry.RECALL if clock.handoff and case.handoff(clock.handoff).live:
            receiver = case.handoff(clock.handoff).to_leg
            if receiver and case.leg(receiver).state in _CONCLUDED:
                return None  # there is a result: its report is asked for, and the result not destroyed
            return c.Recall(action="recall", handoff=clock.handoff)
        case Expiry.ACCEPT:
            leg = clock.leg or (case.handoff(clock.handoff).to_leg if clock.handoff else 0)
            return c.Accept(action="accept", leg=leg) if leg and case.leg(leg).state is LegState.FILED else None
        case Expiry.ESCALATE if clock.leg and case.leg(clock.leg).state in _ESCALATES:
            body = orgs.get(case.leg(clock.leg).org)
            if body is None or not body.path:
                return None
            reason = HandoffReason.PERIOD_OVER
            return c.Escalate(action="escalate", leg=clock.leg, to_org=body.path[0], reason=reason)  # type: ignore[arg-type]  # pydantic reads the id
        case _:
            return None
