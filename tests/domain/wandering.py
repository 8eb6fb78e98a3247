"""Plausible steps: from any case, a command somebody of the cast might send next, chosen by a number."""

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from random import Random
from typing import Any, NamedTuple

from tests.domain.desk import laws
from tests.stories import cast
from tests.stories.telling import SHA256

from mediation.domain.facts import Actor, Case, Handoff, Leg
from mediation.domain.lapsing import lapses
from mediation.domain.process import LINK_UPS, ROWS
from mediation.domain.vocabulary import (
    AgreementState,
    ClockState,
    DecisionKind,
    FailGround,
    HandoffState,
    LegState,
    LinkUp,
    OrgKind,
    ReopenCause,
    ReportCode,
    Role,
    SuspendCause,
    VoidGround,
)

BODIES = [
    *("village", "township", "township_y", "county_centre", "justice_bureau", "government", "court", "police"),
    *("market_regulator", "consumer_association", "petition_office", "city_petition_office", "procuratorate"),
    *("arbitration_commission", "land_bureau", "notary_office", "medical_association"),
]
KEYS = {cast.ident(key): key for key in BODIES}
DECIDING = {OrgKind.COURT: Role.JUDGE, OrgKind.PROCURATORATE: Role.PROSECUTOR}
COMMITTEE = {OrgKind.PEOPLE_COMMITTEE, OrgKind.COUNTY_CENTRE, OrgKind.CONSUMER_ASSOCIATION}
ACTIONS = {state: sorted({row.action.value for row in ROWS if row.source == state}) for state in [*LegState, "none"]}
OFTEN = {
    "accepted": ["prepare", "inform_rights", "record_consent", "start", "start"],
    "mediating": ["convene", "settle", "settle", "settle", "fail", "escalate", "refer"],
    "filed": ["accept", "accept", "accept", "accept", "refer"],
    "unsettled": ["refer", "refer", "escalate", "start", "close", "record_consent", "report"],
    "deciding": ["decide", "refer", "refer", "start", "settle"],
    "settled": ["fulfil", "refer", "breach", "void", "close", "report"],
    "suspended": ["resume", "resume", "fail", "appoint"],
    "ended": ["fulfil", "breach", "void", "follow_up", "note", "refer", "complain"],
}
TEXT = "据实记录"
REPORTED = ("agreement", "end_report", "opinion", "performance_proof", "joint_application", "forgiveness_letter")


class Move(NamedTuple):
    """Somebody, a command, and after how many days."""

    actor: Actor
    body: dict[str, Any]
    days: int = 0


def everybody(key: str, leg: Leg | None = None, *, clerk: bool = False) -> Actor:
    """Somebody who holds every role a body of this kind has; of a leg with mediators assigned, one of those."""
    kind = cast.organisation(key).kind
    person = leg.mediators[0] if leg and leg.mediators else cast.ident(f"{key}_{'clerk' if clerk else 'one'}")
    doing = Role.MEDIATOR if kind in COMMITTEE else DECIDING.get(kind, Role.OFFICER)
    roles = (Role.CLERK,) if clerk else (doing, Role.CLERK, Role.CHAIR, Role.SUPERVISOR)
    return Actor(person=person, org=cast.ident(key), roles=roles)


def papers(*kinds: str) -> list[dict[str, str]]:
    """Papers of these kinds."""
    return [{"kind": kind, "sha256": SHA256, "ref": f"file/{kind}"} for kind in kinds]


def filing(chance: Random) -> Move:
    """A new dispute, at any body, of one to four claims among two to four people."""
    people = chance.randint(2, 4)
    parties = [{"name": f"某{n}", "side": "applicant" if n == 1 else "respondent"} for n in range(1, people + 1)]
    claims = [
        {"what": chance.choice(["money", "apology", "conduct"]), "by": [1], "against": [chance.randint(2, people)]}
        for _ in range(chance.randint(1, 4))
    ]
    key = chance.choice(BODIES)
    if key in {"police", "procuratorate", "petition_office"} and chance.random() < 0.5:
        claims.append({"kind": "public", "what": "violation", "by": [], "against": [2]})
    body = {
        "action": "file",
        "category": chance.choice(["neighbour", "contract", "damages", "consumer_other", "labour_other", "medical"]),
        "division": "150525100201",
        "parties": parties,
        "claim": claims,
        "text": TEXT,
        "documents": papers("registration", "identity"),
    }
    return Move(everybody(key), body)


