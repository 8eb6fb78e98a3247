"""The seven invariants of the process hold wherever chance leads, and every trail replays to the case it left."""

import os
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.domain import wandering
from tests.domain.desk import Desk
from tests.domain.wandering import Move
from tests.stories import cast

from mediation.domain.calendar import day_of
from mediation.domain.errors import Malformed, NotPermitted, Refused
from mediation.domain.events import dump, load
from mediation.domain.facts import Case, Leg
from mediation.domain.vocabulary import AgreementState, CaseState, ClaimKind, ClaimState, HandoffState, LegState

BATTERY = os.environ.get("MEDIATION_BATTERY") == "1"
WALKS = 2000 if BATTERY else 200
STEPS = 50
BEGINNING = datetime(2026, 3, 2, 1, tzinfo=UTC)
NO = (Refused, NotPermitted, Malformed)


class Wanderer:
    """One case led by chance, and another that it may absorb; `at` only goes forward."""

    def __init__(self) -> None:
        self.desk = Desk(cast.ORGANISATIONS)
        self.now = BEGINNING
        filed = wandering.filing(Random(7))
        self.desk.take("other", filed.body, filed.actor, self.at)
        self.told: list[str] = []

    @property
    def at(self) -> str:
        return self.now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    @property
    def case(self) -> Case:
        return self.desk.cases["c"]

    @property
    def on(self) -> date:
        return day_of(self.at)

    def take(self, move: Move) -> bool:
        """Take the step if the rules let it; check what came of it."""
        self.now += timedelta(days=move.days, minutes=1)
        before = self.desk.cases.get("c")
        try:
            self.desk.take("c", move.body, move.actor, self.at, "other")
        except NO:
            return False
        self.told.append(f"{wandering.KEYS.get(move.actor.org, 'clock')} {move.body}")
        check(before, self.case, move)
        return True

    def wander(self, numbers: list[int]) -> None:
        """Up to fifty steps, one for each number."""
        for number in numbers:
            chance = Random(number)
            if "c" not in self.desk.cases:
                self.take(wandering.filing(chance))
            elif self.case.state is not CaseState.ARCHIVED:
                self.take(wandering.step(self.case, chance, self.on))


def check(before: Case | None, after: Case, move: Move) -> None:
    """Everything that must hold after every step."""
    claims_have_one_owner(after)
    the_end_is_final(before, after)
    handoffs_hang_on_something(after)
    legs_end_for_a_reason(before, after, move)
    claims_end_once(before, after, move)
    rules_never_change(before, after)


def claims_have_one_owner(case: Case) -> None:
    """1. Two legs past `filed` that hold the same claim are sender and receiver along one hand-off chain."""
    taken = [leg for leg in case.legs if leg.taken and not leg.beside]
    for leg in taken:
        for other in taken:
            if leg.id < other.id and set(leg.claims) & set(other.claims):
                assert leg.id in _senders(case, other) or other.id in _senders(case, leg), (leg, other)


def _senders(case: Case, leg: Leg) -> set[int]:
    found: set[int] = set()
    while leg.via:
        leg = case.leg(case.handoff(leg.via).from_leg)
        if leg.id in found:
            break
        found.add(leg.id)
    return found


def the_end_is_final(before: Case | None, after: Case) -> None:
    """2. `ended` is final for a leg, `archived` for a case; a closed case moves on only by a new leg."""
    if before is None:
        return
    assert not before.archived
    for leg in before.legs:
        if not leg.open:
            assert after.leg(leg.id).state is LegState.ENDED
            assert after.leg(leg.id).outcome == leg.outcome
    if before.state is CaseState.CLOSED and after.state not in {CaseState.CLOSED, CaseState.ARCHIVED}:
        assert len(after.legs) == len(before.legs) + 1


def handoffs_hang_on_something(case: Case) -> None:
    """3. No hand-off that holds has an ended sender, no open leg hangs on a dead one, every open case has a body."""
    for handoff in case.handoffs:
        if handoff.holds:
            assert case.leg(handoff.from_leg).open, handoff
    for leg in case.legs:
        if leg.open and leg.via:
            assert case.handoff(leg.via).state not in _DEAD, leg
        held = [h for h in case.handoffs if h.from_leg == leg.id and h.holds]
        assert len(held) <= 1, held
    if case.state not in {CaseState.CLOSED, CaseState.ARCHIVED}:
        assert case.holder


_DEAD = {HandoffState.OFFERED, HandoffState.RETURNED}


