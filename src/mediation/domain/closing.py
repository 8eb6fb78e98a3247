"""Closing 结案 and the file 卷宗: what must be done before a leg closes and a case is archived."""

from collections.abc import Iterator

from mediation.domain import commands as c
from mediation.domain.errors import Reason
from mediation.domain.reasons import why
from mediation.domain.steps import Step
from mediation.domain.vocabulary import (
    RISKS,
    AgreementState,
    DocumentKind,
    LegState,
    LinkUp,
    ReportCode,
    Risk,
    Track,
)

Reasons = Iterator[Reason]


def routes_told(step: Step) -> Reasons:
    """G15: no gap: the parties were told the lawful routes (人民调解法 26)."""
    command, here = step.command, step.here
    if isinstance(command, c.Close) and here.state is LegState.SETTLED:
        return
    if isinstance(command, c.Withdraw) and (command.reason.value == "solved" or not step.case.open_claims(here)):
        return
    if not (getattr(command, "routes_told", False) or here.routes_told):
        yield why(
            "routes_not_told",
            "尚未告知当事人仲裁、行政、诉讼等合法途径",
            "The parties have not been told the lawful routes open to them",
            "PML-26",
            "PMR-24",
            needs="routes_told",
        )


def risk_low(step: Step) -> Reasons:
    """G14: risk below orange [Q]."""
    if RISKS.index(step.case.risk) >= RISKS.index(Risk.ORANGE):
        yield why("risk_high", "风险为橙色以上，不得结案", "Risk is orange or above", "OUR-2")


def finished(step: Step) -> Reasons:
    """G29: agreements performed, or a day set to follow up."""
    here = step.here
    if here.state is not LegState.SETTLED or (isinstance(step.command, c.Close) and step.command.follow_up_on):
        return
    if step.case.unfinished(here.id):
        yield why(
            "not_performed",
            "协议尚未履行完毕，须履行或确定回访日",
            "The agreement is not performed: perform it or set a day to follow up",
            "PML-31",
            needs="follow_up_on",
        )


def all_answered(step: Step) -> Reasons:
    """G13: hand-offs it sent are answered, reports it owes are made (宁波 19)."""
    here = step.here
    for handoff in step.case.handoffs:
        if handoff.from_leg == here.id and handoff.live and handoff.state != "answered":
            yield why(
                "handoff_unanswered",
                f"第{handoff.id}号移交（{handoff.link_up.zh}）尚未反馈",
                f"Hand-off {handoff.id} ({handoff.link_up}) is not answered yet",
                "NBR-19",
            )
        if handoff.to_leg == here.id and handoff.state == "taken" and handoff.owes:
            yield why(
                "report_owed",
                f"第{handoff.id}号移交（{handoff.link_up.zh}）尚须反馈",
                f"Hand-off {handoff.id} ({handoff.link_up}) is owed a report",
                "NBR-19",
            )


def report_meets(step: Step) -> Reasons:
    """G20: the report says what the link-up asks, with its papers (特邀 26, 程序规定 186, 高检规则 499)."""
    command, handoff = step.command, step.handoff
    if not isinstance(command, c.Report) or handoff is None:
        return
    if command.interim:
        return
    if not (command.documents or command.text):
        yield why(
            "report_without_papers",
            "反馈须附文书或说明",
            "A report needs papers or words",
            "INV-26",
            "ONL-21",
            needs="documents",
        )
    proof = {ReportCode.PERFORMED} | ({ReportCode.GUARANTEED} if handoff.link_up is LinkUp.PROSECUTION else set())
    hosted = [a for a in step.case.agreements if step.leg and a.leg == step.leg.id]
    performed = any(a.state is AgreementState.PERFORMED for a in hosted) and not any(a.unfinished for a in hosted)
    good = {ReportCode.SETTLED, ReportCode.PARTLY_SETTLED, *proof}
    if handoff.owes == "performance" and command.code in good:
        if command.code not in proof or (command.code is ReportCode.PERFORMED and not performed):
            yield why(
                "performance_not_proved",
                "须反馈履行情况证明，仅有协议不足",
                "This sender needs proof of performance, not of agreement",
                "GAX-186",
                "PRO-499",
            )
    elif command.code is ReportCode.PERFORMED and hosted and not performed:
        yield why("not_performed", "协议尚未履行完毕", "The agreement is not performed", "INV-26")
    opens = step.leg is not None and step.leg.open
    if opens and handoff.owes == "result" and command.code in good and not hosted:
        yield why("nothing_settled", "尚未达成协议", "Nothing has been settled", "INV-26")
    if opens and step.here.state is LegState.MEDIATING:
        yield why("only_interim", "调解进行中只能作阶段反馈", "While mediating only an interim report", "INV-26")


COMPULSORY: dict[DocumentKind, tuple[DocumentKind, ...]] = {
    DocumentKind.REGISTRATION: (DocumentKind.APPLICATION,),
    DocumentKind.RIGHTS_NOTICE: (),
    DocumentKind.IDENTITY: (),
    DocumentKind.MINUTES: (),
    DocumentKind.AGREEMENT: (DocumentKind.ORAL_REGISTER,),
    DocumentKind.CLOSING_REPORT: (),
}
"""Compulsory papers of a people's mediation file (2010 forms [S]), each with what may stand in its place."""


def missing_documents(step: Step) -> list[DocumentKind]:
    """Compulsory papers the file lacks; a simple oral settlement needs only registration and register (宁波 24)."""
    case = step.case
    mediated = [leg for leg in case.legs if leg.accepted_on and not leg.decides and leg.track is Track.PEOPLE]
    if not mediated:
        return []
    wanted = dict(COMPULSORY)
    if not case.agreements:
        del wanted[DocumentKind.AGREEMENT]
    elif all(agreement.form.value == "oral" for agreement in case.agreements):
        kept = (DocumentKind.REGISTRATION, DocumentKind.AGREEMENT)
        wanted = {kind: others for kind, others in wanted.items() if kind in kept}
    held = {document.kind for document in case.documents}
    held |= {DocumentKind(kind.kind) for kind in step.command.documents}
    return [kind for kind, others in wanted.items() if not held & {kind, *others}]


def file_complete(step: Step) -> Reasons:
    """G17: complete or explained by a countersigned file note; delisted; nothing outstanding; not by who closed."""
    case = step.case
    missing = missing_documents(step)
    if missing and not case.statement:
        names = "、".join(kind.zh for kind in missing)
        codes = ", ".join(missing)
        yield why("documents_missing", f"缺少必备文书：{names}", f"Compulsory documents missing: {codes}", "FRM")
    if any(not listing.lifted for listing in case.listings):
        yield why("still_listed", "案件仍在挂牌督办，须先摘牌", "Still listed for supervision: lift it first", "SCQ-54")
    if any(agreement.unfinished for agreement in case.agreements):
        yield why("obligation_outstanding", "协议尚有未履行的义务", "An obligation is outstanding", "PML-31")
    if any(leg.closed_by == step.actor.person for leg in case.legs):
        yield why("closer_archives", "结案人不得归档", "Who closed the case may not archive it", "FRM")