def step(case: Case, chance: Random, on: date) -> Move:
    """A plausible next step."""
    days = chance.choice([0, 0, 0, 0, 1, 3, 10, 40])
    open_legs = [leg for leg in case.legs if leg.open]
    offered = [h for h in case.handoffs if h.state is HandoffState.OFFERED]
    roll = chance.random()
    if offered and roll < 0.5:
        return _answer_offer(chance.choice(offered), chance, days)
    if roll < 0.04 or (not open_legs and roll < 0.5):
        return _new_leg(case, chance, days)
    live = [h for h in case.handoffs if h.live]
    if live and roll < 0.12:
        return _about_handoff(chance.choice(live), chance, days)
    if roll < 0.14:
        return _clock(case, chance, on, days)
    leg = chance.choice(open_legs) if open_legs and roll < 0.95 else chance.choice(case.legs)
    often = OFTEN[leg.state.value] if chance.random() < 0.7 else ACTIONS[leg.state.value]
    action = chance.choice(often)
    key = KEYS[leg.org]
    if chance.random() < 0.04:
        key = chance.choice(BODIES)
    actor = everybody(key, leg, clerk=chance.random() < 0.03)
    told = FIELDS[action](Around(case, leg, chance, on)) if action in FIELDS else {}
    return Move(actor, {"action": action, "leg": leg.id} | told, days)


def _answer_offer(handoff: Handoff, chance: Random, days: int) -> Move:
    actor = everybody(KEYS.get(handoff.to_org, "village"))
    body: dict[str, Any] = {"action": "receive", "handoff": handoff.id}
    if chance.random() < 0.15:
        body = {"action": "return", "handoff": handoff.id, "reason": "no_capacity"}
    elif chance.random() < 0.1:
        actor, body = everybody(KEYS.get(handoff.from_org, "village")), {"action": "recall", "handoff": handoff.id}
    return Move(actor, body, days)


def _about_handoff(handoff: Handoff, chance: Random, days: int) -> Move:
    sender, receiver = KEYS.get(handoff.from_org, "village"), KEYS.get(handoff.to_org, "village")
    code = chance.choice([code.value for code in ReportCode])
    choices = (
        (receiver, {"action": "report", "handoff": handoff.id, "code": code, "documents": papers(*REPORTED)}),
        (receiver, {"action": "return", "handoff": handoff.id, "reason": "not_competent"}),
        (sender, {"action": "recall", "handoff": handoff.id}),
        (sender, {"action": "urge", "handoff": handoff.id}),
    )
    key, body = chance.choice(choices)
    return Move(everybody(key), body, days)


def _new_leg(case: Case, chance: Random, days: int) -> Move:
    key = chance.choice(BODIES)
    if any(leg.open for leg in case.legs):
        body = {"action": "file", "case_code": case.id, "on_behalf_of": [1], "documents": papers("complaint")}
    else:
        cause = chance.choice([cause.value for cause in ReopenCause])
        body = {"action": "reopen", "cause": cause, "on_behalf_of": [1]}
        if case.agreements and chance.random() < 0.5:
            body["agreement"] = len(case.agreements)
    return Move(everybody(key), body, days)


def _clock(case: Case, chance: Random, on: date, days: int) -> Move:
    due = lapses(case, f"{on + timedelta(days=days + 30)}T02:00:00.000000Z", cast.ORGANISATIONS)
    if due and chance.random() < 0.8:
        command = due[0].command if chance.random() < 0.8 else due[0].alarm
        return Move(cast.CLOCK, command.model_dump(mode="json", exclude_none=True), days + 30)
    leg = chance.choice(case.legs)
    choices: list[dict[str, Any]] = [{"action": "fail", "leg": leg.id, "ground": "period_over"}]
    choices += [{"action": "correct", "clocks": [clock.id]} for clock in case.clocks[-1:]]
    for handoff in case.handoffs[-1:]:
        choices += [
            {"action": "return", "handoff": handoff.id, "reason": "overdue"},
            {"action": "recall", "handoff": handoff.id},
            {"action": "urge", "handoff": handoff.id},
        ]
    return Move(cast.CLOCK, chance.choice(choices), days + 30)


class Around(NamedTuple):
    """What a step is chosen from: the case, the leg, chance and the day."""

    case: Case
    leg: Leg
    chance: Random
    on: date

    @property
    def sure(self) -> bool:
        """Nine times in ten: something required is there."""
        return self.chance.random() < 0.9

    @property
    def everyone(self) -> list[int]:
        """The parties present."""
        return [party.id for party in self.case.present]

    @property
    def some_party(self) -> int:
        return self.chance.choice(self.everyone or [1])

    @property
    def some_claim(self) -> dict[str, list[int]]:
        """Often all claims (nothing said), now and then one."""
        one = self.leg.claims and self.chance.random() < 0.35
        return {"claims": [self.chance.choice(self.leg.claims)]} if one else {}

    @property
    def person(self) -> str:
        return cast.ident(f"{KEYS[self.leg.org]}_{self.chance.choice(['one', 'one', 'one', 'two'])}")

    @property
    def plan(self) -> dict[str, str]:
        return {"leader": self.person, "handler": self.person, "plan": TEXT, "due_on": self.day(20)}

    def day(self, days: int) -> str:
        return (self.on + timedelta(days=days)).isoformat()

    def one(self, *words: str) -> str:
        return self.chance.choice(words)


