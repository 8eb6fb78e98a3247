"""Mediation 调解: what must hold before and while it is held, and what its steps change."""

from collections.abc import Iterator
from typing import cast

from mediation.domain import commands as c
from mediation.domain.acceptance import plan
from mediation.domain.clocks import division_of, is_over
from mediation.domain.deadlines import Rule
from mediation.domain.draft import Draft
from mediation.domain.errors import Reason
from mediation.domain.facts import Leg
from mediation.domain.reasons import numbers, why
from mediation.domain.steps import Step, fitting
from mediation.domain.vocabulary import (
    Action,
    ClockState,
    Consent,
    Expiry,
    ExtendBy,
    FailGround,
    LegState,
    LinkUp,
    Moment,
    Role,
    SuspendCause,
)

Reasons = Iterator[Reason]
_FAIL = ("PML-26", "INV-26", "ONL-25", "CON-21")


def consent(step: Step) -> Reasons:
    """G4: express consent, or in people's mediation no refusal; never revoked since (人民调解法 17, 23)."""
    procedure, here, command = step.procedure, step.here, step.command
    if procedure is None or (isinstance(command, c.Settle) and command.adopts):
        return
    given = set(here.consented) | set(getattr(command, "consents", ()))
    refused = set(here.refused) - set(getattr(command, "consents", ()))
    concerned = set(step.concerned)
    if refused & concerned:
        yield why(
            "consent_refused",
            f"当事人{numbers(refused & concerned)}拒绝或已撤回同意",
            f"Parties {numbers(refused & concerned)} refuse or have revoked their consent",
            "PML-17",
            "PML-23",
        )
    lenient = procedure.consent == "no_refusal" and not here.rounds
    if isinstance(command, c.Settle) and here.state is LegState.DECIDING:
        lenient = True
    missing = concerned - given - refused
    if missing and not lenient:
        yield why(
            "consent_missing",
            f"当事人{numbers(missing)}尚未表示同意",
            f"Parties {numbers(missing)} have not consented",
            *fitting(procedure, "PML-17", "INV-11", "MED-31", "CON-15", "PET-33"),
            needs="consents",
        )


def notice_given(step: Step) -> Reasons:
    """G5: nature, principles, effect, rights and duties were told (若干规定 30, 特邀 14)."""
    procedure = step.procedure
    if procedure and procedure.notice and not step.here.notice:
        yield why(
            "notice_missing",
            "尚未告知当事人权利义务",
            "The parties have not been told their rights and duties",
            *fitting(procedure, "PMR-30", "INV-14"),
        )


def prepared(step: Step) -> Reasons:
    """G6: 四有 (上城区2011 [Q])."""
    procedure, here = step.procedure, step.here
    if procedure and procedure.prepared and not here.prepared:
        yield why(
            "not_prepared",
            "四有未落实：须有领导包案、有专人负责、有化解方案、有办结期限",
            "Not prepared: a leader, a handler, a plan and a deadline must be named",
            "SCQ-53",
        )


def no_recusal(step: Step) -> Reasons:
    """G7: no known ground for recusal, unless every party waives it (特邀 15)."""
    command = step.command
    if isinstance(command, c.Appoint) and command.recusal_ground:
        missing = {party.id for party in step.case.present} - set(command.waived_by)
        if missing:
            yield why(
                "recusal_not_waived",
                f"调解员存在回避情形，当事人{numbers(missing)}未同意不回避",
                f"There is a ground for recusal that parties {numbers(missing)} have not waived",
                "INV-15",
            )
    if isinstance(command, c.Appoint) and {str(m) for m in command.mediators} & set(step.here.replaced):
        yield why("mediator_replaced", "该调解员已因回避退出本案", "This mediator was replaced in this leg", "INV-15")


def ground_listed(step: Step) -> Reasons:
    """G19: the ground is one this procedure knows; `period_over` only once its clock has lapsed."""
    command, procedure = step.command, step.procedure
    if not isinstance(command, c.Fail) or procedure is None:
        return
    if procedure.fail_grounds and command.ground not in procedure.fail_grounds:
        yield why(
            "ground_not_listed",
            f"“{command.ground.zh}”不是{procedure.zh}的终止事由",
            f"{command.ground} does not end {procedure.en}",
            "PML-26",
        )
    if command.ground is FailGround.PERIOD_OVER:
        mine = [k for k in step.case.clocks if k.leg == step.here.id and not k.complaint]
        over = [k for k in mine if k.state is ClockState.RUNNING and is_over(k, step.at)]
        if not any(k.expiry == Expiry.FAIL or step.role is not Role.CLOCK for k in over):
            yield why("not_lapsed", "期限尚未届满", "The period has not run out", *fitting(procedure, *_FAIL))
    elif step.role is Role.CLOCK:
        yield why("clock_only_lapses", "时钟只能因期限届满终止", "The clock only acts on a lapsed period", "OUR-3")


