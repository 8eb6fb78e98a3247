"""The bundle of a case: its whole history and the proof of every event, to be verified without this service."""

import asyncio
import io
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from importlib.resources import files
from typing import NamedTuple

from mediation.domain.bundling import (
    CHECKPOINT,
    HEAD,
    MANUAL,
    SCRIPT,
    VKEYS,
    Head,
    disclosure_path,
    event_path,
    parse_disclosure,
    proof_path,
)
from mediation.domain.checkpoints import Checkpoint, Proof
from mediation.domain.errors import BrokenTrail, Conflict, Reason
from mediation.domain.events import evolve, load, parse
from mediation.domain.facts import Case
from mediation.domain.merkle import leaf_hash
from mediation.domain.witnessing import NEWEST, Quorum
from mediation.gateway.keys import BadKeyFile
from mediation.gateway.logkeys import LogKey
from mediation.service.findings import Trust
from mediation.service.proofreading import verify_bundle
from mediation.store import dossiers
from mediation.store.dossiers import AsyncConnection, Placed, Stored, Viewer
from mediation.store.logbook import Logbook, Published

PATIENCE_S = 5.0
"""Seconds for which the last events of a case are waited for: so long it may take them to get under a checkpoint."""
_PAUSE_S = 0.2
_ONCE = (1980, 1, 1, 0, 0, 0)  # the first moment a zip can name: the same bundle is the same bytes whenever it is made
_UNIX = 3
_FILE, _PROGRAM = 0o100644, 0o100755

Reading = Callable[[], AbstractAsyncContextManager[AsyncConnection]]
"""Opens a transaction that sees one snapshot (repeatable read), through the door of whoever asks."""


class NotYetLogged(Conflict):
    """Not every event of the case is under a published checkpoint yet."""

    code = "not_yet_logged"
    zh = "案件最近的事件尚未写入签名日志：请稍后再试"
    en = "The last events of the case are not in the signed log yet: ask again in a moment"


class Dossier(NamedTuple):
    """A case's whole history as the published checkpoint holds it."""

    case_id: str
    events: tuple[bytes, ...]
    proofs: tuple[Proof, ...]
    published: Published
    stored: Stored

    def assert_whole(self) -> None:
        """Raises BrokenTrail, where the events are not all that the database itself says there were.

        The head says in the log's name that there are no others; whoever cut the tail may have left the case as it was.
        """
        case: Case | None = None
        for data in self.events:
            case = evolve(case, parse(data))
        if case != load(self.stored.facts) or self.stored.spans != len(self.events):
            raise _broken(
                "log_mismatch",
                f"案件 {self.case_id} 的{len(self.events)}个事件与其记录不符：请执行 mediation verify",
                f"The {len(self.events)} events of case {self.case_id} are not what its record says: run "
                "`mediation verify`",
            )

    def head(self, key: LogKey) -> str:
        """The signed head. Raises BadKeyFile, where this is not the key of the log."""
        origin = self.published.origin
        if key.origin != origin:
            raise BadKeyFile(
                zh=f"日志 {origin} 的密钥不在 {key.path}：请在持有密钥的机器上执行",
                en=f"The key of the log {origin} is not in {key.path}: do this where it is",
            )
        last = leaf_hash(self.events[-1])
        return Head(origin, self.case_id, len(self.events), last, self.published.size).signed(key.signer)


async def gather(  # whose, of what, by which checkpoint
    reading: Reading,
    case_id: str,
    key: LogKey,
    viewer: Viewer | None = None,
    *,
    quorum: Quorum = NEWEST,
    patience_s: float = PATIENCE_S,
) -> Dossier:
    """The history of a case and the proof of every event, all of one snapshot.

    So no other event of the case was in the tree of that checkpoint. `viewer` is who asks, unless it is the operator,
    for whom the whole feed is looked through for places that have lost their event.
    Raises NotFound; NotYetLogged, once the last events were waited for in vain; BadProof; BrokenTrail, where more was
    signed on this machine than the database holds.
    """
    deadline = time.monotonic() + patience_s
    while True:
        known = key.head()  # before the snapshot: what is signed after it is no rollback
        async with reading() as connection:
            placed = await dossiers.history(connection, case_id, viewer)
            book = Logbook(connection, quorum=quorum)
            await _assert_grown(connection, book, known, all_places=viewer is None)
            found = await _proved(book, case_id, placed, await dossiers.stored(connection, case_id))
        if found:
            return found
        if time.monotonic() >= deadline:
            raise NotYetLogged
        await asyncio.sleep(_PAUSE_S)


