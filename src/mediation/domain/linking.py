"""Hand-offs 移交: what is asked of them, and what offering, receiving, returning, recalling and reporting change."""

from collections.abc import Iterable, Iterator
from typing import cast

from mediation.domain import commands as c
from mediation.domain.acceptance import allowed_next, chosen
from mediation.domain.clocks import is_over
from mediation.domain.draft import Draft
from mediation.domain.errors import Reason
from mediation.domain.facts import Organisation
from mediation.domain.laws import Place
from mediation.domain.process import LINK_UPS, WHILE_HELD, LinkUpRow
from mediation.domain.reasons import numbers, why
from mediation.domain.steps import OF_THE_PROCESS, Step
from mediation.domain.vocabulary import (
    TIERS,
    Action,
    AgreementState,
    Expiry,
    HandoffState,
    LegState,
    LinkUp,
    Mode,
    Moment,
    Outcome,
    ReportCode,
    Role,
    Silence,
    SuspendCause,
    Variant,
)

Offer = c.Escalate | c.Delegate | c.Refer


def link_up_of(command: c.Command) -> LinkUp | None:
    """The link-up a command offers."""
    match command:
        case c.Escalate():
            return LinkUp.ESCALATE
        case c.Delegate():
            return LinkUp.DESIGNATE if command.designate else LinkUp.DELEGATE
        case c.Refer():
            return command.link_up
    return None


def fits(step: Step) -> Iterator[Reason]:
    """G10: sender, state, receiver, consent and papers fit the link-up (process.md §5)."""
    link_up = link_up_of(step.command)
    if link_up is None:
        return
    row, command = LINK_UPS[link_up], cast("Offer", step.command)
    here, to_org = step.here, step.orgs.get(str(command.to_org))
    sender = step.orgs.get(here.org)
    if isinstance(command, c.Refer) and link_up in {LinkUp.ESCALATE, LinkUp.DELEGATE, LinkUp.DESIGNATE}:
        yield why("not_by_refer", f"“{link_up.zh}”须用专门事项办理", f"{link_up} has an action of its own")
        return
    yield from allowed_next(step, link_up)
    if to_org is None:
        yield why("no_such_body", "接收单位不存在", "There is no such body")
        return
    if to_org.id == here.org:
        yield why("same_body", "不能移交给本单位", "A body cannot hand a case to itself")
    if sender and sender.kind not in row.senders:
        yield why(
            "sender_unfit",
            f"{sender.kind.zh}不能办理{link_up.zh}",
            f"{sender.kind} does not send {link_up}",
            *row.basis,
        )
    if here.state.value not in row.sources:
        yield why(
            "state_unfit",
            f"程序段处于“{here.state.zh}”时不能办理{link_up.zh}",
            f"{link_up} is not open to a leg that is {here.state}",
            *row.basis,
        )
    if to_org.kind not in row.receivers:
        yield why(
            "receiver_unfit",
            f"{to_org.kind.zh}不能接收{link_up.zh}",
            f"{to_org.kind} does not receive {link_up}",
            *row.basis,
        )
    yield from consented(step, row)
    held = {paper.kind for paper in command.documents} | {paper.kind for paper in step.case.documents}
    lacking = [paper for paper in row.papers if paper not in held and step.role is not Role.CLOCK]
    if lacking:
        zh, en = "、".join(paper.zh for paper in lacking), ", ".join(lacking)
        yield why("papers_missing", f"缺少移交材料：{zh}", f"Papers missing: {en}", *row.basis)
    yield from special(step, row, to_org)


def consented(step: Step, row: LinkUpRow) -> Iterator[Reason]:
    """Who must agree: the parties, all of them, the one who asks, or nobody."""
    command = cast("Offer", step.command)
    agreed = set(command.on_behalf_of) | set(getattr(command, "consents", ()))
    if row.consent in {"parties", "both", "all"}:
        missing = set(step.concerned) - agreed
        if missing:
            yield why(
                "consent_missing",
                f"{row.link_up.zh}须经当事人同意，当事人{numbers(missing)}未同意",
                f"{row.link_up} needs the parties' consent; parties {numbers(missing)} have not given it",
                *row.basis,
            )
    elif row.consent == "party" and not agreed:
        yield why(
            "party_must_ask", f"{row.link_up.zh}须由当事人提出", f"A party must ask for {row.link_up}", *row.basis
        )
    elif row.consent == "joint" and row.link_up is not LinkUp.CONFIRMATION:
        parties = set(step.agreement.parties) if step.agreement else set(step.concerned)
        if parties - agreed:
            yield why(
                "not_joint", f"{row.link_up.zh}须由双方共同申请", f"{row.link_up} is asked for jointly", *row.basis
            )


