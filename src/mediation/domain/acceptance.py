"""Taking a dispute 受理: who may take it, and what filing, accepting, declining and reopening change."""

from collections.abc import Iterator
from typing import cast

from mediation.domain import commands as c
from mediation.domain.draft import Draft
from mediation.domain.errors import Malformed, Reason
from mediation.domain.facts import Handoff, Leg, Organisation
from mediation.domain.laws import Procedure
from mediation.domain.reasons import why
from mediation.domain.steps import Step, procedure_of
from mediation.domain.vocabulary import (
    RISKS,
    Action,
    Circumstance,
    ClaimKind,
    ClaimState,
    ClaimWhat,
    Expiry,
    HandoffState,
    LegState,
    LinkUp,
    Mode,
    Moment,
    Outcome,
    ReopenCause,
    Risk,
    Role,
    Side,
    Track,
    Variant,
)

Reasons = Iterator[Reason]


def articles_of(procedure: Procedure) -> tuple[str, ...]:
    """What says who may bring what to this procedure: cited wherever a body may not take a case."""
    named = procedure.articles.get(Action.ACCEPT.value, "").split()
    return tuple(named or dict.fromkeys(condition.basis for condition in procedure.accepts))


def competent(step: Step) -> Reasons:
    """G1: kind, tier, speciality, category and place fit the procedure (若干规定 20–21)."""
    procedure = step.procedure
    if procedure is None:
        return
    org = step.orgs[step.here.org]
    basis = articles_of(procedure)
    if org.kind not in procedure.kinds:
        yield why(
            "not_competent_kind",
            f"{org.kind.zh}不办理{procedure.zh}",
            f"A body of kind {org.kind} does not conduct {procedure.en}",
            *basis,
        )
    if procedure.tiers and org.tier not in procedure.tiers:
        zh, en = "、".join(tier.zh for tier in procedure.tiers), ", ".join(procedure.tiers)
        yield why("not_competent_tier", f"{procedure.zh}由{zh}办理", f"{procedure.en} is held at: {en}", *basis)
    if procedure.speciality and procedure.speciality != org.speciality:
        yield why(
            "not_competent_speciality",
            f"{procedure.zh}由专业调解组织（{procedure.speciality}）办理",
            f"{procedure.en} is conducted by a body of the speciality {procedure.speciality}",
            *basis,
        )
    if procedure.categories and step.case.category not in procedure.categories:
        yield why(
            "not_competent_category",
            f"{procedure.zh}不办理“{step.case.category.zh}”类纠纷",
            f"{procedure.en} does not take disputes of category {step.case.category}",
            *basis,
        )
    district = org.division.rstrip("0")
    if not (step.here.via or step.case.division.startswith(district) or district.startswith(step.case.division[:4])):
        yield why(
            "not_competent_place",
            "纠纷不发生在本单位所在地区",
            "The dispute did not arise in the district of this body",
            *basis,
        )


def mediable(step: Step) -> Reasons:
    """G2: something here may be taken by this procedure, no ground bars it, and it is not reserved (若干规定 22)."""
    procedure = step.procedure
    if procedure is None:
        return
    yield from barred(step, procedure)
    if isinstance(step.command, c.Accept) and step.command.variant is not Variant.ORDINARY and step.here.via:
        yield why(
            "variant_fixed",
            "移交来的案件，其程序形式由移交单位确定",
            "Its sender has fixed the form it is held in",
            "INV-27",
        )
    if step.here.beside:
        return
    offered = [step.case.claim(n) for n in (step.command.claims or step.here.claims)]
    if not any(claim.kind in procedure.claim_kinds for claim in offered) and step.case.claims:
        yield why(
            "reserved_by_law",
            "所涉事项依法由专门机关处理，不能由本程序受理",
            "The matter is reserved by law to an authority",
            "PMR-22",
        )
    if not procedure.decides and any(claim.what is ClaimWhat.IDENTITY for claim in offered):
        yield why(
            "identity_not_mediable",
            "确认婚姻等身份关系的事项不能调解",
            "Marriage, parentage and other identity relations cannot be mediated",
            "CPI-143",
        )


