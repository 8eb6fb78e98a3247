"""Cosignatures are collected: of every checkpoint that was signed, from every witness that answers.

Nobody waits for a witness: whoever is away is asked again, ever more seldom, until it has what it missed.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from contextlib import suppress

from mediation.domain.checkpoints import Addition, Checkpoint
from mediation.domain.errors import BrokenTrail, MediationError
from mediation.domain.notes import Verifier
from mediation.gateway.logkeys import LogKeys
from mediation.gateway.witnesses import Answered, Bench, Witness, WitnessAway, witnesses
from mediation.settings import Settings
from mediation.store import cosignatures, leaves
from mediation.store.database import connect
from mediation.store.leaves import Connection, Log, Signed
from mediation.store.logbook import Logbook

SOONEST_S = 0.2
LATEST_S = 60.0
"""Between two attempts at a witness that is away: at first, and at most."""

_PAUSE_S = 5.0
_TRIES = 2  # the first may only tell what size the witness has seen
_log = logging.getLogger(__name__)


class QuorumAway(MediationError):
    """Fewer witnesses answer than make a checkpoint published: what they have seen cannot be known."""

    code = "quorum_away"
    zh = "应答的见证方不足法定数"
    en = "Fewer witnesses answer than the quorum needs"


class Cosigners:
    """The witnesses of both logs. `log_url` is the log's door; `offer` never waits and never fails."""

    def __init__(
        self, log_url: str, keys: LogKeys, witnesses: Sequence[Witness], quorum: int = 0, bench: Bench | None = None
    ) -> None:
        self._url = log_url
        self._logs: dict[str, tuple[Log, tuple[Verifier, ...]]] = {
            **{one.name: ("events", keys.events.verifiers) for one in keys.events.verifiers},
            **{one.name: ("access", keys.access.verifiers) for one in keys.access.verifiers},
        }
        self._witnesses = tuple(witnesses)
        self._quorum = quorum
        self._bench = bench or Bench()
        self._seen: dict[
            tuple[str, str], int
        ] = {}  # by witness and origin: the size it has cosigned, as far as we know
        self._resting: dict[
            tuple[str, str], tuple[float, float]
        ] = {}  # until when, and for how long, one is left alone
        self._wanted: dict[str, asyncio.Event] = {}
        self._rounds: dict[str, asyncio.Task[None]] = {}

    async def known(self, origin: str) -> list[Checkpoint]:
        """The newest checkpoint that each witness has cosigned of a log, signed by the log and by it.

        A witness that has seen nothing gives none. Raises QuorumAway: fewer of them answer than the quorum.
        """
        found = await self.told(origin)
        answered = {name: told for name, told in found.items() if not isinstance(told, WitnessAway)}
        for told in found.values():
            if isinstance(told, WitnessAway):
                _log.warning("a witness does not say what it has seen: %s", told.en)
        if len(answered) < self._quorum:
            zh = f"{QuorumAway.zh}：{len(answered)}/{self._quorum}"
            raise QuorumAway(zh=zh, en=f"{QuorumAway.en}: {len(answered)} of {self._quorum}")
        return [told for told in answered.values() if told is not None]

    async def told(self, origin: str) -> dict[str, Checkpoint | WitnessAway | None]:
        """What each witness says by its name: its newest checkpoint of a log, None for none; or why it does not."""
        _, log = self._logs[origin]

        async def one(witness: Witness) -> Checkpoint | WitnessAway | None:
            try:
                return await self._bench.newest(witness, origin, log)
            except WitnessAway as away:
                return away

        answers = await asyncio.gather(*map(one, self._witnesses))
        for witness, answer in zip(self._witnesses, answers, strict=True):
            if isinstance(answer, Checkpoint):
                self._seen[witness.name, origin] = answer.size
        return {witness.name: answer for witness, answer in zip(self._witnesses, answers, strict=True)}

    async def offer(self, origin: str) -> None:
        """See to it that the newest checkpoint of a log is offered to every witness; returns at once."""
        if not self._witnesses:
            return
        self._wanted.setdefault(origin, asyncio.Event()).set()
        running = self._rounds.get(origin)
        if running is None or running.done():
            self._rounds[origin] = asyncio.create_task(self._collect(origin))

    async def collected(self) -> None:
        """Wait until every witness has cosigned all that was offered."""
        await asyncio.gather(*self._rounds.values())

    async def close(self) -> None:
        """Give up what is under way, and every connection."""
        for task in self._rounds.values():
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await self._bench.close()

    async def _collect(self, origin: str) -> None:
        """Until no witness lacks the newest checkpoint, whatever fails meanwhile."""
        while self._wanted[origin].is_set():
            try:
                async with await connect(self._url) as connection:
                    await self._rounds_of(connection, origin)
            except Exception as failed:  # noqa: BLE001  # the database is away, or the log broken: the sequencer says which
                _log.warning("cosignatures wait: %s", type(failed).__name__)
                self._wanted[origin].set()
                await asyncio.sleep(_PAUSE_S)

    async def _rounds_of(self, connection: Connection, origin: str) -> None:
        """Rounds, each for one checkpoint, the newest: asked for several, the witnesses would make a quorum of none."""
        wanted = self._wanted[origin]
        pause: float | None = 0.0
        while wanted.is_set() or pause is not None:
            wanted.clear()
            pause = await self._round(connection, origin)
            if pause is not None:
                with suppress(TimeoutError):
                    await asyncio.wait_for(wanted.wait(), pause)
            await asyncio.sleep(SOONEST_S)  # a few checkpoints are signed a second: one of them is enough

    async def _round(self, connection: Connection, origin: str) -> float | None:
        """Ask whoever has not cosigned the newest checkpoint and is not resting: seconds till the next is due."""
        newest = await leaves.last_signed(connection, origin)
        if newest is None:
            return None
        have = await cosignatures.cosigned(connection, origin, newest.size)
        lacking = [one for one in self._witnesses if one.name not in have]
        now, reading = time.monotonic(), asyncio.Lock()
        due = [one for one in lacking if self._resting.get((one.name, origin), (0.0, 0.0))[0] <= now]
        granted = await asyncio.gather(*(self._ask(connection, reading, one, origin, newest) for one in due))
        left = [one for one in lacking if one not in due or not granted[due.index(one)]]
        now = time.monotonic()
        return min((max(self._resting[one.name, origin][0] - now, SOONEST_S) for one in left), default=None)

    async def _ask(
        self, connection: Connection, reading: asyncio.Lock, witness: Witness, origin: str, newest: Signed
    ) -> bool:
        """Whether a witness has cosigned this checkpoint, and it is stored; if not, it rests."""
        place = witness.name, origin
        try:
            answered = await self._answered(connection, reading, witness, origin, newest)
        except (WitnessAway, BrokenTrail) as found:
            rest = min(max(2 * self._resting.get(place, (0.0, 0.0))[1], SOONEST_S), LATEST_S)
            self._resting[place] = time.monotonic() + rest, rest
            _log.warning("no cosignature: %s", found.en)
            return False
        self._resting.pop(place, None)
        self._seen[place] = newest.size
        async with reading:
            await cosignatures.add(connection, origin, newest.size, witness.name, answered.lines)
        return True

    async def _answered(
        self, connection: Connection, reading: asyncio.Lock, witness: Witness, origin: str, newest: Signed
    ) -> Answered:
        """The cosignature of a witness; asked again from the size that it says it has seen. Raises WitnessAway."""
        log, _ = self._logs[origin]
        old = self._seen.get((witness.name, origin), 0)
        for _ in range(_TRIES):
            if old > newest.size:
                break
            async with reading:
                proof = await Logbook(connection, log).consistency(origin, old, newest.size)
            answered = await self._bench.ask(witness, Addition(old, tuple(proof), newest.note))
            if answered.lines:
                return answered
            self._seen[witness.name, origin] = old = answered.size
        raise WitnessAway(
            zh=f"见证方 {witness.name} 已见到{old}条，本检查点为{newest.size}条",
            en=f"The witness {witness.name} has seen {old} leaves, this checkpoint has {newest.size}",
        )


def cosigners_of(settings: Settings, log_url: str, keys: LogKeys) -> Cosigners:
    """The cosigners that the settings name; whoever asks for them closes them."""
    return Cosigners(log_url, keys, witnesses(settings.witnesses), settings.quorum)
