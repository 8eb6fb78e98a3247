"""The working copy of one step: what it changes so far, the case as it would then stand, and the clocks it moves."""

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any, NamedTuple

from msgspec import structs

from mediation.domain.calendar import day_of
from mediation.domain.clocks import division_of, due_of, terms, warning_after
from mediation.domain.commands import Command
from mediation.domain.deadlines import Rule
from mediation.domain.events import HEADER, PARTS, merge
from mediation.domain.facts import Actor, Agreement, Case, Clock, Day, Handoff, Leg, Organisation
from mediation.domain.laws import Laws, Place, Procedure
from mediation.domain.vocabulary import (
    AgreementState,
    ClaimState,
    ClockState,
    Expiry,
    HandoffState,
    LegState,
    Letter,
    Mode,
    Moment,
    Outcome,
    Role,
    SuspendCause,
    Unit,
)


class Step(NamedTuple):
    """One asked-for step with all that guards and effects may look at."""

    case: Case
    leg: Leg | None
    handoff: Handoff | None
    agreement: Agreement | None
    command: Command
    actor: Actor
    role: Role
    letter: Letter
    at: str
    laws: Laws
    orgs: "dict[str, Organisation]"
    other: Case | None = None
    case_number: str = ""
    people: "dict[str, frozenset[str]]" = {}  # noqa: RUF012  never written to

    @property
    def on(self) -> date:
        """The legal day of the step."""
        return day_of(self.at)

    @property
    def here(self) -> Leg:
        """The leg it is about; LookupError where it opens one."""
        if self.leg is None:
            raise LookupError(self.command)
        return self.leg

    @property
    def procedure(self) -> Procedure | None:
        """The procedure of the leg."""
        return procedure_of(self, self.leg) if self.leg else None

    @property
    def org(self) -> Organisation:
        """The actor's body."""
        return self.orgs[self.actor.org]

    @property
    def concerned(self) -> tuple[int, ...]:
        """Parties, not gone, with a claim of the leg (or named) on either side."""
        numbers = self.command.claims or (self.leg.claims if self.leg else ())
        claims = [claim for claim in self.case.claims if claim.id in numbers]
        named = {party for claim in claims for party in (*claim.by, *claim.against)}
        present = [party.id for party in self.case.present]
        return tuple(party for party in present if party in named) if named else tuple(present)


def procedure_of(step: Step, leg: Leg) -> Procedure | None:
    """The procedure of a leg, in the version it was opened under."""
    body = step.orgs.get(leg.org)
    return step.laws.procedure_of(leg, body.division if body else "")


_DEFAULTS = {part: {field.name: field.default for field in structs.fields(kind)} for part, kind in PARTS.items()}


