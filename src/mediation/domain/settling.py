"""Agreements 协议 and decisions: their form, effect, performance and fall, and how claims end."""

from collections.abc import Iterator
from typing import cast

from mediation.domain import commands as c
from mediation.domain.acceptance import take_over
from mediation.domain.draft import Draft
from mediation.domain.errors import Reason
from mediation.domain.facts import Agreement
from mediation.domain.mediating import agree, notice_given
from mediation.domain.reasons import numbers, why
from mediation.domain.steps import Step
from mediation.domain.vocabulary import (
    Action,
    AgreementForm,
    AgreementState,
    ClaimKind,
    ClaimState,
    DecisionKind,
    Expiry,
    HandoffState,
    LegState,
    Mode,
    Moment,
    Role,
    VoidGround,
)

Reasons = Iterator[Reason]


def agreement_complete(step: Step) -> Reasons:
    """G8: signatures, form and contents as the procedure asks (人民调解法 28–30)."""
    command = step.command
    if not isinstance(command, c.Settle):
        return
    unsigned = set(step.concerned) - set(command.signed_by)
    if unsigned:
        yield why(
            "unsigned",
            f"当事人{numbers(unsigned)}未签名或未表示同意协议内容；代表人和解须经被代表人同意",
            f"Parties {numbers(unsigned)} have not signed; a representative binds only those who agree",
            "PML-29",
            "CPL-56",
            needs="signed_by",
        )
    if command.adopts:
        if _live(step, AgreementState.PENDING) is None or step.agreement not in step.case.unfinished(step.here.id):
            yield why("nothing_to_adopt", "没有待采纳的协议", "There is no pending agreement here to adopt", "INV-20")
        return
    yield from _well_formed(step, command)
    yield from _disposable(step, command)


def _well_formed(step: Step, command: c.Settle) -> Reasons:
    """Form, contents, the mediator's signature and the seal; rights told where it is settled on the spot."""
    procedure, written = step.procedure, command.form is AgreementForm.WRITTEN
    if procedure is None:
        return
    if command.form.value not in procedure.forms:
        yield why(
            "form_not_allowed",
            f"{procedure.zh}不能采用{command.form.zh}",
            f"{procedure.en} does not allow the form {command.form}",
            "PML-28",
        )
    if command.pending and procedure.id != "court_entrusted":
        yield why(
            "not_pending",
            "只有委托调解的协议待法院出具调解书",
            "Only an agreement in court-entrusted mediation awaits the court's document",
            "INV-20",
            "INV-24",
        )
    if not command.obligations:
        yield why(
            "no_obligation", "协议须写明内容和期限", "It must say what is owed, and when", "PML-29", needs="obligations"
        )
    if written and not command.mediator_signed:
        yield why(
            "mediator_unsigned", "调解员尚未签名", "The mediator has not signed", "PML-29", needs="mediator_signed"
        )
    if written and procedure.seal and not command.sealed:
        yield why(
            "unsealed", "协议书未加盖调解委员会印章", "The agreement does not bear the seal", "PML-29", needs="sealed"
        )
    if step.here.state is LegState.FILED and not command.notice_given:
        yield from (reason._replace(needs="notice_given") for reason in notice_given(step))


def _disposable(step: Step, command: c.Settle) -> Reasons:
    """Only open civil claims of this leg can be settled."""
    named = command.claims or ()
    closed = set(named) - set(step.case.open_claims(step.here))
    if closed:
        yield why(
            "claim_not_open",
            f"诉求{numbers(closed)}不在本程序段，或已有协议、决定",
            f"Claims {numbers(closed)} are not open in this leg, or an agreement covers them",
            "PML-29",
        )
    public = {number for number in named if step.case.claim(number).kind is ClaimKind.PUBLIC}
    if public:
        yield why(
            "public_claim",
            f"诉求{numbers(public)}属公共事项，不能协议处分",
            f"Claims {numbers(public)} are public: only an authority disposes of them",
            "PMR-22",
        )