def undisputed_signed(step: Step) -> Reasons:
    """G24: every party with a claim here signs the undisputed facts (在线规则 22)."""
    command = step.command
    if isinstance(command, c.RecordUndisputed):
        missing = set(step.concerned) - set(command.signed_by)
        if missing:
            yield why(
                "undisputed_unsigned",
                f"当事人{numbers(missing)}未签字确认",
                f"Parties {numbers(missing)} have not signed",
                "ONL-22",
                needs="signed_by",
            )


def cause_removed(step: Step) -> Reasons:
    """G25: the cause of the suspension is gone (医疗 38, 特邀 15, 18)."""
    command, here = step.command, step.here
    if not isinstance(command, c.Resume) or here.cause_removed:
        return
    if here.cause == SuspendCause.RECUSAL.value:
        if command.recusal is None:
            yield why(
                "recusal_open",
                "回避申请尚未处理：未更换、未驳回、双方亦未同意不回避",
                "Recusal is open: neither replaced, rejected nor waived by both",
                *fitting(step.procedure, "INV-15", "PMR-25"),
                needs="recusal",
            )
        return
    reported = here.cause == SuspendCause.APPRAISAL.value and any(
        h.link_up is LinkUp.APPRAISAL and h.from_leg == here.id and h.report for h in step.case.handoffs
    )
    if not (command.cause_removed or reported):
        yield why(
            "cause_remains",
            "中止原因尚未消除",
            "The cause of suspension has not been removed",
            *fitting(step.procedure, "MED-38", "INV-18", "CON-19"),
            needs="cause_removed",
        )


def extendable(step: Step) -> Reasons:
    """G26: the rule allows it, before expiry, as often and as long and by whom it says."""
    command = step.command
    if not isinstance(command, c.Extend):
        return
    clock = next((k for k in step.case.clocks if k.id == command.clock and k.leg == step.here.id), None)
    if clock is None or not clock.going:
        yield why("no_such_clock", "该期限不在计时中", "This clock is not running in this leg", "OUR-3")
        return
    rule = step.laws.version(clock.rule, division_of(step.case, clock, step.orgs)) if clock.rule else None
    if rule is None or rule.extension is None:
        yield _of_rule(rule, "not_extendable", "该期限依规不得延长", "The rule allows no extension")
        return
    allowed = rule.extension
    if is_over(clock, step.at) and clock.state is ClockState.RUNNING:
        yield _of_rule(rule, "already_lapsed", "期限已届满", "The clock has already lapsed")
    if allowed.value and command.by > allowed.value:
        zh, en = (
            f"每次最多延长{allowed.value}{allowed.unit.zh}",
            f"At most {allowed.value} {allowed.unit.en}s at a time",
        )
        yield _of_rule(rule, "too_long", zh, en)
    if allowed.times and clock.extensions >= allowed.times:
        yield _of_rule(rule, "too_often", f"只能延长{allowed.times}次", f"It is extended {allowed.times} times at most")
    if allowed.by in {ExtendBy.PARTIES, ExtendBy.BODY_AND_PARTIES} and set(step.concerned) - set(command.agreed_by):
        yield _of_rule(rule, "not_agreed", "须双方当事人同意延长", "All parties must agree to it", "agreed_by")
    if allowed.by is not ExtendBy.PARTIES and not command.approved:
        yield _of_rule(rule, "not_approved", f"须经{allowed.by.zh}", f"It takes {allowed.by.en}", "approved")
    if allowed.paper and allowed.paper not in {paper.kind for paper in command.documents}:
        yield _of_rule(rule, "paper_missing", f"须附{allowed.paper.zh}", f"Attach: {allowed.paper.en}", "documents")


def _of_rule(rule: Rule | None, code: str, zh: str, en: str, needs: str = "") -> Reason:
    """A reason that rests on a rule of the packs and cites what that cites."""
    return Reason(code, zh, en, rule.basis if rule else "", needs=needs)


def prepare(draft: Draft) -> None:
    """四有."""
    plan(draft, cast("c.Prepare", draft.step.command).plan)


def appoint(draft: Draft) -> None:
    """指派·更换: who is replaced is out of the leg; a recusal asked for is thereby answered."""
    command, leg = cast("c.Appoint", draft.step.command), draft.step.here
    out = {str(person) for person in command.replaces}
    kept = [person for person in leg.mediators if person not in out]
    added = [str(person) for person in command.mediators if str(person) not in kept]
    draft.put(
        "legs",
        leg.id,
        mediators=tuple(kept + added),
        replaced=tuple(sorted({*leg.replaced, *out})),
        cause_removed=leg.cause == SuspendCause.RECUSAL.value and bool(out),
    )