def recorded(step: Step) -> set[Circumstance]:
    """The circumstances on record in the case, and those that this step finds."""
    return {Circumstance(code) for code in (*step.case.circumstances, *getattr(step.command, "circumstances", ()))}


def barred(step: Step, procedure: Procedure) -> Reasons:
    """The grounds on which this procedure must refuse the case, or, once it is taken, to mediate it."""
    taking = step.here.state is LegState.FILED
    mediating = isinstance(step.command, c.Start | c.Settle)
    found = recorded(step)
    for ground in procedure.refuses:
        if ground.when in found and (taking if ground.at == Action.ACCEPT else mediating):
            yield why(
                f"barred_{ground.when}",
                f"{procedure.zh}：{ground.zh}",
                f"{procedure.en}: {ground.en}",
                ground.basis,
            )


def allowed_next(step: Step, link_up: LinkUp) -> Reasons:
    """G10: the dispute may go on from this procedure by this link-up."""
    procedure = step.procedure
    if procedure and procedure.next and link_up.value not in procedure.next:
        ways = [LinkUp(code) for code in procedure.next if code in {each.value for each in LinkUp}]
        yield why(
            "not_next",
            f"{procedure.zh}不能转{link_up.zh}；可以：{'、'.join(way.zh for way in ways)}",
            f"{procedure.en} does not go on by {link_up}; it does by: {', '.join(ways)}",
            *articles_of(procedure),
        )


def chain(step: Step, leg: Leg) -> set[int]:
    """The legs up the hand-off chain from a leg: its sender, that one's sender, and so on."""
    found: set[int] = set()
    while leg.via and leg.id not in found:
        found.add(leg.id)
        leg = step.case.leg(step.case.handoff(leg.via).from_leg)
    return found | {leg.id}


def rivals(step: Step) -> list[Leg]:
    """Other legs past `filed` that hold a claim this leg would take, those up its own chain excepted."""
    here = step.here
    mine, above = set(here.claims), chain(step, here)
    return [
        leg
        for leg in step.case.legs
        if leg.id != here.id and leg.taken and leg.id not in above and mine & set(leg.claims)
    ]


def no_rival(step: Step) -> Reasons:
    """G3: a peer is refused; court and arbitration displace mediation of civil claims, and yield only to each other.

    Procedures that exclude each other are peers in the whole case, not only on the same claims (医疗条例 31, 40).
    """
    procedure = step.procedure
    if procedure is None:
        return
    same = rivals(step)
    above = chain(step, step.here)
    for leg in step.case.legs:
        theirs = procedure_of(step, leg)
        if leg.id == step.here.id or leg.id in above or (procedure.displaces and not (theirs and theirs.displaces)):
            continue
        excluded = theirs and (theirs.id in procedure.excludes or procedure.id in theirs.excludes)
        if leg in same or (excluded and leg.taken and leg.claims):
            org = step.orgs.get(leg.org)
            name = org.name if org else ""
            said = f"已受理，{theirs.zh}与{procedure.zh}不能并行" if theirs and excluded else "正在办理同一诉求"
            said_en = f", and {theirs.en} excludes this" if theirs and excluded else " on the same claims"
            yield why(
                "rival_open",
                f"{name}（第{leg.id}程序段）{said}",
                f"Leg {leg.id} is open{said_en}",
                *_one_forum(procedure),
            )


_ELSEWHERE = frozenset(
    {
        Circumstance.HANDLED_ELSEWHERE,
        Circumstance.IN_LITIGATION,
        Circumstance.IN_ARBITRATION,
        Circumstance.MEDIATED_ELSEWHERE,
    }
)


def _one_forum(procedure: Procedure) -> tuple[str, ...]:
    """The articles by which this procedure leaves a dispute that another forum has taken."""
    own = dict.fromkeys(ground.basis for ground in procedure.refuses if ground.when in _ELSEWHERE)
    return tuple(own) or ("PMR-22", "PML-3")