def decision_fits(step: Step) -> Reasons:
    """G27: the decision is one this procedure makes."""
    command, procedure = step.command, step.procedure
    if isinstance(command, c.Decide) and procedure and command.decision not in procedure.decisions:
        zh = "、".join(kind.zh for kind in procedure.decisions)
        en = ", ".join(procedure.decisions)
        yield why("decision_not_fitting", f"{procedure.zh}可作出：{zh}", f"{procedure.en} decides: {en}", "CPL-206")


def withdrawal_permitted(step: Step) -> Reasons:
    """G28: from a deciding leg only with the officer's leave (2011规定 5; 民诉法 148)."""
    command = step.command
    if isinstance(command, c.Withdraw) and step.here.state is LegState.DECIDING and not command.permitted:
        yield why(
            "not_permitted_by_officer",
            "须经办案人员准许撤回",
            "The deciding officer must permit it",
            "CPL-148",
            needs="permitted",
        )


def _live(step: Step, *states: AgreementState) -> Agreement | None:
    agreement = step.agreement
    return agreement if agreement and agreement.state in states else None


def performance_proved(step: Step) -> Reasons:
    """G30: an agreement to perform, and a paper or words that prove it (人民调解法 31)."""
    if _live(step, AgreementState.IN_EFFECT, AgreementState.BREACHED) is None:
        yield why("no_agreement_in_effect", "没有已生效的协议", "There is no agreement in effect", "PML-31")
    agreement = step.agreement
    if agreement and agreement.state is AgreementState.BREACHED and not agreement.enforceable_by:
        moved = {n for n in agreement.claims if step.case.claim(n).state is not ClaimState.OPEN}
        moved |= {n for a in step.case.agreements if a.state is AgreementState.PENDING for n in a.claims} & set(
            agreement.claims
        )
        if moved:
            yield why(
                "claims_moved_on",
                f"诉求{numbers(moved)}已另有协议或决定，原协议不再履行",
                f"Claims {numbers(moved)} have another agreement or a decision by now",
                "PML-31",
            )
    if not (step.command.documents or step.command.text):
        yield why(
            "no_proof", "须附履行凭证或说明", "Attach proof of performance or describe it", "PML-31", needs="documents"
        )


def breach_shown(step: Step) -> Reasons:
    """G31: an agreement in effect, urged, and its day past (人民调解法 31–32)."""
    agreement = _live(step, AgreementState.IN_EFFECT)
    if agreement is None:
        yield why("no_agreement_in_effect", "没有已生效的协议", "There is no agreement in effect", "PML-32")
        return
    due = [o.due_on for o in step.case.obligations if o.agreement == agreement.id and not o.done]
    if not any(day < step.on.isoformat() for day in due):
        yield why("not_due", "履行期限尚未届满", "The day of performance is not past", "PML-31")
    if isinstance(step.command, c.Breach) and not step.command.urged:
        yield why("not_urged", "尚未督促履行", "Performance has not been urged", "PML-31", needs="urged")


def can_fall(step: Step) -> Reasons:
    """G32: the agreement is alive, and the ground is one on which it falls (民诉法 102, 206)."""
    command = step.command
    if not isinstance(command, c.Void):
        return
    agreement = _live(step, AgreementState.PENDING, AgreementState.IN_EFFECT, AgreementState.BREACHED)
    if agreement is None:
        yield why("no_agreement", "没有可失效的协议", "There is no agreement that could fall", "CPL-206")
        return
    if command.ground is VoidGround.RENEGED and agreement.state is not AgreementState.PENDING:
        yield why("already_in_effect", "协议已生效，不得反悔", "The agreement is in effect", "CPL-102")
    dismissed = any(h.agreement == agreement.id and h.report == "dismissed" for h in step.case.handoffs)
    if command.ground is VoidGround.CONFIRMATION_REFUSED and not dismissed:
        yield why("not_dismissed", "法院未驳回确认申请", "No court dismissed its confirmation", "CPL-206")


