"""What a verifier goes by, and what it finds: keys, checkpoints it kept, and each failure with its place."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from mediation.domain.checkpoints import Checkpoint, open_checkpoint
from mediation.domain.errors import BadNote, MediationError, Reason
from mediation.domain.notes import SignatureKind, Verifier, split_note

MOST_FAILURES = 100
"""Failures named in a report; more are only counted."""


class Failure(NamedTuple):
    """The first event of a case that fails, and how. `seq` 0: not an event but the row of the case.

    The log of administration is named by its id, and its row is the registry. What concerns no case has no `case_id`.
    `position` is that in the feed, 0 where it does not matter; `access` the entry of the access log; `origin` the tree.
    """

    case_id: str
    number: str
    seq: int
    event_id: str
    reason: Reason
    position: int = 0
    access: int = 0
    origin: str = ""


class Trust(NamedTuple):
    """What a verifier brings: the keys of logs and witnesses that it believes, and checkpoints it has from elsewhere.

    `kept` are notes: one that was written down earlier, or that a witness gave. What is verified must grow out of them.
    """

    verifiers: tuple[Verifier, ...] = ()
    kept: tuple[str, ...] = ()

    def of(self, origin: str) -> tuple[Verifier, ...]:
        """The keys by which the log of this origin signs itself."""
        return tuple(key for key in self.verifiers if key.name == origin and key.kind is SignatureKind.ED25519)

    def checkpoints(self) -> list[Checkpoint]:
        """The kept checkpoints. Raises BadNote when one is not signed by a log that is believed."""
        return [open_checkpoint(note, self.verifiers)[0] for note in self.kept]


class Tally:
    """The failures so far: all are counted, the first of them named."""

    def __init__(self) -> None:
        self.count = 0
        self.named: list[Failure] = []

    def add(self, *failures: Failure) -> None:
        self.count += len(failures)
        self.named.extend(failures[: max(0, MOST_FAILURES - len(self.named))])

    def extend(self, others: Iterable[Failure]) -> None:
        self.add(*others)


def found(code: str, zh: str, en: str, **where: str | int) -> Failure:
    """A failure that concerns the log, or the place in it that `where` says."""
    fields: dict[str, Any] = where
    return Failure("", "", 0, "", Reason(code, zh, en))._replace(**fields)


def broken(code: str, zh: str, en: str, error: MediationError, **where: str | int) -> Failure:
    """A failure that says why it is one."""
    return found(code, f"{zh}：{error.zh}", f"{en}: {error.en}", **where)


class Reading(NamedTuple):
    """What was verified offline: of which log, its size, what there was of it, who cosigned, and what failed.

    `cases` and `entries` (events, or entries of the access log) are 0 where a log was exported without its entries.
    `unproven`: sizes of kept checkpoints that nothing here relates to the one verified. `foreign`: files of a bundle
    that nothing vouches for: a program or manual that is not the one installed here, what was put beside it.
    """

    origin: str
    size: int
    entries: int
    cases: int
    disclosures: int
    witnesses: tuple[str, ...]
    unproven: tuple[int, ...]
    failed: int
    failures: tuple[Failure, ...]
    foreign: tuple[str, ...] = ()

    @property
    def sound(self) -> bool:
        return not self.failed


def _signers(note: bytes) -> list[str]:
    """Who says to have signed a note, by name and key id."""
    return [f"{one.name}+{one.key_id.hex()}" for one in split_note(note)[1]]


def open_published(
    note: bytes, trust: Trust, tally: Tally
) -> tuple[Checkpoint, tuple[str, ...], list[Checkpoint]] | None:
    """The checkpoint that all else is verified against, the witnesses that cosigned it, and the kept ones of its log.

    None when its log is not believed. Every trusted witness must have cosigned it, and it is older than no kept one.
    """
    try:
        checkpoint, opened = open_checkpoint(note, trust.verifiers)
    except BadNote as bad:
        failure = broken("bad_checkpoint", "检查点", "The checkpoint", bad)
        if bad.reasons[0].code == "unsigned":  # it may be that a key is lacking: whose signatures there are
            names = ", ".join(_signers(note))
            zh = f"{failure.reason.zh}：有签名的是 {names}，请给出该日志公布的全部公钥（包括停用的）"
            en = f"{failure.reason.en}: those on it are of {names}; give every key published, retired ones too"
            failure = failure._replace(reason=failure.reason._replace(zh=zh, en=en))
        tally.add(failure)
        return None
    origin = checkpoint.origin
    signers = {(one.name, one.key_id) for one in opened.signatures}
    witnesses = []
    for key in trust.verifiers:
        if key.kind is not SignatureKind.COSIGNATURE:
            continue
        if (key.name, key.key_id) in signers:
            witnesses.append(key.name)
        else:
            zh, en = f"见证人 {key.name} 没有副署该检查点", f"The witness {key.name} has not cosigned the checkpoint"
            tally.add(found("not_cosigned", zh, en, origin=origin))
    kept = []
    for one in trust.checkpoints():
        if one.origin != origin:
            zh = f"你持有的检查点属于日志 {one.origin}，而不是 {origin}"
            en = f"The checkpoint that was kept is of the log {one.origin}, not of {origin}"
            tally.add(found("foreign_log", zh, en, origin=origin))
        elif one.size > checkpoint.size:
            zh = f"检查点只有{checkpoint.size}条，而你持有的有{one.size}条：它已陈旧，或日志被截断"
            en = f"The checkpoint is of {checkpoint.size} leaves, one of {one.size} was kept: it is stale, or was cut"
            tally.add(found("stale_checkpoint", zh, en, origin=origin))
        elif one.size == checkpoint.size and one.root != checkpoint.root:
            zh, en = (
                f"{one.size}条的日志有两个根：历史有两个版本",
                f"Two roots for {one.size} leaves: the log was forked",
            )
            tally.add(found("log_fork", zh, en, origin=origin))
        else:
            kept.append(one)
    return checkpoint, tuple(witnesses), kept
