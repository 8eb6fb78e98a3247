"""Records and overlays 记录: parties, notes, corrections, risk, charge, listing, complaints, visits and the archive."""

from collections.abc import Iterator
from typing import cast

from mediation.domain import commands as c
from mediation.domain.clocks import is_over, is_warning, terms, warning_after
from mediation.domain.draft import Draft
from mediation.domain.errors import Malformed, Reason
from mediation.domain.reasons import why
from mediation.domain.steps import Step
from mediation.domain.vocabulary import (
    Action,
    AgreementState,
    ClaimState,
    ClockState,
    LegState,
    Letter,
    Moment,
    NoteKind,
    PartyChange,
    Role,
)

Reasons = Iterator[Reason]
MANY = 10
"""人数众多: generally ten or more on one side (民诉法解释 75)."""


def party_change_complete(step: Step) -> Reasons:
    """G35: the change names whom it is about (民诉法 56, 153–154)."""
    command = step.command
    if not isinstance(command, c.ChangeParties):
        return
    lacking = {
        "join": not command.join,
        "leave": not command.parties,
        "represent": not (command.parties and command.representative),
        "succeed": not (command.join and command.parties),
    }
    if lacking[command.change.value]:
        yield why("change_incomplete", "变更要素不全", "The change does not say whom it is about", "CPL-153")
    if command.change is PartyChange.REPRESENT and command.representative:
        sides = {party.id: party.side for party in step.case.present}
        many = sum(side is sides.get(command.representative) for side in sides.values())
        if many < MANY:
            yield why(
                "too_few_to_represent",
                f"推选代表人限一方{MANY}人以上，该方现有{many}人",
                f"A side elects a representative from {MANY} parties on; this one has {many}",
                "CPL-56",
                "CPI-75",
            )


def not_listed(step: Step) -> Reasons:
    """G36: one listing per body."""
    if any(listing.org == step.actor.org and not listing.lifted for listing in step.case.listings):
        yield why("already_listed", "本单位已挂牌", "This body has listed it already", "SCQ-54")


def liftable(step: Step) -> Reasons:
    """G37: listed by this body, and performed or decided."""
    case = step.case
    if not any(listing.org == step.actor.org and not listing.lifted for listing in case.listings):
        yield why("not_listed_by_you", "本单位未挂牌", "This body has not listed it", "SCQ-54")
    performed = any(agreement.state is AgreementState.PERFORMED for agreement in case.agreements)
    open_or_due = any(agreement.unfinished for agreement in case.agreements)
    decided = any(claim.state is ClaimState.DECIDED for claim in case.claims)
    if open_or_due or not (performed or decided):
        yield why("not_yet_performed", "尚未履行或作出决定，不得摘牌", "Not yet performed or decided", "SCQ-54")


def complaint_open(step: Step) -> Reasons:
    """G38: there is such a complaint, and it awaits an answer."""
    command = step.command
    if isinstance(command, c.Answer) and not any(
        complaint.id == command.complaint and not complaint.answered for complaint in step.case.complaints
    ):
        yield why("no_open_complaint", "没有待答复的该投诉", "There is no such unanswered complaint", "REG-13")


def urged(step: Step) -> Reasons:
    """G39: the clock named goes on; the clock itself speaks only of one that asks for it."""
    command = step.command
    if isinstance(command, c.Urge) and command.clock is not None:
        clock = next((clock for clock in step.case.clocks if clock.id == command.clock), None)
        if clock is None or not clock.going:
            yield why("no_such_clock", "该期限不在计时中", "This clock is not running", "OUR-3")
        elif step.role is Role.CLOCK and (clock.alarmed or not (is_over(clock, step.at) or is_warning(clock, step.at))):
            yield why(
                "clock_only_lapses", "时钟只在期限届满或临近时提醒", "The clock only speaks of what is due", "OUR-3"
            )


def urge(draft: Draft) -> None:
    """催办; the clock's own: a reminder before the day, and an alarm once it has passed. A lost right is lost."""
    step = draft.step
    command = cast("c.Urge", step.command)
    clock = next((clock for clock in draft.case.clocks if clock.id == command.clock), None)
    if clock is None or step.role is not Role.CLOCK:
        return
    if clock.rule:
        draft.basis.append(clock.rule)
    if is_over(clock, step.at):
        right = bool(clock.agreement and clock.rule)
        draft.put("clocks", clock.id, warn_on="", **({"state": ClockState.LAPSED} if right else {"alarmed": True}))
    else:
        rule = terms(step.laws, clock, draft.place_of(clock))
        draft.put("clocks", clock.id, warn_on=warning_after(rule, clock.due_on, draft.day))