def settle(draft: Draft) -> None:
    """达成协议: an agreement on the claims named (default all civil ones), or a reported one is adopted."""
    step = draft.step
    command, procedure = cast("c.Settle", step.command), step.procedure
    if step.here.state is LegState.FILED:
        take_over(draft)
        if command.notice_given:
            draft.put("legs", step.here.id, notice=True)
        if step.role is Role.MEDIATOR and not step.here.mediators:
            draft.put("legs", step.here.id, mediators=(step.actor.person,))
    if command.consents:
        agree(draft, draft.leg(step.here.id), set(command.consents), set(command.consents))
    number = _adopt(draft, command) if command.adopts else _agree_on(draft, command)
    draft.notes["agreement"] = number
    for claim in draft.case.agreement(number).claims:
        if draft.case.agreement(number).state is AgreementState.IN_EFFECT:
            draft.put("claims", claim, state=ClaimState.SETTLED)
    if procedure and not draft.case.open_claims(draft.leg(step.here.id)):
        draft.happens(Moment.CONCLUDED, leg=step.here.id)


def _adopt(draft: Draft, command: c.Settle) -> int:
    procedure = draft.step.procedure
    agreement = draft.case.agreement(command.adopts or 0)
    draft.put(
        "agreements",
        agreement.id,
        state=AgreementState.IN_EFFECT,
        form="mediation_document",
        effective_on=(command.effective_on or draft.step.on).isoformat(),
        enforceable_by=procedure.enforceable_by if procedure else "",
    )
    draft.stop_clocks(agreement=agreement.id)
    draft.set_day("performance", agreement.due_on, Expiry.URGE, agreement=agreement.id)
    draft.happens(Moment.EFFECTIVE, agreement=agreement.id)
    return agreement.id


def _agree_on(draft: Draft, command: c.Settle) -> int:
    step = draft.step
    leg, procedure = draft.leg(step.here.id), step.procedure
    wanted = command.claims or draft.case.open_claims(leg)
    claims = tuple(n for n in wanted if draft.case.claim(n).kind is ClaimKind.CIVIL)
    effective = (command.effective_on or step.on).isoformat()
    number = draft.add(
        "agreements",
        leg=leg.id,
        hosted_by=leg.org,
        claims=claims,
        parties=step.concerned,
        form=command.form,
        state=AgreementState.PENDING if command.pending else AgreementState.IN_EFFECT,
        effective_on="" if command.pending else effective,
        due_on=max(o.due_on for o in command.obligations).isoformat() if command.obligations else "",
        enforceable_by=procedure.enforceable_by if procedure and not command.pending else "",
    )
    for owed in command.obligations:
        draft.add(
            "obligations",
            agreement=number,
            obligor=owed.obligor or 0,
            obligor_org=str(owed.obligor_org or ""),
            what=owed.what,
            amount_fen=owed.amount_fen,
            due_on=owed.due_on.isoformat(),
        )
    draft.set_day("performance", draft.case.agreement(number).due_on, Expiry.URGE, agreement=number)
    if not command.pending:
        draft.happens(Moment.EFFECTIVE, agreement=number, on=effective)
    return number


def decide(draft: Draft) -> None:
    """作出决定: claims are decided; `confirmed` makes the agreement enforceable; a `beside` hand-off is answered."""
    step = draft.step
    command, leg = cast("c.Decide", step.command), step.here
    named = command.claims or leg.claims
    for number in named:
        if draft.case.claim(number).state is ClaimState.OPEN:
            draft.put("claims", number, state=ClaimState.DECIDED)
    if not leg.beside:
        draft.put("legs", leg.id, claims=tuple(n for n in leg.claims if n not in named))
    if command.decision is DecisionKind.CONFIRMED and leg.agreement:
        draft.put("agreements", leg.agreement, enforceable_by="confirmation")
        draft.happens(Moment.CONFIRMATION_ASKED, agreement=leg.agreement)
        agreement = draft.case.agreement(leg.agreement)
        if agreement.state is AgreementState.BREACHED:
            draft.happens(Moment.PERFORMANCE_DUE, agreement=agreement.id, on=agreement.due_on)
    if command.decision is DecisionKind.AWARD_DOCUMENT and leg.agreement:
        draft.put("agreements", leg.agreement, enforceable_by="award")
    if leg.via and draft.case.handoff(leg.via).mode is Mode.BESIDE:
        draft.move_handoff(leg.via, HandoffState.ANSWERED, report=command.decision.value)
    if command.final or leg.procedure == "petition_rereview":
        draft.header(final=True)


