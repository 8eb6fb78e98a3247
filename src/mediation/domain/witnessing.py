"""What a witness answers to a checkpoint that it is asked to cosign (C2SP tlog-witness, add-checkpoint)."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from mediation.domain.checkpoints import Checkpoint, parse_addition, parse_checkpoint
from mediation.domain.errors import BadNote, BadProof
from mediation.domain.merkle import EMPTY, verify_consistency
from mediation.domain.notes import Note, Verifier, open_note, split_note


class Quorum(NamedTuple):
    """How many of these witnesses, by name, must have cosigned a checkpoint before it is published."""

    needed: int = 0
    witnesses: tuple[str, ...] = ()


NEWEST = Quorum()
"""Nobody's cosignature is waited for."""


class Verdict(NamedTuple):
    """The status to answer with; what was asked, once it is signed by its log; the size cosigned so far, for 409."""

    status: int
    checkpoint: Checkpoint | None = None
    size: int = 0
    note: Note | None = None


def consider(body: bytes, logs: Mapping[str, Sequence[Verifier]], last: Callable[[str], tuple[int, bytes]]) -> Verdict:
    """Whether to cosign what this request holds: 200 yes, once it has been recorded; everything else no.

    `logs`: the keys trusted for each origin. `last`: size and root of the latest checkpoint cosigned for an origin,
    size 0 if there is none; it must not change until the answer is recorded. 400 malformed, 404 a log not known,
    403 not signed by it, 409 not from the size cosigned so far, 422 not consistent with it.
    """
    try:
        old, hashes, note = parse_addition(body)
        text, _ = split_note(note)
        checkpoint = parse_checkpoint(text)
    except BadNote:
        return Verdict(400)
    if checkpoint.origin not in logs:
        return Verdict(404)
    try:
        opened = open_note(note, logs[checkpoint.origin])
    except BadNote:
        return Verdict(403)
    if old > checkpoint.size:
        return Verdict(400, checkpoint)
    size, root = last(checkpoint.origin)
    if old != size:
        return Verdict(409, checkpoint, size, opened)
    try:
        verify_consistency(size, checkpoint.size, hashes, root if size else EMPTY, checkpoint.root)
    except BadProof:
        return Verdict(422, checkpoint, size, opened)
    return Verdict(200, checkpoint, size, opened)
