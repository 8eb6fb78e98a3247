"""The clock at work: periods that ran out become steps of the actor `clock`, by the same corridor as any other step."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from heapq import heappop, heappush
from typing import NamedTuple

from uuid_utils import uuid7

from mediation.domain.clocks import division_of, due_of, terms
from mediation.domain.commands import Command, Correct, Recall, Return
from mediation.domain.errors import Conflict, MediationError
from mediation.domain.events import Event, evolve
from mediation.domain.facts import Case, Instant, Organisation
from mediation.domain.lapsing import lapses, wake_at
from mediation.domain.laws import Laws
from mediation.domain.vocabulary import ClockState
from mediation.service.perform import House, Request, perform
from mediation.store.append import CLOCK, Context
from mediation.store.database import AWAY

AT_ONCE = 8
"""Steps that are taken at the same time; the pool has a connection for each, and one for the lock."""

_PAGE = 500
_MOST_STEPS = 50  # of one case in one sweep, attempts counted: none has so many clocks
_PATIENCE = 16  # cases that are lost to the database, until it is taken to be away
_log = logging.getLogger(__name__)


class Swept(NamedTuple):
    """What a sweep did: how many `cases` it looked at, and the steps it took by their action.

    `refused` steps became an alarm, which is counted among those taken; `left` are cases that could not be dealt with,
    which the next sweep looks at again. `elsewhere`: another sweep was under way, and this one did nothing.
    """

    cases: int = 0
    taken: dict[str, int] = {}  # noqa: RUF012  never written to
    refused: int = 0
    left: int = 0
    elsewhere: bool = False


async def sweep(house: House, at: Instant = "", *, told: Callable[[], None] | None = None) -> Swept:
    """Take the steps that the clocks of all cases ask for by now, the earliest due first.

    Of several sweeps at once one works; and as a step is taken on the very version of the case for which it was found,
    two could not take it twice. `at`, of a sandbox, goes before now; `told` is called whenever a case is done with.
    Raises: one of AWAY, where the database is away; what was taken until then stays taken.
    """
    async with house.memory.alone("mediation.sweep") as ours:
        return await _Sweep(house, at, told).run() if ours else Swept(elsewhere=True)


async def recount(house: House, at: Instant = "") -> int | None:
    """Count anew, once for each set of laws, every last day still to come: how many cases this changed.

    A notice makes the provisional days of its year final, and may give the last days of December, or by a later one
    any day, another length.

    None where it was done for these laws already, or is being done. Whatever fails is tried again by the next.
    """
    digest, memory = house.laws.digest, house.memory
    async with memory.alone("mediation.recount") as ours:
        if not ours or await memory.recounted() == digest:
            return None
        changed, after, orgs = 0, "", dict[str, Organisation]()
        while True:
            page = await memory.counting(after, _PAGE)
            orgs |= await memory.organisations({body for case in page for body in case.named} - orgs.keys())
            cases = [case for case in page if _miscounted(house.laws, case, orgs)]
            for start in range(0, len(cases), AT_ONCE):
                batch = cases[start : start + AT_ONCE]
                changed += sum(await asyncio.gather(*(_recount(house, case, at) for case in batch)))
            if len(page) < _PAGE:
                break
            after = page[-1].id
        await memory.note_recount(digest)
        return changed


class _Sweep:
    """Cases in the order in which they fell due, each taken by whichever of several tasks is free."""

    def __init__(self, house: House, at: Instant, told: Callable[[], None] | None) -> None:
        self._house, self._at, self._told = house, at, told
        self._until = at or _now()
        self._waiting: list[tuple[Instant, str, int, Case]] = []  # a heap: since when, id, attempts so far
        self._read: tuple[Instant, str] = ("", "")  # how far the database has been read
        self._whole = False  # it has been read to the end
        self._turn = asyncio.Lock()
        self._orgs: dict[str, Organisation] = {}
        self._away: Exception | None = None
        self._lost = 0
        self._seen, self._refused, self._left, self._taken = 0, 0, 0, Counter[str]()

    async def run(self) -> Swept:
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(self._work())
        if self._away:
            raise self._away
        return Swept(self._seen, dict(self._taken), self._refused, self._left)

    async def _work(self) -> None:
        try:
            while found := await self._next():
                case, attempts = found
                after = await self._tried(case) if attempts < _MOST_STEPS else None
                if after is None:
                    self._left += 1
                    _log.warning("case %s is left to the next sweep", case.id)
                elif await self._again(after, attempts + 1):
                    continue
                if self._told:
                    self._told()
        except AWAY as error:
            self._away = error

    async def _next(self) -> tuple[Case, int] | None:
        """The earliest case, in memory or in the database; None when there is none, or no database."""
        async with self._turn:
            while not (self._whole or self._away or (self._waiting and self._waiting[0][:2] <= self._read)):
                await self._read_on()
            if self._away or not self._waiting:
                return None
            _, _, attempts, case = heappop(self._waiting)
            return case, attempts

    async def _read_on(self) -> None:
        page = await self._house.memory.waking(self._until, self._read if self._read[0] else None, _PAGE)
        bodies = {leg.org for case in page for leg in case.legs} - self._orgs.keys()
        if bodies:
            self._orgs |= await self._house.memory.organisations(bodies)
        self._whole = len(page) < _PAGE
        self._seen += len(page)
        for case in page:
            heappush(self._waiting, (wake_at(case), case.id, 0, case))
        if page:
            self._read = wake_at(page[-1]), page[-1].id

    async def _again(self, case: Case, attempts: int) -> bool:
        """Whether a case has more to come: then it waits in its place among the others."""
        due = wake_at(case)
        if not due or due > self._until:
            return False
        async with self._turn:
            if self._whole or (due, case.id) <= self._read:  # else it will be read when its turn comes
                heappush(self._waiting, (due, case.id, attempts, case))
        return True

    async def _tried(self, case: Case) -> Case | None:
        """As `_step`; what nobody has thought of must not keep the other cases from their due."""
        try:
            return await self._step(case)
        except Exception as error:
            if isinstance(error, AWAY):
                self._lost += 1
                if self._lost > _PATIENCE:
                    raise
            _log.error("case %s: %s", case.id, type(error).__name__)  # its words may hold a row's values
            return None

    async def _step(self, case: Case) -> Case | None:
        """Take the first step that a case asks for: the case afterwards; None where not even its alarm was raised."""
        asked = lapses(case, self._until, self._orgs)
        for command in (asked[0].command, asked[0].alarm) if asked else ():
            try:
                event = await _perform(self._house, case, command, self._at)
            except Conflict:
                return await self._found(case)
            except MediationError as refused:
                now = await self._found(case)
                if now is None or now.version != case.version:
                    return now
                codes = ", ".join(reason.code for reason in refused.reasons) or refused.code
                _log.warning("case %s: the clock may not %s: %s", case.id, command.action, codes)
                self._refused += 1
            else:
                self._taken[event.action] += 1
                return evolve(case, event)
        return None

    async def _found(self, case: Case) -> Case | None:
        """The case as it stands by now."""
        seen = await self._house.memory.read_case(_context(case, case.holder), case.id)
        self._orgs |= seen.orgs
        return seen.case


async def _recount(house: House, case: Case, at: Instant) -> bool:
    """Count the days of a case anew: whether one of them is another, or no longer provisional."""
    while True:
        seen = await house.memory.read_case(_context(case, case.holder), case.id)
        if seen.case is None:
            return False
        case = seen.case
        wrong = _miscounted(house.laws, case, seen.orgs)
        if not wrong:
            return False
        leg = case.leading or case.legs[-1]
        try:
            await _perform(house, case, Correct(action="correct", leg=leg.id, clocks=wrong), at)
        except Conflict:
            continue
        except MediationError as refused:  # one case must not keep the others from their count
            _log.warning("case %s: not counted anew: %s", case.id, refused.code)
            return False
        return True


def _miscounted(laws: Laws, case: Case, orgs: Mapping[str, Organisation]) -> list[int]:
    """The running clocks of a case that are counted otherwise under these laws, but for final days that have passed."""
    wrong = []
    for clock in case.clocks:
        open_still = clock.state is ClockState.RUNNING and (clock.provisional or not clock.alarmed)
        if open_still and clock.rule:
            due = due_of(laws, clock, terms(laws, clock, division_of(case, clock, orgs)))
            if due != (clock.due_at or clock.due_on, clock.provisional):
                wrong.append(clock.id)
    return wrong


async def _perform(house: House, case: Case, command: Command, at: Instant) -> Event:
    """A step of the clock, on this very version of the case."""
    match command:
        case Return(handoff=number):
            org = case.handoff(number).to_org
        case Recall(handoff=number):
            org = case.handoff(number).from_org
        case _:
            org = case.leg(command.leg).org if command.leg else case.holder
    request = Request(_context(case, org), at or _now(), if_version=case.version)
    return await perform(house, request, case.id, command)


def _context(case: Case, org: str) -> Context:
    """The clock, acting for a body that may read the case."""
    return Context(CLOCK, org if org in case.named else case.holder, str(uuid7()))


def _now() -> Instant:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