def special(step: Step, row: LinkUpRow, to_org: Organisation) -> Iterator[Reason]:
    """What single link-ups ask besides."""
    command, sender = step.command, step.orgs.get(step.here.org)
    if isinstance(command, c.Refer):
        if row.link_up is LinkUp.POLICE_CIVIL and command.violation:
            yield why(
                "violation", "存在违反治安管理行为，应立案办理", "There is a violation: the police keep it", "GAX-178"
            )
        entrusted = step.here.via and step.case.handoff(step.here.via).link_up is LinkUp.AGENCY_ENTRUST
        if row.link_up is LinkUp.AGENCY_ENTRUST and entrusted:
            yield why("sub_entrusting", "受托单位不得转委托", "No sub-entrustment", "CON-17")
        if row.link_up in {
            LinkUp.CONFIRMATION,
            LinkUp.AWARD_REVIEW,
            LinkUp.NOTARY,
            LinkUp.PAYMENT_ORDER,
            LinkUp.ENFORCEMENT,
        }:
            alive = {AgreementState.IN_EFFECT, AgreementState.BREACHED}
            if row.link_up is not LinkUp.CONFIRMATION and (step.agreement is None or step.agreement.state not in alive):
                yield why("no_agreement_in_effect", "没有已生效的协议", "There is no agreement in effect", *row.basis)
        if row.link_up is LinkUp.ENFORCEMENT and step.agreement and not step.agreement.enforceable_by:
            yield why("not_enforceable", "协议没有强制执行力", "The agreement is not enforceable", "CPL-206")
    elif isinstance(command, c.Delegate):
        if command.designate and not (
            step.actor.org in to_org.path and sender and step.actor.org in (sender.id, *sender.path)
        ):
            yield why("not_common_superior", "须由共同上级指定", "Only the common superior designates", "PET-24")
        if not command.designate and step.here.org not in to_org.path:
            yield why("not_subordinate", "只能交办下级单位", "Only a subordinate body may be charged", "PET-22")


def one_tier(step: Step) -> Iterator[Reason]:
    """G11: to the next tier up in the body's own line, unless urgent (若干规定 21; one tier [Q])."""
    command = step.command
    if not isinstance(command, c.Escalate):
        return
    if step.role is Role.CLOCK and not any(
        clock.leg == step.here.id and clock.expiry == Expiry.ESCALATE and clock.going and is_over(clock, step.at)
        for clock in step.case.clocks
    ):
        yield why("clock_only_lapses", "时钟只因期限届满上报", "The clock escalates only what has run out", "PMR-21")
    sender, to_org = step.orgs.get(step.here.org), step.orgs.get(str(command.to_org))
    if sender is None or to_org is None:
        return
    if to_org.id not in sender.path:
        yield why("not_superior", "只能上报本单位的上级", "Escalate to a superior of this body", "PMR-21")
    climb = TIERS.index(to_org.tier) - TIERS.index(sender.tier)
    beside = climb == 0 and sender.path[:1] == (to_org.id,)  # as a township's centre is above its committee
    if climb != 1 and not beside and not (command.urgent and climb > 1):
        yield why(
            "one_tier",
            f"应逐级上报：{sender.tier.zh}不能直接上报{to_org.tier.zh}，紧急情形除外",
            f"One tier at a time: {sender.tier} does not escalate to {to_org.tier}, unless urgent",
            "PMR-21",
        )


def not_held(step: Step, action: Action) -> Iterator[Reason]:
    """G12/R3: a leg with a live hand-off admits only recall, withdrawal, records and overlays."""
    if step.leg is None:
        return
    handoff = step.case.holding(step.leg.id)
    link_up = link_up_of(step.command)
    beside = link_up is None or LINK_UPS[link_up].mode is Mode.BESIDE
    final = isinstance(step.command, c.Report) and not step.command.interim
    if handoff is None or (action in WHILE_HELD and (action is not Action.REFER or beside) and not final):
        return
    yield why(
        "leg_held",
        f"本程序段已由第{handoff.id}号移交（{handoff.link_up.zh}，{handoff.state.zh}）占用：请撤回移交或等待反馈",
        f"Held by hand-off {handoff.id} ({handoff.link_up}, {handoff.state}): recall it or wait for the answer",
        OF_THE_PROCESS,
    )