def withdraw(draft: Draft) -> None:
    """撤回: the claims named (default all of the leg) are dropped; hand-offs on them are recalled."""
    step = draft.step
    command, leg = cast("c.Withdraw", step.command), step.here
    gone = set(command.claims or leg.claims)
    draft.recall_down(leg.id, gone)
    for number in sorted(gone):
        if draft.case.claim(number).state is ClaimState.OPEN:
            draft.put("claims", number, state=ClaimState.DROPPED)
    draft.put("legs", leg.id, claims=tuple(n for n in leg.claims if n not in gone), routes_told=True)


def close(draft: Draft) -> None:
    """结案: 案结; 事了 and 人和 are other facts."""
    step = draft.step
    command, leg = cast("c.Close", step.command), step.here
    gone = set(command.claims or leg.claims)
    draft.put(
        "legs",
        leg.id,
        claims=tuple(n for n in leg.claims if n not in gone) if leg.state is LegState.UNSETTLED else leg.claims,
        closed_by=step.actor.person,
        routes_told=command.routes_told or leg.routes_told,
        follow_up_on=command.follow_up_on.isoformat() if command.follow_up_on else "",
    )


def fulfil(draft: Draft) -> None:
    """履行: the obligations named, or all; when none is left the agreement is performed (事了)."""
    command, agreement = cast("c.Fulfil", draft.step.command), draft.step.agreement
    if agreement is None:
        raise LookupError(command)
    mine = [o.id for o in draft.case.obligations if o.agreement == agreement.id]
    for number in command.obligations or mine:
        if number in mine:
            draft.put("obligations", number, done=True)
    if all(o.done for o in draft.case.obligations if o.agreement == agreement.id):
        draft.put("agreements", agreement.id, state=AgreementState.PERFORMED)
        draft.stop_clocks(agreement=agreement.id)
        for claim in agreement.claims:
            if draft.case.claim(claim).state is ClaimState.OPEN:
                draft.put("claims", claim, state=ClaimState.SETTLED)


def breach(draft: Draft) -> None:
    """不履行: enforceable, the leg stays and the time to apply for enforcement runs; else the claims are open again."""
    agreement = draft.step.agreement
    if agreement is None:
        raise LookupError(draft.step.command)
    draft.put("agreements", agreement.id, state=AgreementState.BREACHED)
    draft.stop_clocks(agreement=agreement.id)
    if agreement.enforceable_by:
        draft.happens(Moment.PERFORMANCE_DUE, agreement=agreement.id, on=agreement.due_on)
    else:
        draft.reopen_claims(agreement)
        _decision_clock_anew(draft, agreement)


def void(draft: Draft) -> None:
    """失效: the claims are open again, unless another leg holds them."""
    agreement = draft.step.agreement
    if agreement is None:
        raise LookupError(draft.step.command)
    draft.put("agreements", agreement.id, state=AgreementState.VOID)
    draft.stop_clocks(agreement=agreement.id)
    draft.reopen_claims(agreement)
    _decision_clock_anew(draft, agreement)


def _decision_clock_anew(draft: Draft, agreement: Agreement) -> None:
    """A body that decides counts from the failure or breach (程序规定 185)."""
    host = draft.leg(agreement.leg)
    if host.state is LegState.SETTLED:
        draft.happens(Moment.UNPERFORMED, leg=host.id)
        if host.decides:
            draft.run_on(host.id)


EFFECTS = {
    Action.SETTLE: settle,
    Action.DECIDE: decide,
    Action.WITHDRAW: withdraw,
    Action.CLOSE: close,
    Action.FULFIL: fulfil,
    Action.BREACH: breach,
    Action.VOID: void,
}