def countable(step: Step) -> Reasons:
    """G40: its handlers say what the case is, what bars a procedure and who may see it; what is counted anew goes on.

    The clock corrects nothing else. Categories and places restrict who sees a case (access.sensitive) as words do.
    """
    command = step.command
    holds = any(leg.open and leg.org == step.actor.org for leg in step.case.legs)
    found_here = holds or step.letter is Letter.SUPERIOR
    found = getattr(command, "circumstances", None) or getattr(command, "sensitive", None)
    if found and not found_here:
        yield why(
            "not_handling",
            "只有正在办理的单位可记录查明的情形",
            "Only a body that handles it records what bars it, or who may see it",
            "OUR-4",
        )
    if not isinstance(command, c.Correct):
        return
    if step.role is Role.CLOCK and not command.clocks:
        yield why("clock_only_counts", "时钟只重新计算期限", "The clock only counts clocks anew", "OUR-3")
    facts = (command.circumstances, command.sensitive, command.category, command.division, command.occurred_on)
    if any(fact is not None for fact in facts) and not found_here:
        yield why(
            "not_handling",
            "只有正在办理的单位可更正类型、区划、发生日期和查明的情形",
            "Only a body that handles it corrects what and where it is, what bars it, or who may see it",
            "OUR-4",
        )
    going = {clock.id for clock in step.case.clocks if clock.going and clock.rule}
    if set(command.clocks) - going:
        yield why("no_such_clock", "该期限不在计时中", "This clock is not running", "OUR-3", needs="clocks")


def nothing(draft: Draft) -> None:
    """The event itself is the record."""


def change_parties(draft: Draft) -> None:
    """当事人变更: who joins has not consented yet; an heir takes the place of who left."""
    command, case = cast("c.ChangeParties", draft.step.command), draft.case
    known = {party.id for party in case.parties}
    if {*command.parties, command.representative or 1} - known:
        raise Malformed(why("no_such_party", "当事人编号不存在", "There is no such party"))
    heir_of = command.parties[0] if command.change is PartyChange.SUCCEED else 0
    joined = [
        draft.add(
            "parties", kind=party.kind, side=party.side, minor=party.is_minor(draft.step.on), successor_of=heir_of
        )
        for party in command.join
    ]
    for number in command.parties:
        if command.change is PartyChange.REPRESENT:
            draft.put("parties", number, represented_by=command.representative or 0)
        elif command.change in {PartyChange.LEAVE, PartyChange.SUCCEED}:
            draft.put("parties", number, left=True)
    if heir_of and joined:
        for claim in case.claims:
            by = tuple(joined[0] if n == heir_of else n for n in claim.by)
            against = tuple(joined[0] if n == heir_of else n for n in claim.against)
            if (by, against) != (claim.by, claim.against):
                draft.put("claims", claim.id, by=by, against=against)


def note(draft: Draft) -> None:
    """记录: a file note counts once another person has countersigned it."""
    command, step = cast("c.Note", draft.step.command), draft.step
    if command.kind is NoteKind.FILE_NOTE and command.countersigned_by:
        if str(command.countersigned_by) == step.actor.person:
            raise Malformed(why("same_signer", "情况说明须由另一人会签", "Another person must countersign", "FRM"))
        draft.header(statement=True)
    draft.find(command.circumstances, command.sensitive)
    moment = _STARTS.get(command.kind)
    if moment and step.leg and step.leg.org == step.actor.org and step.leg.state in _WHERE.get(moment, _OPEN):
        if moment is Moment.INJURY_APPRAISED and step.leg.sessions:
            return  # its session has been held
        on = command.on.isoformat() if command.on else draft.day
        since = step.leg.accepted_on or step.leg.filed_on
        draft.happens(moment, leg=step.leg.id, on=max(on, since))