def legs_end_for_a_reason(before: Case | None, after: Case, move: Move) -> None:
    """5. A leg ends only settled, decided, handed on or with the parties informed; no session against a refusal."""
    old = {leg.id: leg for leg in before.legs} if before else {}
    for leg in after.legs:
        if not leg.open and (leg.id not in old or old[leg.id].open):
            assert leg.outcome, leg
            if leg.outcome in {"declined", "informed"}:
                assert move.body.get("routes_told") or leg.routes_told, leg
    if before and move.body["action"] in {"convene", "settle"} and not move.body.get("adopts"):
        leg = before.leg(move.body["leg"])
        concerned = {
            party
            for claim in before.claims
            if claim.id in (move.body.get("claims") or leg.claims)
            for party in (*claim.by, *claim.against)
        }
        gone = {party.id for party in before.parties if party.left}
        still = set(leg.refused) - set(move.body.get("consents", ())) - gone
        assert not still & concerned, leg


def claims_end_once(before: Case | None, after: Case, move: Move) -> None:
    """6. Each claim ends once, unless breach, voiding or enforcement takes it up; agreements cover disjoint claims."""
    for claim in before.claims if before else ():
        now = after.claim(claim.id).state
        if claim.state is not ClaimState.OPEN and now is not claim.state:
            assert move.body["action"] in _TAKEN_UP[claim.state, now], (claim, now)
    standing = [a for a in after.agreements if a.state in _STANDING]
    covered = [claim for agreement in standing for claim in agreement.claims]
    assert len(covered) == len(set(covered)), standing
    for agreement in standing:
        if agreement.state is not AgreementState.PENDING:
            assert all(after.claim(claim).state is not ClaimState.OPEN for claim in agreement.claims), agreement


_STANDING = {AgreementState.PENDING, AgreementState.IN_EFFECT, AgreementState.PERFORMED}
_TAKEN_UP = defaultdict(
    set,
    {
        (ClaimState.SETTLED, ClaimState.OPEN): {"breach", "void"},
        (ClaimState.DECIDED, ClaimState.OPEN): {"reopen"},
        (ClaimState.DECIDED, ClaimState.SETTLED): {"settle"},
    },
)


def rules_never_change(before: Case | None, after: Case) -> None:
    """7. The procedure and rule version of a leg, and the rule of a clock, never change."""
    if before is None:
        return
    for leg in before.legs:
        now = after.leg(leg.id)
        assert (leg.org, leg.procedure, leg.rule or now.rule) == (now.org, now.procedure, now.rule)
    assert [clock.rule for clock in before.clocks] == [clock.rule for clock in after.clocks[: len(before.clocks)]]


def a_party_can_leave(wanderer: Wanderer) -> None:
    """4. Until its claims are settled or decided, a party can leave any leg by `withdraw`."""
    case = wanderer.case
    for leg in case.legs:
        mine = [
            n for n in leg.claims if case.claim(n).state is ClaimState.OPEN and case.claim(n).kind is ClaimKind.CIVIL
        ]
        if leg.taken and mine and leg.state is not LegState.SETTLED:
            told = {"reason": "unwilling", "permitted": True, "routes_told": True, "on_behalf_of": [1], "claims": mine}
            actor = wandering.everybody(wandering.KEYS[leg.org], leg)
            wanderer.desk.decide("c", {"action": "withdraw", "leg": leg.id, **told}, actor, wanderer.at, "-")


def bring_home(wanderer: Wanderer) -> None:
    """4. From any state the bodies alone can bring the case to `closed`."""
    for _ in range(80):
        if wanderer.case.state in {CaseState.CLOSED, CaseState.ARCHIVED}:
            return
        seen = dump(wanderer.case)
        moves = wandering.homeward(wanderer.case, wanderer.on)
        if not any(wanderer.take(move) and _nearer(seen, wanderer.case) for move in moves):
            break
    raise AssertionError("\n".join([*wanderer.told, str(wanderer.case)]))


def _nearer(seen: bytes, case: Case) -> bool:
    before = load(seen)
    return _distance(case) < _distance(before)


def _distance(case: Case) -> int:
    undecided = sum(agreement.state is AgreementState.PENDING for agreement in case.agreements)
    legs = sum(_WEIGHT[leg.state] for leg in case.legs)
    return legs + 5 * undecided + sum(h.live + h.unanswered for h in case.handoffs)


_WEIGHT = {
    **dict.fromkeys((LegState.FILED, LegState.ACCEPTED, LegState.MEDIATING, LegState.SUSPENDED), 6),
    LegState.DECIDING: 4,
    LegState.UNSETTLED: 3,
    LegState.SETTLED: 1,
    LegState.ENDED: 0,
}


@settings(
    max_examples=WALKS,
    deadline=None,
    derandomize=not BATTERY,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.large_base_example],
)
@given(st.lists(st.integers(0, 2**32), min_size=STEPS // 2, max_size=STEPS))
def test_wherever_chance_leads_the_invariants_hold_and_the_trail_replays(numbers: list[int]):
    wanderer = Wanderer()
    wanderer.wander(numbers)
    trail = wanderer.desk.replayed("c")
    assert trail == wanderer.case
    assert load(dump(trail)) == trail
    assert [len(wanderer.desk.histories["c"])] == [trail.version]
    a_party_can_leave(wanderer)
    bring_home(wanderer)