def _consent(now: Around) -> dict[str, Any]:
    consent = now.one("given", "given", "given", "refused", "revoked")
    parties = now.everyone if consent == "given" else [now.some_party]
    return {"consent": consent, "parties": parties, "on_behalf_of": parties}


def _extension(now: Around) -> dict[str, Any]:
    running = [c.id for c in now.case.clocks if c.leg == now.leg.id and c.state is ClockState.RUNNING]
    return {"clock": now.chance.choice(running or [1]), "by": 10, "agreed_by": now.everyone, "approved": now.sure}


def _decision(now: Around) -> dict[str, Any]:
    procedure = laws().procedure_of(now.leg)
    kinds = procedure.decisions if procedure and now.sure else tuple(DecisionKind)
    kind = now.chance.choice(kinds or tuple(DecisionKind))
    return {"decision": kind.value, "documents": papers("decision_document"), **now.some_claim}


def _withdrawal(now: Around) -> dict[str, Any]:
    about = {"reason": now.one("solved", "unwilling", "suit"), "on_behalf_of": [1], **now.some_claim}
    return about | dict.fromkeys(("permitted", "routes_told"), now.sure)


def _escalation(now: Around) -> dict[str, Any]:
    above = cast.BODIES[KEYS[now.leg.org]].superior
    return {"to_org": cast.ident(above if now.sure and above in BODIES else "township"), "documents": papers("minutes")}


def _delegation(now: Around) -> dict[str, Any]:
    below = cast.ident(now.one("village", "township", "police", "land_bureau"))
    held = papers("transfer_letter", "decision_document")
    return {"to_org": below, "designate": now.chance.random() < 0.3, "documents": held}


def _report(now: Around) -> dict[str, Any]:
    code = now.one("settled", "performed", "failed", "refused")
    return {"code": code, "interim": now.chance.random() < 0.1, "documents": papers(*REPORTED)}


def _change(now: Around) -> dict[str, Any]:
    joining = {"change": "join", "join": [{"name": "某某", "side": "third"}]}
    return joining if now.chance.random() < 0.7 else {"change": "leave", "parties": [now.some_party]}


def _closing(now: Around) -> dict[str, Any]:
    return {"routes_told": now.sure, "follow_up_on": now.day(30), "documents": papers("closing_report")}


def _settling(now: Around) -> dict[str, Any]:
    pending = [a.id for a in now.case.agreements if a.leg == now.leg.id and a.state is AgreementState.PENDING]
    everyone = now.everyone
    if pending and now.sure:
        return {"adopts": pending[0], "signed_by": everyone, "sealed": True, "form": "mediation_document"}
    oral = now.leg.state is LegState.FILED
    return {
        "form": "oral" if oral else "written",
        "obligations": [{"obligor": 2, "what": "money", "amount_fen": 100, "due_on": now.day(5)}],
        "signed_by": everyone,
        "consents": everyone,
        "notice_given": True,
        "mediator_signed": True,
        "sealed": True,
        "pending": now.chance.random() < 0.2,
        "documents": papers("minutes", "oral_register" if oral else "agreement"),
        **now.some_claim,
    }


def _about_agreement(now: Around) -> dict[str, Any]:
    mine = [a.id for a in now.case.agreements if a.leg == now.leg.id] or [a.id for a in now.case.agreements] or [1]
    return {"agreement": now.chance.choice(mine), "documents": papers("performance_proof")}


def _voiding(now: Around) -> dict[str, Any]:
    return _about_agreement(now) | {"ground": now.chance.choice(list(VoidGround)).value}


def _referring(now: Around) -> dict[str, Any]:
    """A hand-off that fits the sender and its state."""
    here = KEYS[now.leg.org]
    kind = cast.organisation(here).kind
    own = {LinkUp.ESCALATE, LinkUp.DELEGATE, LinkUp.DESIGNATE}
    fitting = [row for row in LINK_UPS.values() if now.leg.state.value in row.sources and kind in row.senders]
    row = now.chance.choice([row for row in fitting if row.link_up not in own] or list(LINK_UPS.values()))
    receivers = [key for key in BODIES if cast.organisation(key).kind in row.receivers and key != here]
    return {
        "link_up": row.link_up.value,
        "to_org": cast.ident(now.chance.choice(receivers or ["township"])),
        "on_behalf_of": now.everyone if row.consent == "joint" else [1],
        "consents": now.everyone,
        "agency_agrees": True,
        "violation": row.link_up is LinkUp.POLICE_CASE,
        "agreement": max((a.id for a in now.case.agreements if a.leg == now.leg.id), default=None),
        "documents": papers(*(paper.value for paper in row.papers)),
        **now.some_claim,
    }