def not_by_handoff(step: Step) -> Iterator[Reason]:
    """G21: what came by a hand-off is returned, not declined."""
    if step.here.via:
        yield why(
            "return_it",
            "移交来的案件应退回，不作不予受理",
            "It came by a hand-off: return it, do not decline it",
            "PET-23",
        )


def returnable(step: Step) -> Iterator[Reason]:
    """G33: before acceptance; a designation is binding (信访 23–24)."""
    handoff = step.handoff
    if handoff is None:
        return
    if handoff.link_up is LinkUp.DESIGNATE:
        yield why(
            "designated",
            "指定管辖不得退回，只能提出异议",
            "A designation may not be returned, only objected to",
            "PET-24",
        )
    if not handoff.unanswered:
        yield why(
            "already_taken", "移交已受理或已了结，不能退回", "It was taken or is over: it cannot be returned", "ONL-12"
        )


def still_live(step: Step) -> Iterator[Reason]:
    """G34: the hand-off still binds; an `ends` one is recalled only before it is taken."""
    handoff = step.handoff
    if handoff is None:
        return
    recalling = isinstance(step.command, c.Recall)
    gone = not handoff.live or (recalling and handoff.state is HandoffState.TAKEN and handoff.mode is Mode.ENDS)
    if gone or (not recalling and handoff.state is not HandoffState.TAKEN):
        yield why(
            "handoff_not_live",
            f"第{handoff.id}号移交处于“{handoff.state.zh}”",
            f"Hand-off {handoff.id} is {handoff.state}",
            "ONL-12",
        )


def offer(draft: Draft) -> None:
    """上报·交办·对接: a hand-off is offered; the leg that offers it does not move."""
    step = draft.step
    command, leg = cast("Offer", step.command), step.here
    link_up = cast("LinkUp", link_up_of(command))
    row = LINK_UPS[link_up]
    variant = command.variant if isinstance(command, c.Refer) else Variant.ORDINARY
    number = draft.add(
        "handoffs",
        link_up=link_up,
        mode=row.mode,
        from_leg=leg.id,
        from_org=leg.org,
        to_org=str(command.to_org),
        claims=tuple(command.claims or leg.claims) if row.mode is not Mode.BESIDE else (),
        agreement=step.agreement.id if step.agreement else 0,
        variant=variant,
        reason=getattr(command, "reason", "instruction"),
        urgent=getattr(command, "urgent", False),
        offered_at=step.at,
        owes=row.owes,
    )
    draft.notes["handoff"] = number
    if link_up is LinkUp.APPRAISAL:  # the clocks whose text leaves out the time of an appraisal
        draft.stand_clocks(leg.id, SuspendCause.APPRAISAL)
    _await_answer(draft, number, row)
    report_by = getattr(command, "report_by", None)
    if report_by:
        expiry = Expiry.RECALL if row.mode is Mode.WAITS else Expiry.URGE
        draft.set_day("report", report_by.isoformat(), expiry, handoff=number)
        draft.put("handoffs", number, report_by=report_by.isoformat())
    if link_up in _ASKS and step.agreement:
        draft.happens(_ASKS[link_up], agreement=step.agreement.id)
    if step.role is Role.CLOCK:
        draft.lapse(leg.id, Expiry.ESCALATE)


_ASKS = {
    LinkUp.CONFIRMATION: Moment.CONFIRMATION_ASKED,
    LinkUp.AWARD_REVIEW: Moment.CONFIRMATION_ASKED,
    LinkUp.ENFORCEMENT: Moment.ENFORCEMENT_ASKED,
}
_SILENCE = {Silence.BACK: Expiry.RETURN, Silence.ALARM: Expiry.URGE, Silence.DEEMED: Expiry.ACCEPT}


