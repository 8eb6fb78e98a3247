"""Every change to every case, by person, court system or clock, is one call of `perform`."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from uuid_utils import uuid7

from mediation.domain import access
from mediation.domain.commands import Absorb, Command, File, Merge
from mediation.domain.decision import Digests, World, named_orgs, permit, settle_on
from mediation.domain.errors import Conflict, GuardRefused, KeyReused, NotFound, Reason, StaleVersion
from mediation.domain.events import Event, evolve
from mediation.domain.facts import Actor, Case, Instant
from mediation.domain.laws import Laws
from mediation.domain.merging import passage
from mediation.domain.plausible import named_people
from mediation.domain.vocabulary import Power, Sensitivity, Side
from mediation.gateway.vault import ERASED, TEXT, Passing, Sealed, SealedStep, Vault, split_code
from mediation.store.append import Context, Filing, Memory, Replay, SealedRow, Seen

__all__ = ["Context", "House", "Request", "instant", "perform"]

DUPLICATE_DAYS = 30
_TRIES = 3
_SHANGHAI = ZoneInfo("Asia/Shanghai")


class House(NamedTuple):
    """What the corridor stands on."""

    memory: Memory
    laws: Laws
    vault: Vault


class Request(NamedTuple):
    """One request: who asks, when (server's clock), under which idempotency key, about which version of the case.

    `fingerprint` is a keyed hash of what the key is bound to; `key` is empty for none, `if_version` None where the
    caller need not know the case.
    """

    context: Context
    at: Instant
    key: str = ""
    fingerprint: bytes = b""
    if_version: int | None = None


async def perform(house: House, request: Request, case_id: str | None, command: Command) -> Event:
    """Take a step, or open a case (`case_id` None): the event, durable before anyone hears of it.

    Raises, in this order: NotPermitted and OrganisationRequired (no standing at all), NotFound, KeyReused,
    NotPermitted and Malformed, StaleVersion, ActionUnavailable and GuardRefused; KeyInFlight and StaleVersion when
    somebody else was first.
    """
    if case_id is not None or not isinstance(command, File) or command.case_code is None:
        return await _step(house, request, case_id, command)
    try:
        found = await _case_of(house, request.context, command.case_code)
    except GuardRefused:  # who may not file at all is told that alone, whether the code is right or wrong
        seen = await house.memory.read_case(request.context)
        permit(None, command, seen.actor, request.at, World(house.laws, seen.orgs))
        raise
    request = request._replace(context=_showing(request.context, command.case_code))
    for _ in range(_TRIES - 1):  # who shows a case code names no version, so a conflict is no news to them
        try:
            return await _step(house, request, found, command)
        except StaleVersion:
            continue
    return await _step(house, request, found, command)


async def _step(house: House, request: Request, case_id: str | None, command: Command) -> Event:
    context, memory = request.context, house.memory
    seen = await memory.read_case(context, case_id, request.key, named_orgs(command))
    case = seen.case
    if case is None and case_id is not None:
        raise NotFound
    if seen.replay:
        return _replayed(request, seen.replay)
    at = instant(request.at, case)
    people = named_people(command)
    known = await memory.bodies_of(people) if people else {}
    world = World(house.laws, seen.orgs, people=known)
    step = permit(case, command, seen.actor, at, world)
    if case and request.if_version not in {None, case.version}:
        raise StaleVersion
    other = await _other(house, request, command)
    world, step = world._replace(other=other), step._replace(other=other)
    target = case_id or str(uuid7())
    blinds: Sequence[bytes] = ()
    if case is None and isinstance(command, File):
        blinds = [house.vault.blind_of(party) for party in command.parties]
        filing = await _filing(house, request, seen, command, at, blinds)
        number = f"{seen.orgs[seen.actor.org].code}-{_shanghai(at).year}-{filing.number:06}"
        world = world._replace(case_number=number, similar=filing.similar)
        step = step._replace(case_number=number)
    same, passing = await _passing(house, request.context, seen.actor, command, case, other)
    sealed = house.vault.seal(target, command, case, seen.text_key, passing, blinds)
    world = world._replace(known=same)
    decision = settle_on(step, world._replace(digests=Digests(sealed.parties, sealed.others)))
    event = decision.event(case, event_id=str(uuid7()), case_id=target, request_id=context.request)
    try:
        await memory.write_step(
            context,
            seen.actor,
            event,
            event.canonical,
            case,
            evolve(case, event),
            sealed=_rows(sealed),
            key=request.key,
            fingerprint=request.fingerprint,
        )
    except Conflict:
        # Perhaps it was this very request, sent twice: then its answer is there by now.
        again = await memory.read_case(context, None, request.key) if request.key else None
        if again is None or again.replay is None:
            raise
        return _replayed(request, again.replay)
    return event


def instant(now: Instant, case: Case | None) -> Instant:
    """The instant of a step: now, but never at or before the case's previous event."""
    if case is None or now > case.at:
        return now
    later = datetime.fromisoformat(case.at) + timedelta(microseconds=1)
    return later.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _replayed(request: Request, replay: Replay) -> Event:
    if replay.fingerprint != request.fingerprint:
        raise KeyReused
    return replay.event


async def _other(house: House, request: Request, command: Command) -> Case | None:
    """The other case that a command names, as far as the caller may see it or shows its case code.

    One that is absorbed gives its people away, and so is for who may be shown plain values in it.
    """
    match command:
        case Merge(into=other, case_code=code) | Absorb(case=other, case_code=code):
            context = request.context
            if code is not None and await _case_of(house, context, code) == str(other):
                context = _showing(context, code)
            seen = await house.memory.read_case(context, str(other))
            return seen.case if isinstance(command, Merge) or _may_open(seen, shown=bool(context.shown)) else None
        case File(successor_of=other) if other is not None:
            return (await house.memory.read_case(request.context, str(other))).case
        case _:
            return None


def _may_open(seen: Seen, *, shown: bool) -> bool:
    if seen.case is None:
        return False
    stands = access.standing(seen.case, seen.actor, seen.orgs, shown=shown)
    allowed = access.permitted(Power.DISCLOSE, seen.actor, stands, fewer=access.restricted(seen.case))
    return Sensitivity.PLAIN in allowed


async def _passing(
    house: House, context: Context, actor: Actor, command: Command, case: Case | None, other: Case | None
) -> tuple[tuple[int, ...], Passing | None]:
    """Which party here each one of an absorbed case is (0 for none), and what passes over sealed.

    People are known by their blind index, so that nobody is opened who is here already; who and what will be is noted
    in the log of access to the other case first, under its own numbers.
    """
    if not isinstance(command, Absorb) or case is None or other is None or other.version != command.version:
        return (), None
    ours = [row for row in await house.memory.sealed(context, actor, case.id) if row.blind]
    shown = context if command.case_code is None else _showing(context, command.case_code)
    theirs = [Sealed(*row) for row in await house.memory.sealed(shown, actor, other.id) if row.name != ERASED]
    people = {row.subject: row for row in theirs if row.subject != TEXT}
    present = {party.id for party in case.present}
    here = {row.blind: row.subject for row in sorted(ours, key=lambda row: row.subject in present)}
    known = tuple(here.get(people[party.id].blind, 0) if party.id in people else 0 for party in other.parties)
    passed = passage(case, other, known)
    coming = {number: people.get(there) for there, number in passed.parties.items() if number > len(case.parties)}
    claims = {there: number for there, number in passed.claims.items() if number > len(case.claims)}
    words = [row for row in theirs if row.subject == TEXT]
    opening = [f"parties.{there}" for there, number in passed.parties.items() if number in coming]
    opening += [f"claims.{there}.text" for there in claims]
    if opening:
        await house.memory.disclose(shown, actor, "absorb", other.id, "absorb", opening)
    return known, Passing(other.id, coming, words, claims)


def _showing(context: Context, code: str) -> Context:
    """The same caller, who has shown a case code that was found to be right."""
    return context._replace(shown=split_code(code))


async def _case_of(house: House, context: Context, code: str) -> str:
    number = split_code(code)
    case_id = await house.memory.case_numbered(context, number) if number else None
    if case_id is None or not house.vault.opens(code, case_id, number):
        raise GuardRefused(Reason("bad_case_code", "案件码无效", "This is no case code"))
    return case_id


async def _filing(
    house: House, request: Request, seen: Seen, command: File, at: Instant, blinds: Sequence[bytes]
) -> Filing:
    local = _shanghai(at)
    sides: dict[Side, Sequence[bytes]] = {
        side: [blind for party, blind in zip(command.parties, blinds, strict=True) if party.side is side]
        for side in (Side.APPLICANT, Side.RESPONDENT)
    }
    return await house.memory.prepare_filing(
        request.context,
        seen.actor,
        local.year,
        command.division or "",
        local - timedelta(days=DUPLICATE_DAYS),
        (sides[Side.APPLICANT], sides[Side.RESPONDENT]),
    )


def _rows(sealed: SealedStep) -> list[SealedRow]:
    return [SealedRow(*row) for row in sealed.rows]


def _shanghai(at: Instant) -> datetime:
    return datetime.fromisoformat(at).astimezone(_SHANGHAI)