def reasoned(step: Step) -> Reasons:
    """G16: words or a paper say why (岳阳 [Q]); a likely escalation is calmed first (若干规定 24)."""
    if not (step.command.text or step.command.documents):
        yield why(
            "no_reason",
            "须写明理由或附文书",
            "State the reason in words or attach the document",
            "PMR-24",
            needs="text",
        )
    at_risk = RISKS.index(step.case.risk) >= RISKS.index(Risk.ORANGE)
    if isinstance(step.command, c.Decline) and at_risk and not step.command.calmed:
        yield why("not_calmed", "纠纷可能激化，须先行疏导", "It may escalate: calm it first", "PMR-24", needs="calmed")


def not_final(step: Step) -> Reasons:
    """G18: not taken again on the same facts and reasons (信访 36)."""
    command = step.command
    if isinstance(command, c.Reopen):
        petition = any(leg.track is Track.PETITION for leg in step.case.legs)
        if step.case.final and petition and command.cause is not ReopenCause.NEW_FACT:
            yield why(
                "final",
                "复核意见为终结意见，同一事实和理由不再受理",
                "The petition is final: the same facts and reasons are not taken again",
                "PET-36",
            )


def case_closed(step: Step) -> Reasons:
    """G23: `review` and `appeal` need a decision to attack, an upheld complaint must be on record."""
    command = step.command
    if not isinstance(command, c.Reopen):
        return
    decided = any(leg.outcome == "decided" for leg in step.case.legs)
    if command.cause in {ReopenCause.REVIEW, ReopenCause.APPEAL} and not decided:
        yield why("nothing_decided", "尚无可复查或上诉的决定", "There is no decision to review", "PET-35")
    upheld = any(complaint.upheld for complaint in step.case.complaints)
    if command.cause is ReopenCause.COMPLAINT_UPHELD and not upheld:
        yield why("no_upheld_complaint", "没有成立的投诉", "No complaint was upheld", "INV-28")


def file(draft: Draft) -> None:
    """登记: header, parties, claims and the first leg; or, in an open case, a further leg."""
    step = draft.step
    command = cast("c.File", step.command)
    if not step.case.version:
        draft.header(
            number=step.case_number,
            category=command.category,
            division=command.division,
            channel=command.channel,
            request_on=(command.request_on or step.on).isoformat(),
            filed_by=step.actor.org,
            risk=command.risk,
            occurred_on=command.occurred_on.isoformat() if command.occurred_on else "",
            successor_of=str(command.successor_of or ""),
        )
        for party in command.parties:
            draft.add("parties", kind=party.kind, side=party.side, minor=party.is_minor(step.on))
        for claim in command.claim:
            by, against = sides(claim, command.parties)
            draft.add("claims", kind=claim.kind, what=claim.what, by=by, against=against, amount_fen=claim.amount_fen)
        for reference in command.refs:
            draft.add("refs", system=reference.system, number=reference.number)
    draft.find(command.circumstances, command.sensitive)
    procedure = chosen(step, step.org, command.procedure)
    claims = command.claims or [claim.id for claim in draft.case.claims if claim.state is ClaimState.OPEN]
    draft.notes["leg"] = draft.open_leg(step.org, procedure, claims)


