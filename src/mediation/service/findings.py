"""What a verifier goes by, and what it finds: keys, checkpoints it kept, and each failure with its place."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from mediation.domain.checkpoints import Checkpoint, open_checkpoint
from mediation.domain.errors import MediationError, Reason
from mediation.domain.notes import SignatureKind, Verifier

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
