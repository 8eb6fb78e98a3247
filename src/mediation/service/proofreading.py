"""The bundle of a case read offline: is this the whole history, in order, as the log signed it."""

import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from typing import BinaryIO

import msgspec

from mediation.domain.bundling import (
    CHECKPOINT,
    FOLDERS,
    HEAD,
    MANUAL,
    SCRIPT,
    SINGLE,
    VKEYS,
    disclosure_path,
    event_path,
    is_beside,
    open_head,
    parse_disclosure,
    parse_path,
    proof_path,
)
from mediation.domain.checkpoints import Checkpoint, Proof, epoch_of, parse_checkpoint, parse_proof
from mediation.domain.errors import BrokenTrail, Reason
from mediation.domain.events import LIMIT_BYTES, Event, evolve, parse
from mediation.domain.facts import Case
from mediation.domain.merkle import leaf_hash
from mediation.domain.notes import MOST_BYTES, split_note
from mediation.service.findings import Failure, Reading, Tally, Trust, broken, found, open_published

MOST_FILES = 100_000
MOST_BUNDLE_BYTES = 256 * 1024 * 1024
"""Of all files unpacked: a case of 10,000 events has a tenth of it."""

_STRANGE = (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError, NotImplementedError, RuntimeError, ValueError)
"""What `zipfile` raises on files that are no zips, encrypted, or of a compression unknown here."""
_FOLD = (msgspec.MsgspecError, LookupError, TypeError, ValueError)


class NotABundle(BrokenTrail):
    """The file is no zip, is larger than any bundle, or holds a name twice."""

    code = "not_a_bundle"
    zh = "不是卷宗包"
    en = "Not the bundle of a case"


def keys_inside(path: Path | BinaryIO) -> str:
    """The vkeys that a bundle brings itself, a line each: they show whose it says it is. Raises NotABundle, OSError."""
    return _Parcel(path).read(VKEYS, MOST_BYTES).decode("utf-8", "replace")


def verify_bundle(path: Path | BinaryIO, trust: Trust, progress: Callable[[int, int], None] | None = None) -> Reading:
    """Verify the bundle of a case: each event's place in the log, the chain, the fold, the head, what is disclosed.

    What else lies in the zip is named in `foreign`, and a program or manual there that is not the one installed here:
    whoever forges a bundle would bring his own. They say nothing of the history, and versions differ: no failure.
    `progress` is told events done and events in all. Raises NotABundle; BadNote, when a checkpoint in `trust` is not
    signed by a log it believes; OSError.
    """
    tally = Tally()
    parcel = _Parcel(path)
    foreign = tuple(parcel.foreign())
    if CHECKPOINT not in parcel.names:
        zh, en = "包的顶层没有 checkpoint", "There is no checkpoint at the top of the zip"
        tally.add(found("no_checkpoint", zh, en))
        return Reading("", 0, 0, 0, 0, (), (), tally.count, tuple(tally.named), foreign)
    opened = open_published(parcel.read(CHECKPOINT, MOST_BYTES), trust, tally)
    if opened is None:
        return Reading("", 0, 0, 0, 0, (), (), tally.count, tuple(tally.named), foreign)
    checkpoint, witnesses, kept = opened
    reader = _Reader(parcel, trust, checkpoint, tally)
    reader.run(progress)
    unproven = tuple(sorted(one.size for one in kept if one.size < checkpoint.size))
    counted = reader.events, int(reader.events > 0), reader.disclosures
    failed = tally.count, tuple(tally.named)
    return Reading(checkpoint.origin, checkpoint.size, *counted, witnesses, unproven, *failed, foreign)


class _Parcel:
    """The files of a zip, none of them read further than it may be long."""

    def __init__(self, path: Path | BinaryIO) -> None:
        try:
            self._zip = zipfile.ZipFile(path)
            infos = self._zip.infolist()
        except _STRANGE as error:
            raise NotABundle(Reason("not_a_zip", "不是 zip 文件", f"Not a zip file: {error}")) from error
        if len(infos) > MOST_FILES or sum(info.file_size for info in infos) > MOST_BUNDLE_BYTES:
            raise NotABundle(Reason("bundle_too_long", "卷宗包过大", "The bundle is larger than any can be"))
        self.names: set[str] = set()
        for info in infos:
            if info.filename in self.names:
                zh, en = f"文件 {info.filename} 出现两次", f"The file {info.filename} is in it twice"
                raise NotABundle(Reason("twice", zh, en))
            self.names.add(info.filename)
        self.names -= FOLDERS  # who zips an unpacked bundle again has an entry for each

    def foreign(self) -> Iterator[str]:
        """The files that nothing of the log vouches for, and that are not ours."""
        ours = files("mediation") / "data"
        for name in sorted(self.names):
            if name in {SCRIPT, MANUAL}:
                if self.read(name, MOST_BYTES) != (ours / name).read_bytes():
                    yield name
            elif name not in SINGLE and is_beside(name) and not name.endswith("/"):
                yield name

    def read(self, name: str, most: int) -> bytes:
        """The contents of a file; nothing, where it is not there, is broken or longer than it may be."""
        if name not in self.names:
            return b""
        try:
            with self._zip.open(name) as file:
                data = file.read(most + 1)
        except _STRANGE:
            return b""
        return data if len(data) <= most else b""