def inform_rights(draft: Draft) -> None:
    """告知权利义务."""
    draft.put("legs", draft.step.here.id, notice=True)


def record_consent(draft: Draft) -> None:
    """意愿: who consents, who refuses or has revoked."""
    command, leg = cast("c.RecordConsent", draft.step.command), draft.step.here
    parties = set(command.parties or command.on_behalf_of or draft.step.concerned)
    agree(draft, leg, parties if command.consent is Consent.GIVEN else set(), parties)
    draft.happens(Moment.CONTACTED, leg=leg.id)


def agree(draft: Draft, leg: Leg, given: set[int], spoken: set[int]) -> None:
    """Parties who have spoken: those `given` consent, the rest of `spoken` refuse."""
    consented = tuple(sorted((set(leg.consented) - spoken) | given))
    refused = tuple(sorted((set(leg.refused) - spoken) | (spoken - given)))
    draft.put("legs", leg.id, consented=consented, refused=refused)


def start(draft: Draft) -> None:
    """开始调解: consents given in the same step count; a decision clock stands where its rule says."""
    step = draft.step
    command, leg = cast("c.Start", step.command), step.here
    if command.consents:
        agree(draft, leg, set(command.consents), set(command.consents))
    draft.put("legs", leg.id, started=True, sessions=0)
    draft.find(command.circumstances)
    if step.role is Role.MEDIATOR and not leg.mediators:
        draft.put("legs", leg.id, mediators=(step.actor.person,))
    draft.happens(Moment.CONTACTED, leg=leg.id)
    draft.happens(Moment.STARTED, leg=leg.id)
    draft.stand_clocks(leg.id, SuspendCause.MEDIATION)


def convene(draft: Draft) -> None:
    """组织调解: a session."""
    leg = draft.step.here
    draft.put("legs", leg.id, sessions=leg.sessions + 1)
    draft.happens(Moment.CONTACTED, leg=leg.id)
    if not leg.sessions:
        draft.happens(Moment.FIRST_SESSION, leg=leg.id)


def suspend(draft: Draft) -> None:
    """中止: mediation and its clock stand still."""
    command, leg = cast("c.Suspend", draft.step.command), draft.step.here
    draft.put("legs", leg.id, cause=command.cause.value, cause_removed=False)
    draft.stand_clocks(leg.id, command.cause)


def resume(draft: Draft) -> None:
    """恢复调解: the clock runs on."""
    leg = draft.step.here
    draft.put("legs", leg.id, cause="", cause_removed=False)
    draft.resume_clocks(leg.id)
    draft.rouse(leg=leg.id)
    if leg.started:
        draft.stand_clocks(leg.id, SuspendCause.MEDIATION)


def extend(draft: Draft) -> None:
    """延长: a later due day."""
    command = cast("c.Extend", draft.step.command)
    clock = draft.case.clocks[command.clock - 1]
    rule = draft.step.laws.version(clock.rule, draft.place_of(clock))
    more = {"extended": clock.extended + command.by, "extensions": clock.extensions + 1}
    if rule and rule.extension:
        draft.put("clocks", clock.id, extended_in=rule.extension.unit, **more)
    draft.recount(clock.id)
    draft.basis.append(clock.rule)
    for handoff in draft.case.handoffs:
        if handoff.to_leg == clock.leg and handoff.report_by == clock.due_on:
            draft.put("handoffs", handoff.id, report_by=draft.case.clocks[clock.id - 1].due_on)


def fail(draft: Draft) -> None:
    """终止调解: consents lapse; what comes next needs them anew."""
    step = draft.step
    leg, procedure = step.here, step.procedure
    draft.put("legs", leg.id, consented=(), refused=(), rounds=leg.rounds + 1, cause="", cause_removed=False)
    if cast("c.Fail", step.command).ground is FailGround.PERIOD_OVER:
        draft.lapse(leg.id, Expiry.FAIL)
    draft.resume_clocks(leg.id)
    draft.happens(Moment.FAILED, leg=leg.id)
    if procedure and not procedure.decides:
        draft.happens(Moment.CONCLUDED, leg=leg.id)
        draft.report_due(leg.id)


EFFECTS = {
    Action.PREPARE: prepare,
    Action.APPOINT: appoint,
    Action.INFORM_RIGHTS: inform_rights,
    Action.RECORD_CONSENT: record_consent,
    Action.START: start,
    Action.CONVENE: convene,
    Action.SUSPEND: suspend,
    Action.RESUME: resume,
    Action.EXTEND: extend,
    Action.FAIL: fail,
}