def _await_answer(draft: Draft, number: int, row: LinkUpRow) -> None:
    """The clock of the answer: the day the sender set, else the limit of the packs, the receiver's own kind first."""
    step, command = draft.step, cast("Offer", draft.step.command)
    receiver, sender = step.orgs[str(command.to_org)], step.orgs.get(step.here.org)
    expiry, answer_by = _SILENCE[row.silence], getattr(command, "answer_by", None)
    if answer_by:
        draft.set_day("answer", answer_by.isoformat(), expiry, handoff=number)
    else:
        place = Place(
            link_up=row.link_up.value,
            variant=draft.case.handoff(number).variant.value,
            kind=receiver.kind,
            tier=receiver.tier,
            speciality=receiver.speciality,
            division=sender.division if sender else "",
        )
        rules = step.laws.starting(Moment.OFFERED, draft.day, place) or step.laws.starting(
            Moment.FILED, draft.day, place
        )
        if not rules:
            return
        rule = max(rules, key=lambda rule: len(rule.kinds) > 0)
        draft.start_clock(rule, expiry=expiry, owed="answer", handoff=number)
    draft.put("handoffs", number, answer_by=draft.case.clocks[-1].due_on)


def receive(draft: Draft) -> None:
    """接收: a leg is opened at the receiver, or none where the link-up opens none: then it is taken at once."""
    step = draft.step
    handoff = step.handoff
    if handoff is None:
        raise LookupError(step.command)
    row = LINK_UPS[handoff.link_up]
    draft.notes["handoff"] = handoff.id
    if not row.opens:
        draft.move_handoff(handoff.id, HandoffState.TAKEN, received_at=step.at)
        return
    online = handoff.link_up is LinkUp.COURT_DELEGATE and handoff.variant is Variant.ONLINE
    procedure = chosen(step, step.org, "online" if online else row.procedure or None)
    beside = handoff.mode is Mode.BESIDE
    claims: Iterable[int] = () if beside else handoff.claims
    facts = {"via": handoff.id, "beside": beside, "agreement": handoff.agreement, "variant": handoff.variant}
    number = draft.open_leg(step.org, procedure, claims, **facts)
    draft.move_handoff(handoff.id, HandoffState.RECEIVED, received_at=step.at, to_leg=number)
    draft.rouse(handoff=handoff.id)
    own = {clock.rule for clock in draft.case.clocks if clock.leg == number}
    if any(clock.handoff == handoff.id and clock.going and clock.rule in own for clock in draft.case.clocks):
        draft.stop_clocks(handoff=handoff.id, owed="answer")  # one limit, counted at the receiver from now on
    draft.limit_report(number)
    draft.notes["leg"] = number


def give_back(draft: Draft) -> None:
    """退回: the sender stands where it stood."""
    handoff = draft.step.handoff
    if handoff is None:
        raise LookupError(draft.step.command)
    draft.move_handoff(handoff.id, HandoffState.RETURNED)
    if handoff.to_leg and draft.leg(handoff.to_leg).open:
        draft.end(handoff.to_leg, Outcome.RETURNED)


def recall(draft: Draft) -> None:
    """撤回移交: the receiver's leg lets go."""
    handoff = draft.step.handoff
    if handoff is None:
        raise LookupError(draft.step.command)
    draft.move_handoff(handoff.id, HandoffState.RECALLED)
    if handoff.to_leg and draft.leg(handoff.to_leg).open:
        draft.release(handoff.to_leg, draft.leg(handoff.to_leg).claims, Outcome.RECALLED)


def report(draft: Draft) -> None:
    """反馈: the hand-off is answered; a pending agreement goes with the file; an entrusted leg lets go of claims."""
    step = draft.step
    command, handoff = cast("c.Report", step.command), step.handoff
    if handoff is None:
        raise LookupError(command)
    draft.notes["handoff"] = handoff.id
    if command.interim:
        return
    draft.move_handoff(handoff.id, HandoffState.ANSWERED, report=command.code.value)
    if command.code is ReportCode.DEED and handoff.agreement:
        draft.put("agreements", handoff.agreement, enforceable_by="notary")
    if step.leg is None or not step.leg.open or handoff.mode is not Mode.WAITS:
        return
    for agreement in step.case.agreements:
        if agreement.leg == step.leg.id and agreement.state is AgreementState.PENDING:
            draft.put("agreements", agreement.id, leg=handoff.from_leg)
    draft.put("legs", step.leg.id, claims=())
    if step.leg.state is LegState.UNSETTLED:
        draft.happens(Moment.CONCLUDED, leg=step.leg.id)


EFFECTS = {
    Action.ESCALATE: offer,
    Action.DELEGATE: offer,
    Action.REFER: offer,
    Action.RECEIVE: receive,
    Action.RETURN: give_back,
    Action.RECALL: recall,
    Action.REPORT: report,
}