async def _assert_grown(
    connection: AsyncConnection, book: Logbook, known: Checkpoint | None, *, all_places: bool
) -> None:
    epochs = await book.epochs()
    newest = await book.published(epochs[0].origin, quorum=NEWEST) if epochs else None
    size = newest.size if newest else 0
    if known and (newest is None or (known.origin == newest.origin and known.size > size)):
        zh = f"数据库中的日志只有{size}条，而已签过{known.size}条：见 mediation log status"
        en = f"The log in the database has {size} leaves, but {known.size} were signed: see `mediation log status`"
        raise _broken("log_rollback", zh, en)
    if all_places and epochs and (lost := await dossiers.holes(connection, epochs[0].first_position, size)):
        zh, en = f"日志中{lost}个位置没有事件：请执行 mediation verify", f"{lost} places of the log have no event"
        raise _broken("log_mismatch", zh, f"{en}: run `mediation verify`")


def _broken(code: str, zh: str, en: str) -> BrokenTrail:
    return BrokenTrail(Reason(code, zh, en))


async def _proved(book: Logbook, case_id: str, placed: Sequence[Placed], stored: Stored) -> Dossier | None:
    epochs = await book.epochs()
    published = await book.published(epochs[0].origin) if epochs else None
    positions = [one.position for one in placed if one.position is not None]
    if published is None or len(positions) < len(placed):
        return None
    proofs = await book.proofs_of(positions)
    if len(proofs) < len(placed):
        return None
    return Dossier(case_id, tuple(one.data for one in placed), tuple(proofs[at] for at in positions), published, stored)


def pack(
    dossier: Dossier,
    key: LogKey,
    disclosures: Sequence[str] = (),
    progress: Callable[[int, int], None] | None = None,
) -> bytes:
    """The zip, verified. The same history under the same checkpoint is the same bytes.

    Of the `disclosures` those are in it whose digests the history holds. `progress` is told events verified and events
    in all. Raises BadKeyFile; BrokenTrail, where it does not verify: such a one must not leave the house.
    """
    data = _zipped(dossier, key, disclosures)
    reading = verify_bundle(io.BytesIO(data), Trust(key.verifiers), progress)
    if reading.failures:
        failure = reading.failures[0]
        zh, en = f"第{failure.seq}号事件：{failure.reason.zh}", f"event {failure.seq}: {failure.reason.en}"
        raise BrokenTrail(failure.reason, zh=zh, en=en)
    dossier.assert_whole()
    return data


def _zipped(dossier: Dossier, key: LogKey, disclosures: Sequence[str]) -> bytes:
    package = files("mediation") / "data"
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:  # compressed bytes vary with the library

        def put(path: str, data: bytes | str, mode: int = _FILE) -> None:
            entry = zipfile.ZipInfo(path, _ONCE)
            entry.create_system, entry.external_attr = _UNIX, mode << 16
            archive.writestr(entry, data)

        put(MANUAL, (package / MANUAL).read_bytes())
        put(SCRIPT, (package / SCRIPT).read_bytes(), _PROGRAM)
        put(VKEYS, key.vkeys)
        put(CHECKPOINT, dossier.published.note)
        put(HEAD, dossier.head(key))
        for seq, (event, proof) in enumerate(zip(dossier.events, dossier.proofs, strict=True), 1):
            put(event_path(seq), event)
            put(proof_path(seq), proof.text)
        for number, disclosure in enumerate(_held(dossier.events, disclosures), 1):
            put(disclosure_path(number), disclosure)
    return sink.getvalue()


def _held(events: Sequence[bytes], disclosures: Sequence[str]) -> Iterator[str]:
    """Those disclosures that belong to these events; a party's own stands before those of its fields."""
    if not disclosures:
        return
    known = {digest for data in events for digest in parse(data).sd}
    for text in disclosures:
        disclosure = parse_disclosure(text)
        if disclosure.digest in known:
            known.update(disclosure.inner)
            yield text
