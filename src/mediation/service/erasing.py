"""Erasure: a key is destroyed, with it all that it opens; the ledger is written first, so that no backup undoes it."""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from uuid_utils import uuid7

from mediation.domain.errors import Reason, Refused, StaleVersion
from mediation.domain.events import Event
from mediation.domain.facts import Case
from mediation.domain.registering import OPERATOR, Erase, Hand
from mediation.domain.vocabulary import CaseState, ErasureGround
from mediation.gateway.ledger import Ledger, Line
from mediation.store import bodies, privacy
from mediation.store.privacy import AsyncConnection, AsyncEngine, Whose


class Compared(NamedTuple):
    """Where ledger and database differ.

    `pending`: lines whose very keys are there all the same. `unnamed`: whose keys are gone and no line names, so that a
    backup would bring them back. `damaged`: how many lines cannot be read.
    """

    pending: list[Line]
    unnamed: list[Whose]
    damaged: int


class Replayed(NamedTuple):
    """Whose keys were destroyed again, as the ledger says; what it does not say (as in Compared)."""

    again: tuple[Whose, ...]
    unnamed: list[Whose]
    damaged: int


async def erase(
    engine: AsyncEngine, ledger: Ledger, hand: Hand, case: Case, subject: int, ground: ErasureGround
) -> Event | None:
    """Destroy the key of a party by number, or of the case's own text (0); None where it is gone already.

    The case must be over. Raises: Refused, with every reason; StaleVersion; BadLedger.
    """
    if reasons := list(_unfinished(case)):
        raise Refused(*reasons)
    whose = Whose(case.id, subject)
    async with privacy.erasing(engine, case.id, hand) as connection:
        if await privacy.version_of(connection, case.id) != case.version:
            raise StaleVersion
        wrapped = await privacy.key_of(connection, whose)
        if wrapped is None:
            return None
        line = Line(case.id, subject, _mark(wrapped), ground.value, hand.at)
        await asyncio.to_thread(ledger.write, line)
        return await _destroy(connection, whose, hand, ground.value)


async def compare(engine: AsyncEngine, ledger: Ledger) -> Compared:
    """What the ledger says beside what the database says. Raises: BadLedger."""
    read, damaged, _ = ledger.lines()
    keys = await privacy.keys_of(engine, [Whose(line.case, line.subject) for line in read]) if read else {}
    there = {whose: _mark(wrapped) for whose, wrapped in keys.items()}
    pending = [line for line in read if there.get(Whose(line.case, line.subject)) == line.key]
    named = Counter(whose for whose, _ in {(Whose(line.case, line.subject), line.key) for line in read})
    unnamed = Counter(await privacy.erased(engine)) - named
    return Compared(pending, list(unnamed.elements()), damaged)


async def replay(engine: AsyncEngine, ledger: Ledger) -> Replayed:
    """Destroy what the ledger says is destroyed: after a crash, or when a backup brought it back.

    A key that was made later for the same case, as for what was said in it since, is another one and stays.
    Raises: BadLedger.
    """
    lines, unnamed, damaged = await compare(engine, ledger)
    again = []
    for line in lines:
        whose = Whose(line.case, line.subject)
        async with privacy.erasing(engine, line.case) as connection:
            wrapped = await privacy.key_of(connection, whose)
            if wrapped is None or _mark(wrapped) != line.key:
                continue  # another process was first
            at = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
            await _destroy(connection, whose, Hand(OPERATOR, "", OPERATOR, at, str(uuid7())), line.ground)
            again.append(whose)
    return Replayed(tuple(again), unnamed, damaged)


async def _destroy(connection: AsyncConnection, whose: Whose, hand: Hand, ground: str) -> Event:
    await privacy.destroy(connection, whose)
    event = await bodies.note(connection, hand, Erase(case=whose.case, subjects=(whose.subject,), ground=ground))
    await privacy.note(connection, whose, event.event, datetime.fromisoformat(event.at))
    return event


def _mark(wrapped: bytes) -> str:
    return hashlib.sha256(wrapped).hexdigest()


def _unfinished(case: Case) -> Iterator[Reason]:
    """Why nothing of this case may be destroyed yet."""
    if case.state not in {CaseState.CLOSED, CaseState.ARCHIVED}:
        yield Reason(
            "case_open",
            f"案件尚未办结（{case.state.zh}），办案所需的个人信息不得删除",
            f"The case is open ({case.state.en}): what is needed to handle it is not destroyed",
        )
    for agreement in case.agreements:
        if agreement.unfinished:
            yield Reason(
                "agreement_unfinished",
                f"第{agreement.id}号协议尚待生效、履行或执行（{agreement.state.zh}）",
                f"Agreement {agreement.id} awaits effect, performance or enforcement ({agreement.state.en})",
            )