FIELDS: dict[str, Callable[[Around], dict[str, Any]]] = {
    "accept": lambda now: {"prepare": now.plan} if now.sure else {},
    "prepare": lambda now: {"plan": now.plan},
    "decline": lambda now: {"ground": "not_competent", "routes_told": now.sure, "calmed": now.sure},
    "appoint": lambda now: {"mediators": [now.person]},
    "inform_rights": lambda _: {"documents": papers("rights_notice")},
    "record_consent": _consent,
    "start": lambda now: {"consents": now.everyone if now.sure else []},
    "convene": lambda _: {"documents": papers("minutes")},
    "record_undisputed": lambda now: {"signed_by": now.everyone, "documents": papers("undisputed_facts")},
    "suspend": lambda now: {"cause": now.chance.choice(list(SuspendCause)).value},
    "resume": lambda now: {"cause_removed": now.sure, "recusal": "waived" if now.sure else None},
    "extend": _extension,
    "settle": _settling,
    "fail": lambda now: {"ground": now.one("no_agreement", "party_refuses", "sham")},
    "decide": _decision,
    "withdraw": _withdrawal,
    "close": _closing,
    "fulfil": _about_agreement,
    "breach": lambda now: _about_agreement(now) | {"urged": now.sure},
    "void": _voiding,
    "follow_up": lambda now: {"finding": now.one("stable", "strained", "reconciled")},
    "merge": lambda now: {"into": now.person},
    "absorb": lambda now: {"case": now.person, "version": 1},
    "escalate": _escalation,
    "delegate": _delegation,
    "refer": _referring,
    "report": _report,
    "change_parties": _change,
    "return": lambda now: {"handoff": max(1, len(now.case.handoffs)), "reason": "no_capacity"},
    "recall": lambda now: {"handoff": max(1, len(now.case.handoffs))},
    "note": lambda _: {"kind": "fact", "text": TEXT},
    "correct": lambda _: {"category": "contract"},
    "grade_risk": lambda now: {"risk": now.one("none", "blue", "yellow", "orange", "red")},
    "answer": lambda now: {"complaint": max(1, len(now.case.complaints)), "upheld": True},
    "complain": lambda _: {"on_behalf_of": [1]},
}
"""What a command of each action would carry, most of the time rightly."""


def homeward(case: Case, on: date) -> Iterator[Move]:
    """Steps by which the bodies alone might bring a case nearer to its close, the best first; no party takes part."""
    for handoff in (handoff for handoff in case.handoffs if handoff.live):
        yield from _clear(handoff)
    for leg in (leg for leg in case.legs if leg.open):
        yield from _wind_up(case, leg, on)


def _clear(handoff: Handoff) -> Iterator[Move]:
    receiver, sender = (everybody(KEYS.get(org, "village")) for org in (handoff.to_org, handoff.from_org))
    about = {"handoff": handoff.id}
    if handoff.unanswered:
        yield Move(receiver, about | {"action": "return", "reason": "no_capacity"})
    for code in ("failed", "performed", "settled", "opinion", "receipt", "deed", "order", "declined"):
        yield Move(receiver, about | {"action": "report", "code": code, "documents": papers(*REPORTED)})
    yield Move(sender, about | {"action": "recall"})
    yield Move(receiver, about | {"action": "receive"})


def _wind_up(case: Case, leg: Leg, on: date) -> Iterator[Move]:
    actor = everybody(KEYS[leg.org], leg)
    about = {"leg": leg.id, "text": TEXT}
    later = (on + timedelta(days=30)).isoformat()
    closing = {"routes_told": True, "follow_up_on": later, "documents": papers("closing_report")}
    match leg.state:
        case LegState.FILED:
            yield Move(actor, about | {"action": "decline", "ground": "unclear", "routes_told": True, "calmed": True})
        case LegState.ACCEPTED | LegState.MEDIATING | LegState.SUSPENDED:
            yield from (Move(actor, about | {"action": "fail", "ground": g.value}) for g in FailGround)
        case LegState.DECIDING:
            decision = {"action": "decide", "documents": papers("decision_document")}
            procedure = laws().procedure_of(leg)
            kinds = procedure.decisions if procedure else ()
            yield from (Move(actor, about | decision | {"decision": kind.value}) for kind in kinds or DecisionKind)
        case LegState.SETTLED | LegState.UNSETTLED:
            yield Move(actor, about | {"action": "grade_risk", "risk": "yellow"})
            yield Move(actor, about | closing | {"action": "close"})
        case _:
            return
    pending = [a.id for a in case.agreements if a.leg == leg.id and a.state is AgreementState.PENDING]
    fall = {"action": "void", "ground": "reneged", "leg": leg.id}
    yield from (Move(actor, fall | {"agreement": number}) for number in pending)