_STARTS = {
    NoteKind.CONTACT_ATTEMPT: Moment.CONTACTED,
    NoteKind.TREATMENT_ENDED: Moment.TREATMENT_ENDED,
    NoteKind.LOSS_FIXED: Moment.LOSS_FIXED,
    NoteKind.FUNERAL_ENDED: Moment.FUNERAL_ENDED,
    NoteKind.DISABILITY_RATED: Moment.DISABILITY_RATED,
    NoteKind.INJURY_APPRAISED: Moment.INJURY_APPRAISED,
    NoteKind.REPLIED: Moment.REPLIED,
    NoteKind.CORRECTION_ASKED: Moment.CORRECTION_ASKED,
    NoteKind.CORRECTED: Moment.CORRECTED,
}
_OPEN = frozenset({LegState.ACCEPTED, LegState.MEDIATING, LegState.SUSPENDED, LegState.DECIDING})
_FILED = frozenset({LegState.FILED})
_WHERE = {
    Moment.CONTACTED: _FILED | _OPEN,
    Moment.CORRECTION_ASKED: _FILED,
    Moment.CORRECTED: _FILED,
    Moment.INJURY_APPRAISED: frozenset({LegState.MEDIATING}),
}
"""Where a fact moves a clock: before acceptance, while the matter is being dealt with, or as the rule says."""


def correct(draft: Draft) -> None:
    """更正: header facts anew; the earlier event stays as it is."""
    command = cast("c.Correct", draft.step.command)
    facts = {
        "category": command.category,
        "division": command.division,
        "occurred_on": command.occurred_on.isoformat() if command.occurred_on else None,
        "circumstances": None if command.circumstances is None else tuple(sorted(set(command.circumstances))),
        "sensitive": None if command.sensitive is None else tuple(sorted(set(command.sensitive))),
    }
    changed = {name: value for name, value in facts.items() if value is not None}
    if changed:
        draft.header(**changed)
    for reference in command.refs:
        draft.add("refs", system=reference.system, number=reference.number)
    for number in command.clocks:
        draft.recount(number)
        draft.basis.append(draft.case.clocks[number - 1].rule)


def grade_risk(draft: Draft) -> None:
    """定级."""
    draft.header(risk=cast("c.GradeRisk", draft.step.command).risk)
    if draft.step.leg:
        draft.happens(Moment.RISK_GRADED, leg=draft.step.leg.id)


def take_charge(draft: Draft) -> None:
    """包案."""
    draft.header(leader=str(cast("c.TakeCharge", draft.step.command).leader or draft.step.actor.person))


def supervise(draft: Draft) -> None:
    """挂牌."""
    number = draft.add("listings", org=draft.step.actor.org, on=draft.day)
    draft.add("clocks", owed="tracking", listing=number, from_on=draft.day)


def lift(draft: Draft) -> None:
    """摘牌."""
    for listing in draft.case.listings:
        if listing.org == draft.step.actor.org and not listing.lifted:
            draft.put("listings", listing.id, lifted=True)
            draft.stop_tracking(listing.id)


def complain(draft: Draft) -> None:
    """投诉."""
    number = draft.add("complaints", leg=draft.step.here.id, on=draft.day)
    draft.notes["complaint"] = number
    draft.happens(Moment.COMPLAINED, leg=draft.step.here.id, complaint=number)


def answer(draft: Draft) -> None:
    """答复."""
    command = cast("c.Answer", draft.step.command)
    draft.put("complaints", command.complaint, answered=True, upheld=command.upheld)
    about = draft.case.complaints[command.complaint - 1].leg
    draft.happens(Moment.ANSWERED, leg=about, complaint=command.complaint)


def follow_up(draft: Draft) -> None:
    """回访: 人和."""
    draft.header(reconciled=cast("c.FollowUpVisit", draft.step.command).finding.value)


def archive(draft: Draft) -> None:
    """归档: nothing more; later facts go to a successor case that names this one."""
    draft.header(archived=True)


EFFECTS = {
    Action.CHANGE_PARTIES: change_parties,
    Action.NOTE: note,
    Action.CORRECT: correct,
    Action.GRADE_RISK: grade_risk,
    Action.TAKE_CHARGE: take_charge,
    Action.URGE: urge,
    Action.SUPERVISE: supervise,
    Action.LIFT: lift,
    Action.COMPLAIN: complain,
    Action.ANSWER: answer,
    Action.FOLLOW_UP: follow_up,
    Action.ARCHIVE: archive,
    Action.RECORD_UNDISPUTED: nothing,
}