class Draft:
    """Collects changes by part and number; `case` is the case with all of them."""

    def __init__(self, step: Step) -> None:
        self.step = step
        self.case = step.case
        self.day: Day = step.on.isoformat()
        self.basis: list[str] = []
        self.notes: dict[str, Any] = {}
        self._parts: dict[str, dict[int, dict[str, Any]]] = {}
        self._header: dict[str, Any] = {}

    def put(self, part: str, number: int, /, **facts: Any) -> None:  # noqa: ANN401 - facts of any part
        """Change facts of one part."""
        self._parts.setdefault(part, {}).setdefault(number, {"id": number}).update(facts)
        self.case = merge(self.case, {part: [{"id": number, **facts}]})

    def add(self, part: str, /, **facts: Any) -> int:  # noqa: ANN401 - facts of any part
        """Add a part, leaving out what equals its default; its number."""
        number = len(getattr(self.case, part)) + 1
        defaults = _DEFAULTS[part]
        self.put(part, number, **{name: value for name, value in facts.items() if value != defaults[name]})
        return number

    def header(self, **facts: Any) -> None:  # noqa: ANN401 - facts of any part
        """Change header facts."""
        assert facts.keys() <= HEADER  # noqa: S101 - a programming error, not an input
        self._header.update(facts)
        self.case = merge(self.case, {"case": facts})

    def attrs(self) -> dict[str, Any]:
        """The event's attributes: notes, then every part that moved."""
        parts = {name: [facts[number] for number in sorted(facts)] for name, facts in self._parts.items()}
        return {**self.notes, **({"case": self._header} if self._header else {}), **parts}

    # -- legs ---------------------------------------------------------------------------------------------------

    def leg(self, number: int) -> Leg:
        """The leg as it stands in the draft."""
        return self.case.leg(number)

    def procedure(self, leg: Leg) -> Procedure | None:
        """Its procedure."""
        return procedure_of(self.step, leg)

    def open_leg(self, org: Organisation, procedure: Procedure, claims: Iterable[int], **facts: Any) -> int:  # noqa: ANN401 - facts of a leg
        """∅ → filed: a leg at a body, naming the claims of kinds its procedure takes."""
        kinds = procedure.claim_kinds
        number = self.add(
            "legs",
            org=org.id,
            procedure=procedure.id,
            track=procedure.track,
            tier=org.tier,
            decides=procedure.decides,
            rule=procedure.version,
            claims=tuple(c for c in claims if self.case.claim(c).kind in kinds),
            filed_on=self.day,
            **facts,
        )
        self.happens(Moment.FILED, leg=number)
        if facts.get("via"):
            self.happens(Moment.RECEIVED, leg=number)
        return number

    def release(self, number: int, claims: Iterable[int], outcome: Outcome) -> None:
        """R2 on another leg: it lets go of claims, recalls its hand-offs on them, and stands as what is left says."""
        leg = self.leg(number)
        gone = set(claims)
        self.recall_down(number, gone)
        self.put("legs", number, claims=tuple(c for c in leg.claims if c not in gone))
        leg = self.leg(number)
        if self.case.open_claims(leg):
            return
        if self.case.unfinished(number):
            self.put("legs", number, state=LegState.SETTLED)
            self.happens(Moment.CONCLUDED, leg=number)
        else:
            self.end(number, outcome)

    def end(self, number: int, outcome: Outcome) -> None:
        """The leg ends: its clocks stop, it holds nothing, and a hand-off that hung on it is resolved."""
        self.put("legs", number, state=LegState.ENDED, outcome=outcome.value, claims=())
        self.stop_clocks(number)
        self.settle_handoff_of(number, outcome.value)

    def recall_down(self, number: int, claims: set[int]) -> None:
        """Recall the live `ends`/`waits` hand-offs of a leg on these claims, down the chain."""
        for handoff in self.case.handoffs:
            if handoff.from_leg != number or not handoff.holds or (handoff.claims and not claims & set(handoff.claims)):
                continue
            self.move_handoff(handoff.id, HandoffState.RECALLED)
            if handoff.to_leg and self.leg(handoff.to_leg).open:
                self.release(handoff.to_leg, self.leg(handoff.to_leg).claims, Outcome.RECALLED)

    # -- claims -------------------------------------------------------------------------------------------------

    def reopen_claims(self, agreement: Agreement) -> None:
        """The claims of an agreement that fell are open again; its host holds them unless another leg does."""
        host = self.leg(agreement.leg)
        standing = [a for a in self.case.agreements if a.unfinished or a.state is AgreementState.PERFORMED]
        covered = {number for a in standing if a.id != agreement.id for number in a.claims}
        for number in agreement.claims:
            if self.case.claim(number).state in {ClaimState.DECIDED, ClaimState.DROPPED} or number in covered:
                continue
            self.put("claims", number, state="open")
            held = any(number in leg.claims for leg in self.case.legs if leg.taken and leg.id != host.id)
            if host.open and not held and number not in self.leg(host.id).claims:
                self.put("legs", host.id, claims=tuple(sorted((*self.leg(host.id).claims, number))))

    # -- hand-offs ----------------------------------------------------------------------------------------------

    def move_handoff(self, number: int, state: HandoffState, **facts: Any) -> None:  # noqa: ANN401 - facts of a hand-off
        """A hand-off moves on; the clocks that waited for it stop."""
        self.put("handoffs", number, state=state, **facts)
        handoff = self.case.handoff(number)
        if state is not HandoffState.RECEIVED:
            self.stop_clocks(handoff=number, owed="" if not handoff.live else "answer")

    def follow_duty(self, sender: int, receiver: int) -> None:
        """Whoever takes over an entrusted leg by a transfer owes its report (process.md §5)."""
        to_org = self.leg(receiver).org
        for handoff in self.case.handoffs:
            owed = handoff.state is HandoffState.TAKEN and handoff.to_leg == sender
            if owed and (handoff.owes or handoff.mode is Mode.WAITS):
                self.put("handoffs", handoff.id, to_leg=receiver, to_org=to_org)

    def settle_handoff_of(self, number: int, report: str) -> None:
        """An ended leg's own hand-off: returned before acceptance, answered after it."""
        leg = self.leg(number)
        if leg.via and self.case.handoff(leg.via).to_leg == number:
            handoff = self.case.handoff(leg.via)
            if handoff.unanswered:
                self.move_handoff(handoff.id, HandoffState.RETURNED, report=report)
            elif handoff.state is HandoffState.TAKEN and handoff.mode is not Mode.ENDS:
                self.move_handoff(handoff.id, HandoffState.ANSWERED, report=report)

    # -- clocks -------------------------------------------------------------------------------------------------

    def happens(self, moment: Moment, *, leg: int = 0, agreement: int = 0, complaint: int = 0, on: Day = "") -> None:
        """A moment stops the clocks that run until it, and starts those that it starts (again, where they run)."""
        host = self.leg(leg or self.case.agreement(agreement).leg)
        body = self.step.orgs.get(host.org)
        place = Place(procedure=host.procedure, variant=host.variant.value)
        if body:
            place = place._replace(kind=body.kind, tier=body.tier, speciality=body.speciality, division=body.division)
        for clock in self.case.clocks:
            if clock.going and (clock.leg, clock.agreement, clock.complaint) == (leg, agreement, complaint):
                rule = self.step.laws.version(clock.rule, place.division)
                if rule and moment in rule.until:
                    self.put("clocks", clock.id, state=ClockState.STOPPED)
        since = (on or self.case.agreement(agreement).effective_on) if agreement else host.filed_on
        for rule in self.step.laws.starting(moment, since, place):
            self.start_clock(rule, leg=leg, agreement=agreement, complaint=complaint, on=on)

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

    def stop_clocks(
        self,
        leg: int = 0,
        *,
        agreement: int = 0,
        handoff: int = 0,
        owed: str = "",
        state: ClockState = ClockState.STOPPED,
    ) -> None:
        """End the clocks that still go of a leg, an agreement or a hand-off; with `owed`, those of that debt only."""
        for clock in self.case.clocks:
            other = clock.complaint or clock.listing
            mine = not other and (leg, agreement, handoff) == (clock.leg, clock.agreement, clock.handoff)
            if mine and clock.going and (not owed or clock.owed == owed):
                self.put("clocks", clock.id, state=state)

    def lapse(self, leg: int, expiry: Expiry) -> None:
        """The clocks of a leg that ask for this action and have run out are done with."""
        for clock in self.case.clocks:
            if clock.leg == leg and clock.expiry == expiry and clock.going and clock.due_on < self.day:
                self.put("clocks", clock.id, state=ClockState.LAPSED)

    def stand_clocks(self, leg: int, cause: SuspendCause) -> None:
        """The clocks of a leg whose rule stands still for this cause do so from today."""
        for clock in self.case.clocks:
            if clock.leg != leg or clock.state is not ClockState.RUNNING:
                continue
            rule = self.step.laws.version(clock.rule, self.place_of(clock))
            if rule and cause in rule.suspends:
                self.put("clocks", clock.id, state=ClockState.STANDING, standing_on=self.day)

    def resume_clocks(self, leg: int) -> None:
        """The clocks of a leg run on; the days they stood, yesterday the last of them, are skipped."""
        for clock in self.case.clocks:
            if clock.leg == leg and clock.state is ClockState.STANDING:
                last = (self.step.on - timedelta(days=1)).isoformat()
                stood = (*clock.stood, clock.standing_on, last) if clock.standing_on <= last else clock.stood
                self.put("clocks", clock.id, state=ClockState.RUNNING, standing_on="", stood=stood)
                self.recount(clock.id)

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
        self.notes["laws"] = self.step.laws.digest

    def place_of(self, clock: Clock) -> str:
        """The division whose rules a clock runs under: that of the body that conducts what it measures."""
        return division_of(self.case, clock, self.step.orgs)
