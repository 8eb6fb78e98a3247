"""Merging 并案: a dispute that was filed twice becomes one case, in which each party and each claim stands once."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, cast

from msgspec import structs

from mediation.domain import access
from mediation.domain import commands as c
from mediation.domain.draft import Draft
from mediation.domain.errors import Malformed, Reason
from mediation.domain.facts import Case, Claim
from mediation.domain.reasons import TOO_LONG, why
from mediation.domain.steps import Step
from mediation.domain.vocabulary import (
    Action,
    AgreementState,
    ClaimState,
    ClaimWhat,
    HandoffState,
    LegState,
    Mode,
    Outcome,
)

PAPERS_PASSED = 12
PARTIES_PASSED = 50
"""As many as any command may name."""


class Passage(NamedTuple):
    """What parties and claims of the other case are here: their numbers here, by their numbers there."""

    parties: dict[int, int]
    claims: dict[int, int]


def mergeable(step: Step) -> Iterator[Reason]:
    """G22: the survivor has absorbed this case at this version; a body under a duty to decide does not merge away."""
    command, other = step.command, step.other
    if other is None or other.id == step.case.id:
        yield why("no_other_case", "另一案件不存在或不可见", "The other case does not exist or is not visible", "OUR-1")
        return
    if isinstance(command, c.Absorb) and other.version != command.version:
        yield why("other_moved_on", "被并案件已有新的记录", "The other case has moved on", "OUR-1")
    if isinstance(command, c.Merge):
        if step.case.id not in other.absorbed or other.absorbed_version != step.case.version:
            yield why(
                "not_absorbed", "存续案件尚未按此版本并入本案", "The survivor has not absorbed this version", "OUR-1"
            )
        if step.here.decides:
            yield why("owes_decision", "本单位负有作出决定的职责", "This body owes a decision of its own", "OUR-1")


def passage(case: Case, other: Case, known: Sequence[int]) -> Passage:
    """The numbers that parties and claims of the other case have in this one, once it has absorbed them.

    `known` says of each party of the other case, in order, which party of this one it is, 0 for none; whoever has an
    heir here stands as that heir, whoever left here but not there comes again. Who is not known is numbered after the
    last, in order. A claim is known by its kind, object and amount and its people: all of them are in the claim here
    already, or both claims are open, with a person in common on each side, and the others join. Each claim here stands
    for one there, so that absorbing a case twice adds nothing.
    """
    parties: dict[int, int] = {}
    last = len(case.parties)
    for party, number in zip(other.parties, [*known, *[0] * len(other.parties)], strict=False):
        here = _heir(case, number)
        if not here or (case.parties[here - 1].left and not party.left):
            last += 1
            here = last
        parties[party.id] = here
    claims: dict[int, int] = {}
    free, last = list(case.claims), len(case.claims)
    joinable = {claim.id for claim in case.claims if claim.state is ClaimState.OPEN} - _pending(case)
    for claim in other.claims:
        wanted = _renumbered(claim, parties)
        twin = next((mine for mine in free if _within(wanted, mine)), None)
        if twin is None and claim.state is ClaimState.OPEN:
            twin = next((mine for mine in free if mine.id in joinable and _akin(wanted, mine)), None)
        if twin is None:
            last += 1
        else:
            free.remove(twin)
        claims[claim.id] = twin.id if twin else last
    return Passage(parties, claims)


def merge_into(draft: Draft) -> None:
    """并案: this leg ends; the survivor carries on.

    The claims stay in this case as they stand, held by no leg that ended: they are counted in the survivor, and a case
    that says `merged_into` is counted no more. An entrustment or notice is answered `merged`; the result of a transfer
    is still reported from the ended leg, as a hand-off ties two legs of one case and cannot move to another.
    """
    command = cast("c.Merge", draft.step.command)
    draft.header(merged_into=str(command.into))
    draft.end(draft.step.here.id, Outcome.MERGED)


def absorb(draft: Draft) -> None:
    """并入: the earliest request day, parties, claims, a paper of each kind and what restricts who sees them pass over.

    `parties_as` and `claims_as` give, for those of the other case in order, their numbers here; `owed` the hand-offs of
    the other case on which its bodies still owe a report, which they go on owing there (see `merge_into`).
    Raises Malformed when more than 50 parties would come.
    """
    step = draft.step
    other = step.other
    if other is None:
        raise LookupError(step.command)
    request_on = min(filter(None, (step.case.request_on, other.request_on)), default="")
    draft.header(absorbed=(*step.case.absorbed, other.id), absorbed_version=other.version, request_on=request_on)
    draft.find((), access.sensitive(other))
    passed = passage(step.case, other, draft.notes.get("parties_as", ()))
    _pass_parties(draft, other, passed)
    _pass_claims(draft, other, passed)
    draft.notes["parties_as"] = list(passed.parties.values())
    draft.notes["claims_as"] = list(passed.claims.values())
    owed = [handoff.id for handoff in other.handoffs if handoff.state is HandoffState.TAKEN and handoff.live]
    if owed:
        draft.notes["owed"] = owed
    held = {document.kind for document in step.case.documents}
    passing = {document.kind: document for document in reversed(other.documents) if document.kind not in held}
    for document in list(passing.values())[:PAPERS_PASSED]:  # an event has its limit; the rest stay in the case named
        draft.add("documents", kind=document.kind, sha256=document.sha256, ref=document.ref, leg=step.here.id)


def _pass_parties(draft: Draft, other: Case, passed: Passage) -> None:
    before = len(draft.step.case.parties)
    coming = [party for party in other.parties if passed.parties[party.id] > before]
    if len(coming) > PARTIES_PASSED:
        raise Malformed(TOO_LONG)
    for party in coming:
        draft.add(
            "parties",
            kind=party.kind,
            side=party.side,
            minor=party.minor,
            left=party.left,
            represented_by=passed.parties.get(party.represented_by, 0),
            successor_of=passed.parties.get(party.successor_of, 0),
        )


def _pass_claims(draft: Draft, other: Case, passed: Passage) -> None:
    before = len(draft.step.case.claims)
    elsewhere = _dealt_with(other)
    taken: list[int] = []
    for claim in other.claims:
        here, wanted = passed.claims[claim.id], _renumbered(claim, passed.parties)
        if here <= before:
            mine = draft.case.claim(here)
            by, against = _joined(mine.by, wanted.by), _joined(mine.against, wanted.against)
            if (by, against) != (mine.by, mine.against):
                draft.put("claims", here, by=by, against=against)
            continue
        facts = structs.asdict(wanted)
        del facts["id"]
        draft.add("claims", **facts)
        if _takes(draft.step, claim) and claim.id not in elsewhere:
            taken.append(here)
    if taken:
        leg = draft.leg(draft.step.here.id)
        draft.put("legs", leg.id, claims=(*leg.claims, *taken))


def _dealt_with(other: Case) -> set[int]:
    """Claims that a body of the other case is under a duty to decide, or that an agreement there awaits adoption on."""
    deciding = {number for leg in other.legs if leg.taken and leg.decides for number in leg.claims}
    return deciding | _pending(other)


def _pending(case: Case) -> set[int]:
    return {n for a in case.agreements if a.state is AgreementState.PENDING for n in a.claims}


def _takes(step: Step, claim: Claim) -> bool:
    """Whether the leg that absorbs can deal with a claim; one that no leg takes stands open for a further leg.

    A settled leg has nothing open, one beside another or on behalf of another has its own errand, and one that is
    being handed on hands on what it had.
    """
    leg, procedure, held = step.here, step.procedure, step.case.holding(step.here.id)
    entrusted = bool(leg.via) and step.case.handoff(leg.via).mode is Mode.WAITS
    leaving = held is not None and held.mode is Mode.ENDS
    if procedure is None or leg.beside or entrusted or leaving or leg.state is LegState.SETTLED:
        return False
    mediable = procedure.decides or claim.what is not ClaimWhat.IDENTITY
    return claim.state is ClaimState.OPEN and claim.kind in procedure.claim_kinds and mediable


def _heir(case: Case, number: int) -> int:
    for party in case.parties:  # an heir is numbered after whom it succeeds
        if number and party.successor_of == number:
            number = party.id
    return number


def _renumbered(claim: Claim, parties: dict[int, int]) -> Claim:
    by, against = (tuple(dict.fromkeys(parties[n] for n in side)) for side in (claim.by, claim.against))
    return structs.replace(claim, by=by, against=against)


def _within(wanted: Claim, mine: Claim) -> bool:
    everybody = set(wanted.by) <= set(mine.by) and set(wanted.against) <= set(mine.against)
    return everybody and _akin(wanted, mine)


def _akin(wanted: Claim, mine: Claim) -> bool:
    about = (mine.kind, mine.what, mine.amount_fen) == (wanted.kind, wanted.what, wanted.amount_fen)
    sides = ((wanted.by, mine.by), (wanted.against, mine.against))
    return about and all(set(theirs) & set(ours) or not (theirs or ours) for theirs, ours in sides)


def _joined(ours: tuple[int, ...], theirs: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(dict.fromkeys((*ours, *theirs)))


EFFECTS = {Action.MERGE: merge_into, Action.ABSORB: absorb}