def sides(claim: c.ClaimIn, parties: list[c.PartyIn]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Who claims and against whom; by default all applicants against all respondents."""
    by = tuple(claim.by) or tuple(n for n, p in enumerate(parties, 1) if p.side is Side.APPLICANT)
    return by, tuple(claim.against) or tuple(n for n, p in enumerate(parties, 1) if p.side is Side.RESPONDENT)


def chosen(step: Step, org: Organisation, named: str | None) -> Procedure:
    """The procedure named, or the body's own for the category. Raises Malformed when there is none."""
    category = getattr(step.command, "category", None) or step.case.category
    where = step.on.isoformat(), org.division
    if named:
        found = step.laws.procedure(named, *where)
    else:
        found = step.laws.default_procedure(org.kind, category, org.speciality, *where)
    if found is None or org.kind not in found.kinds:
        raise Malformed(
            why(
                "no_procedure",
                f"{org.kind.zh}没有可适用于“{category.zh}”纠纷的程序{named or ''}",
                f"A body of kind {org.kind} has no procedure {named or ''} for disputes of category {category}",
            )
        )
    return found


def accept(draft: Draft) -> None:
    """受理·立案: number and clocks; an `ends` sender lets go; court and arbitration displace rivals."""
    step = draft.step
    command, leg = cast("c.Accept", step.command), step.here
    if command.variant is not Variant.ORDINARY:
        draft.put("legs", leg.id, variant=command.variant)
    draft.find(command.circumstances)
    take_over(draft)
    draft.rouse(leg=leg.id)
    draft.put("legs", leg.id, number=command.number or step.case.number)
    if command.prepare:
        plan(draft, command.prepare)
    if step.role is Role.MEDIATOR and not leg.mediators:
        draft.put("legs", leg.id, mediators=(step.actor.person,))


def take_over(draft: Draft) -> None:
    """The leg is taken: by `accept`, or by settling on the spot."""
    step = draft.step
    leg, procedure = step.here, step.procedure
    named = step.command.claims
    if named:
        draft.put("legs", leg.id, claims=tuple(n for n in leg.claims if n in named))
    ran_out = [k.due_on for k in draft.case.clocks if k.leg == leg.id and k.expiry == Expiry.ACCEPT and k.going]
    day = max(ran_out) if step.role is Role.CLOCK and ran_out else draft.day  # deemed taken that day (复议法30)
    draft.put("legs", leg.id, accepted_on=day)
    for rival in rivals(step):
        mine = set(draft.leg(leg.id).claims) & set(rival.claims)
        draft.release(rival.id, {n for n in mine if draft.case.claim(n).kind is ClaimKind.CIVIL}, Outcome.DISPLACED)
    if leg.via and draft.case.handoff(leg.via).unanswered:
        _take_handoff(draft, draft.case.handoff(leg.via), leg)
    if procedure:
        draft.happens(Moment.ACCEPTED, leg=leg.id, on=day)
        draft.limit_report(leg.id)


def _take_handoff(draft: Draft, handoff: Handoff, leg: Leg) -> None:
    answered = handoff.owes == "number"
    state = HandoffState.ANSWERED if answered else HandoffState.TAKEN
    draft.move_handoff(handoff.id, state, **({"report": "number"} if answered else {}))
    if handoff.mode is Mode.ENDS:
        draft.follow_duty(handoff.from_leg, leg.id)
        sender = draft.leg(handoff.from_leg)
        if sender.open:
            draft.release(sender.id, handoff.claims or sender.claims, Outcome.HANDED_OFF)


def plan(draft: Draft, named: c.PlanIn) -> None:
    """四有: leader, handler and deadline; the plan's words are in the vault."""
    draft.put(
        "legs",
        draft.step.here.id,
        leader=str(named.leader),
        handler=str(named.handler),
        plan_due_on=named.due_on.isoformat(),
    )


def decline(draft: Draft) -> None:
    """不予受理: the leg ends, the parties know where else to go; the limitation stays interrupted."""
    draft.put("legs", draft.step.here.id, routes_told=True)
    draft.end(draft.step.here.id, Outcome.DECLINED)


def reopen(draft: Draft) -> None:
    """恢复: a new leg with fresh clocks, consents and mediators; no old leg moves."""
    step = draft.step
    command = cast("c.Reopen", step.command)
    org = step.orgs[str(command.org)] if command.org else step.org
    named = command.procedure
    if named is None and command.cause is ReopenCause.ENFORCEMENT:
        named = "enforcement"
    if named is None and command.cause is ReopenCause.REVIEW:
        reviewed = any(leg.procedure == "petition_review" for leg in step.case.legs)
        named = "petition_rereview" if reviewed else "petition_review"
    procedure = chosen(step, org, named)
    claims = command.claims or [claim.id for claim in step.case.claims]
    number = draft.open_leg(org, procedure, claims, agreement=command.agreement or 0)
    if command.cause is ReopenCause.ENFORCEMENT and command.agreement:
        draft.happens(Moment.ENFORCEMENT_ASKED, agreement=command.agreement)
    draft.notes["leg"] = number


EFFECTS = {
    Action.FILE: file,
    Action.ACCEPT: accept,
    Action.DECLINE: decline,
    Action.REOPEN: reopen,
}
