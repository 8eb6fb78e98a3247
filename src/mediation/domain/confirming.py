"""Judicial confirmation 司法确认: joint, within 30 days, admissible, at a competent court."""

from collections.abc import Iterator
from datetime import date

from mediation.domain import commands as c
from mediation.domain.deadlines import reckon
from mediation.domain.errors import Reason
from mediation.domain.facts import Agreement
from mediation.domain.reasons import numbers, why
from mediation.domain.steps import Step
from mediation.domain.vocabulary import AgreementState, LinkUp, OrgKind

Reasons = Iterator[Reason]
_COUNTY_DIGITS = 6


def confirmable(step: Step) -> Reasons:
    """G9: joint, within 30 days of effect, admissible, at a competent court (民诉法 205, 解释 351–355)."""
    command, agreement = step.command, step.agreement
    if not isinstance(command, c.Refer) or command.link_up is not LinkUp.CONFIRMATION:
        return
    if agreement is None or agreement.state not in {AgreementState.IN_EFFECT, AgreementState.BREACHED}:
        yield why("no_agreement_in_effect", "没有已生效的调解协议", "There is no agreement in effect", "CPL-205")
        return
    absent = set(agreement.parties) - set(command.on_behalf_of)
    if absent:
        yield why(
            "not_joint",
            f"须由双方当事人共同申请，当事人{numbers(absent)}未申请",
            f"Both parties must apply jointly; parties {numbers(absent)} have not",
            "CPL-205",
            "PML-33",
        )
    effective = date.fromisoformat(agreement.effective_on)
    own = [k for k in step.case.clocks if k.agreement == agreement.id and k.rule.startswith("SFQR-APP@")]
    host = step.orgs.get(step.case.leg(agreement.leg).org)
    rule = step.laws.rule("SFQR-APP", agreement.effective_on, host.division if host else "")
    last = own[-1].due_on if own else reckon(rule, effective, step.laws.calendar).on if rule else ""
    asked = min(command.posted_on or step.on, step.on)  # time in the post does not count (民诉法 85)
    if last and asked.isoformat() > last:
        yield why(
            "out_of_time",
            "已超过协议生效之日起三十日；协议仍有约束力，可起诉、公证或申请支付令",
            "Out of time: 30 days from effect; the agreement still binds: sue, notarise or ask for a payment order",
            "CPL-205",
            "PML-33",
        )
    subjects = {step.case.claim(n).what.value for n in agreement.claims} & {"title", "identity"}
    barred = {command.subject.value} - {"obligations"} | subjects
    if barred:
        yield why(
            "not_admissible",
            "身份关系、物权或知识产权确权等事项，法院不受理司法确认",
            f"Never admissible for confirmation: {', '.join(sorted(barred))}",
            "CPI-355",
        )
    if agreement.enforceable_by:
        yield why("already_enforceable", "协议已有强制执行力", "It is enforceable already", "CPL-205")
    yield from court_competent(step, agreement, str(command.to_org))


def court_competent(step: Step, agreement: Agreement, to_org: str) -> Reasons:
    """The inviting court; else one of the county of the dispute or of the hosting body (民诉法 205, 解释 352)."""
    host, court = step.case.leg(agreement.leg), step.orgs.get(to_org)
    inviting = step.case.handoff(host.via) if host.via else None
    if inviting and inviting.link_up is LinkUp.COURT_DELEGATE:
        if inviting.from_org != to_org:
            yield why("not_inviting_court", "应向作出邀请的人民法院提出", "Apply to the inviting court", "CPL-205")
    elif court and court.kind is OrgKind.COURT:
        hosting = step.orgs.get(host.org)
        places = [step.case.division, hosting.division if hosting else ""]
        if court.division[:_COUNTY_DIGITS] not in {place[:_COUNTY_DIGITS] for place in places}:
            yield why("court_not_competent", "该法院无管辖权", "This court is not competent", "CPL-205", "CPI-352")
