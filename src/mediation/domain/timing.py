"""The clocks that a step moves 期限: what happens starts, stops and stands them, and the day each is due."""

from datetime import timedelta
from typing import Any

from mediation.domain.calendar import day_of
from mediation.domain.clocks import division_of, due_of, is_over, terms, warning_after
from mediation.domain.deadlines import Rule
from mediation.domain.facts import Clock, Day, Handoff
from mediation.domain.laws import Place
from mediation.domain.steps import Changes
from mediation.domain.vocabulary import ClockState, Expiry, HandoffState, Mode, Moment, SuspendCause, Unit


class Timing(Changes):
    """The clocks of the working copy of a step."""

    def happens(self, moment: Moment, *, leg: int = 0, agreement: int = 0, complaint: int = 0, on: Day = "") -> None:
        """A moment stops the clocks that run until it, and starts those that it starts (again, where they run)."""
        host = self.leg(leg or self.case.agreement(agreement).leg)
        body = self.step.orgs.get(host.org)
        place = Place(procedure=host.procedure, variant=host.variant.value)
        if body:
            place = place._replace(kind=body.kind, tier=body.tier, speciality=body.speciality, division=body.division)
        for clock in self.case.clocks:
            mine = (clock.leg, clock.agreement, clock.complaint) == (leg, agreement, complaint)
            if mine and clock.going and moment in clock.until:
                self.stop(clock, moment)
        since = (on or self.case.agreement(agreement).effective_on) if agreement else host.filed_on
        for rule in self.step.laws.starting(moment, since, place):
            # Where facts begin a period, acceptance alone may be too early: its clock reminds, and ends nothing.
            early = moment is Moment.ACCEPTED and len(rule.starts) > 1 and rule.on_expiry is Expiry.FAIL
            expiry = Expiry.URGE if early else None
            self.start_clock(rule, leg=leg, agreement=agreement, complaint=complaint, on=on, expiry=expiry)

    def stop(self, clock: Clock, moment: Moment) -> None:
        """A clock stops; when a leg is concluded, the day is kept, for it may run on after a breach."""
        day = {"stopped_on": self.day} if moment is Moment.CONCLUDED else {}
        self.put("clocks", clock.id, state=ClockState.STOPPED, standing_on="", **day)

    def run_on(self, leg: int) -> None:
        """What stopped when a leg was concluded runs on, the days since left out: it has to decide after all."""
        for clock in self.case.clocks:
            rule = self.step.laws.version(clock.rule, self.place_of(clock)) if clock.leg == leg else None
            anew = rule is None or Moment.UNPERFORMED in rule.starts or Moment.STARTED in rule.starts
            if clock.state is ClockState.STOPPED and clock.stopped_on and not anew:
                last = (self.step.on - timedelta(days=1)).isoformat()
                stood = (*clock.stood, clock.stopped_on, last) if clock.stopped_on <= last else clock.stood
                self.put("clocks", clock.id, state=ClockState.RUNNING, stopped_on="", stood=stood)
                self.recount(clock.id)

    def rouse(self, *, leg: int = 0, handoff: int = 0) -> None:
        """What an obstacle kept from its action asks for it again, now that it is gone; an escalation only by alarm."""
        for clock in self.case.clocks:
            if (clock.leg, clock.handoff) != (leg, handoff):
                continue
            if clock.going and clock.alarmed and clock.expiry != Expiry.URGE:
                self.put("clocks", clock.id, alarmed=False)
            elif clock.state is ClockState.LAPSED and clock.expiry == Expiry.ESCALATE:
                self.put("clocks", clock.id, state=ClockState.RUNNING, expiry=Expiry.URGE.value)

    def _right_again(self, handoff: Handoff) -> None:
        """What was asked for and came back may be asked for again, within the time that was running."""
        asked = {Moment.CONFIRMATION_ASKED, Moment.ENFORCEMENT_ASKED}
        for clock in self.case.clocks if handoff.agreement else ():
            mine = clock.agreement == handoff.agreement and clock.state is ClockState.STOPPED
            unfinished = mine and self.case.agreement(clock.agreement).unfinished
            if unfinished and asked & set(clock.until) and clock.due_on >= self.day:
                self.put("clocks", clock.id, state=ClockState.RUNNING)

    def start_clock(self, rule: Rule, *, on: Day = "", expiry: Expiry | None = None, **of: Any) -> None:  # noqa: ANN401 - what it is a clock of
        """Start the clock of a rule; one of the same rule that still runs there gives way to it."""
        for clock in self.case.clocks:
            same = clock.rule.partition("@")[0] == rule.id and all(getattr(clock, k) == n for k, n in of.items())
            if same and clock.going:
                self.put("clocks", clock.id, state=ClockState.STOPPED)
        number = self.add(
            "clocks",
            rule=rule.version,
            value=rule.value,
            unit=rule.unit,
            roll=rule.roll,
            exclude_start=rule.exclude_start,
            until=rule.until,
            suspends=rule.suspends,
            expiry=(expiry or rule.on_expiry or Expiry.URGE).value,
            from_on=on or self.day,
            from_at=self.step.at if rule.unit is Unit.HOUR else "",
            **of,
        )
        self.recount(number)
        self.basis.append(rule.version)

    def set_day(self, owed: str, due_on: Day, expiry: Expiry, **of: int) -> None:
        """A clock whose last day a person has set."""
        if due_on:
            self.add("clocks", owed=owed, from_on=self.day, due_on=due_on, expiry=expiry.value, **of)

    def stop_tracking(self, listing: int) -> None:
        """The days a listed case is tracked end when it is lifted."""
        for clock in self.case.clocks:
            if clock.listing == listing and clock.going:
                self.put("clocks", clock.id, state=ClockState.STOPPED)

    def stop_clocks(self, leg: int = 0, *, agreement: int = 0, handoff: int = 0, owed: str = "") -> None:
        """End the clocks that still go of a leg, an agreement or a hand-off; with `owed`, those of that debt only."""
        for clock in self.case.clocks:
            other = clock.complaint or clock.listing
            mine = not other and (leg, agreement, handoff) == (clock.leg, clock.agreement, clock.handoff)
            if mine and clock.going and (not owed or clock.owed == owed):
                self.put("clocks", clock.id, state=ClockState.STOPPED)

    def report_due(self, leg: int) -> None:
        """What was entrusted and is concluded is to be reported by the day set, at once where that is past."""
        for handoff in self.case.handoffs:
            owed = handoff.to_leg == leg and handoff.mode is Mode.WAITS and handoff.state is HandoffState.TAKEN
            if owed and handoff.report_by:
                self.stop_clocks(handoff=handoff.id, owed="report")
                self.set_day("report", max(self.day, handoff.report_by), Expiry.URGE, handoff=handoff.id)

    def limit_report(self, leg: int) -> None:
        """Where the sender set no day, what is entrusted is reported on by the day its mediation has to end."""
        limits = [clock.due_on for clock in self.case.clocks if clock.leg == leg and clock.expiry == Expiry.FAIL]
        via = self.leg(leg).via
        if via and limits and self.case.handoff(via).mode is Mode.WAITS and not self.case.handoff(via).report_by:
            self.put("handoffs", via, report_by=max(limits))

    def lapse(self, leg: int, expiry: Expiry) -> None:
        """The clocks of a leg that ask for this action and have run out are done with."""
        for clock in self.case.clocks:
            if clock.leg == leg and clock.expiry == expiry and clock.going and is_over(clock, self.step.at):
                self.basis.append(clock.rule)
                self.put("clocks", clock.id, state=ClockState.LAPSED)

    def stand_clocks(self, leg: int, cause: SuspendCause) -> None:
        """The clocks of a leg whose rule stands still for this cause do so from today."""
        for clock in self.case.clocks:
            if clock.leg == leg and clock.state is ClockState.RUNNING and cause in clock.suspends:
                self.basis.append(clock.rule)
                self.put("clocks", clock.id, state=ClockState.STANDING, standing_on=self.day)

    def resume_clocks(self, leg: int) -> None:
        """The clocks of a leg run on; the days they stood, yesterday the last of them, are skipped."""
        for clock in self.case.clocks:
            if clock.leg == leg and clock.state is ClockState.STANDING:
                last = (self.step.on - timedelta(days=1)).isoformat()
                stood = (*clock.stood, clock.standing_on, last) if clock.standing_on <= last else clock.stood
                self.put("clocks", clock.id, state=ClockState.RUNNING, standing_on="", stood=stood)
                self.recount(clock.id)
                self.basis.append(clock.rule)

    def recount(self, number: int) -> None:
        """Compute the due day of a clock anew, under the terms it started with and the calendar of today."""
        clock: Clock = self.case.clocks[number - 1]
        if not clock.rule:
            return
        rule = terms(self.step.laws, clock, self.place_of(clock))
        due = due_of(self.step.laws, clock, rule)
        last, at = (due.on, "") if rule.unit is not Unit.HOUR else (day_of(due.on).isoformat(), due.on)
        self.put(
            "clocks",
            number,
            due_on=last,
            due_at=at,
            provisional=due.provisional,
            warn_on=warning_after(rule, last, self.day),
        )
        if clock.alarmed and not (due.on == (clock.due_at or clock.due_on) and due.provisional == clock.provisional):
            self.put("clocks", number, alarmed=False)
        self.notes["laws"] = self.step.laws.digest

    def place_of(self, clock: Clock) -> str:
        """The division whose rules a clock runs under: that of the body that conducts what it measures."""
        return division_of(self.case, clock, self.step.orgs)