class _Reader:
    """One bundle, from its first event to its last."""

    def __init__(self, parcel: _Parcel, trust: Trust, checkpoint: Checkpoint, tally: Tally) -> None:
        self.events = 0
        self.disclosures = 0
        self._parcel, self._trust, self._checkpoint, self._tally = parcel, trust, checkpoint, tally
        self._case: Case | None = None
        self._named = ""  # the case that the head is of
        self._place = "", -1  # the tree that the event before stands in, and where
        self._passed: set[str] = set()
        self._digests: set[str] = set()

    def run(self, progress: Callable[[int, int], None] | None) -> None:
        """Read everything; after an event that does not follow, no other can."""
        total = sum((parse_path(name) or ("", 0))[0] == "events" for name in self._parcel.names)
        last = b""
        with suppress(BrokenTrail):
            head = self._parcel.read(HEAD, MOST_BYTES)
            self._named = open_head(head, self._trust.verifiers, self._checkpoint.origin).case_id
        while event_path(self.events + 1) in self._parcel.names:
            self.events += 1
            last = self._parcel.read(event_path(self.events), LIMIT_BYTES)
            if not self._event(self.events, last):
                return
            if progress:
                progress(self.events, total)
        self._head(leaf_hash(last))
        self._disclosed()
        for name in sorted(self._parcel.names):
            numbered = parse_path(name)
            most = self.disclosures if numbered and numbered[0] == "disclosures" else self.events
            if name not in SINGLE and not is_beside(name) and (numbered is None or numbered[1] > most):
                seq = numbered[1] if numbered and numbered[0] != "disclosures" else 0
                self._fail("extra_file", f"多余的文件 {name}", f"{name} is no part of the bundle", seq)

    def _event(self, seq: int, data: bytes) -> bool:
        leaf = leaf_hash(data)
        try:
            event = parse(data)
        except BrokenTrail as bad:
            self._tally.add(self._where(broken(bad.reasons[0].code, "事件", "The event", bad), seq))
            self._proven(seq, leaf, "")
            return False
        if not self._proven(seq, leaf, event.event):
            return False
        self._digests.update(event.sd)
        return self._folds(seq, event)

    def _proven(self, seq: int, leaf: bytes, event_id: str) -> bool:
        """Whether the event stands in the log, behind the one before it."""
        name = proof_path(seq)
        if name not in self._parcel.names:
            return self._fail("no_proof", "缺少日志证明", "Its proof is missing", seq, event_id)
        try:
            proof = parse_proof(self._parcel.read(name, MOST_BYTES).decode("utf-8", "replace"))
            if proof.extra:  # a tlog-proof may have it, but nothing signs it
                zh, en = "日志证明附有未经签名的内容", "Its proof brings data that nothing signs"
                return self._fail("not_in_log", zh, en, seq, event_id)
            if reason := self._of_this_log(proof):
                return self._fail(reason.code, reason.zh, reason.en, seq, event_id)
            under = proof.verify(leaf, self._trust.verifiers)
        except BrokenTrail as bad:
            zh, en = "与日志不符：内容被改动，或证明不是它的", "It is not in the log as it stands here"
            self._tally.add(self._where(broken("not_in_log", zh, en, bad), seq, event_id))
            return False
        if under.origin == self._checkpoint.origin and under[:3] != self._checkpoint[:3]:
            zh, en = "日志证明所依的不是本包的检查点", "Its proof is not under the checkpoint of this bundle"
            return self._fail("other_checkpoint", zh, en, seq, event_id)
        origin, at = self._place
        if under.origin != origin:  # an epoch is left for good, and after the newest there is none
            self._passed.add(origin)
            at = -1
        if proof.index <= at or not self._passed.isdisjoint({under.origin, self._checkpoint.origin}):
            zh, en = "在日志中排在前一事件之前", "It stands before the event before it in the log"
            return self._fail("wrong_order", zh, en, seq, event_id)
        self._place = under.origin, proof.index
        return True

    def _of_this_log(self, proof: Proof) -> Reason | None:
        """Why a proof cannot be of this log, or be verified: it is under neither its tree nor an earlier one of it."""
        origin, own = parse_checkpoint(split_note(proof.note)[0]).origin, self._checkpoint.origin
        if origin == own:
            return None
        (name, first), (named, last) = epoch_of(origin), epoch_of(own)
        if name != named or first >= last:
            return Reason("foreign_log", f"证明属于另一日志 {origin}", f"Its proof is of another log, {origin}")
        if not self._trust.of(origin):
            zh = f"还需要恢复之前的日志 {origin} 的公钥：请一并给出"
            en = f"The key of {origin}, the log before it began anew, is needed too: give every key published"
            return Reason("key_wanted", zh, en)
        return None

    def _folds(self, seq: int, event: Event) -> bool:
        if event.seq != seq:
            zh, en = "事件的序号不是它的位置", f"It says that it is number {event.seq}"
            return self._fail("does_not_follow", zh, en, seq, event.event)
        try:
            self._case = evolve(self._case, event)
        except BrokenTrail as bad:
            reason = bad.reasons[0]
            return self._fail(reason.code, reason.zh, reason.en, seq, event.event)
        except _FOLD as bad:
            return self._fail(
                "cannot_fold", f"事件无法折叠：{bad}", f"The event cannot be folded: {bad!r}", seq, event.event
            )
        return True

    def _head(self, last: bytes) -> None:
        """Compare the signed head: without it nobody can tell that the last events are there."""
        data = self._parcel.read(HEAD, MOST_BYTES)
        if not data:
            self._fail(
                "no_head", "缺少卷末凭证：无从得知卷宗是否完整", "The head is missing: nothing says that this is all"
            )
            return
        try:
            head = open_head(data, self._trust.verifiers, self._checkpoint.origin)
        except BrokenTrail as bad:
            zh, en = "卷末凭证", "The head"
            if bad.reasons[0].code == "unsigned":
                zh, en = f"{zh}（请给出公布的全部公钥）", f"{en} (give every key published)"
            self._tally.add(self._where(broken("bad_head", zh, en, bad), 0))
            return
        if head.size != self._checkpoint.size:
            zh, en = "卷末凭证与检查点不是同一时点", "The head is not of the same moment as the checkpoint"
            self._fail("stale_head", zh, en)
        elif self._case and head.case_id != self._case.id:
            self._fail("other_case", f"卷末凭证属于案件 {head.case_id}", f"The head is of the case {head.case_id}")
        elif head.seq > self.events:
            zh = f"共有{head.seq}个事件，包内只有{self.events}个"
            en = f"There were {head.seq} events, {self.events} are here: the tail is cut"
            self._fail("tail_cut", zh, en, self.events + 1)
        elif (head.seq, head.leaf) != (self.events, last):
            zh, en = "不是卷末凭证所载的末一事件", "It is not the last event that the head names"
            self._fail("wrong_head", zh, en, self.events)

    def _disclosed(self) -> None:
        """Compare what is disclosed: each holds a value whose digest an event has, or a party that was disclosed."""
        while disclosure_path(self.disclosures + 1) in self._parcel.names:
            self.disclosures += 1
            number = self.disclosures
            text = self._parcel.read(disclosure_path(number), MOST_BYTES).decode("utf-8", "replace")
            try:
                disclosure = parse_disclosure(text)
            except BrokenTrail as bad:
                zh, en = f"第{number}号明文", f"Disclosure {number}"
                self._tally.add(self._where(broken("bad_disclosure", zh, en, bad), 0))
                continue
            if disclosure.digest not in self._digests:
                zh, en = f"第{number}号明文：摘要不在任何事件中", f"Disclosure {number}: no event holds its digest"
                self._fail("bad_disclosure", zh, en)
                continue
            self._digests.update(disclosure.inner)

    def _fail(self, code: str, zh: str, en: str, seq: int = 0, event_id: str = "") -> bool:
        self._tally.add(self._where(found(code, zh, en), seq, event_id))
        return False

    def _where(self, failure: Failure, seq: int, event_id: str = "") -> Failure:
        case = self._case
        return failure._replace(
            case_id=case.id if case else self._named,
            number=case.number if case else "",
            seq=seq,
            event_id=event_id,
            origin=self._checkpoint.origin,
        )
