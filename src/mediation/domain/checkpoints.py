"""Checkpoints of a log, proofs that carry one, what is sent to a witness (C2SP tlog-checkpoint, -proof, -witness)."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from mediation.domain.errors import BadNote, BadProof, Reason
from mediation.domain.merkle import HASH_BYTES, MOST_LEAVES, verify_inclusion
from mediation.domain.notes import Note, SignatureKind, Verifier, decode64, encode64, open_note

MOST_HASHES = 63
"""As many as a proof in a tree of 2**63 leaves can have, and as a witness takes (tlog-witness)."""

_PROOF = "c2sp.org/tlog-proof@v1"
_EXTRA = "extra "
_EPOCH = re.compile(r"/epoch-([1-9][0-9]{0,17})\Z")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_LEAST_LINES = 3


def epoch_of(origin: str) -> tuple[str, int]:
    """The name that all epochs of a log have, and the position of this one's first leaf; 1 of the first."""
    found = _EPOCH.search(origin)
    return (origin[: found.start()], int(found[1])) if found else (origin, 1)


class Checkpoint(NamedTuple):
    """The head of a log: whose, how many leaves, their root; opaque lines that the log may add."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The note text that is signed."""
        return "".join(f"{line}\n" for line in (self.origin, self.size, encode64(self.root), *self.extensions))


class Proof(NamedTuple):
    """A leaf's place in a log: its index, the hashes to the root, the signed checkpoint; `extra` is not vouched for."""

    index: int  # type: ignore[assignment]  # the specification's word; nobody looks for a value in a proof
    hashes: tuple[bytes, ...]
    note: str
    extra: bytes = b""

    @property
    def text(self) -> str:
        """The tlog-proof file."""
        extra = f"{_EXTRA}{encode64(self.extra)}\n" if self.extra else ""
        return f"{_PROOF}\n{extra}index {self.index}\n{_lines(self.hashes)}\n{self.note}"

    def verify(self, leaf: bytes, verifiers: Iterable[Verifier], origin: str = "") -> Checkpoint:
        """The checkpoint under which this leaf hash stands at `index`.

        Raises BadNote when the checkpoint is not signed by its log, BadProof when the leaf is not under its root.
        """
        checkpoint, _ = open_checkpoint(self.note, verifiers, origin)
        verify_inclusion(leaf, self.index, checkpoint.size, self.hashes, checkpoint.root)
        return checkpoint


class Addition(NamedTuple):
    """What a log sends to a witness: the size it knows, the proof from there, the new checkpoint (add-checkpoint)."""

    old: int
    hashes: tuple[bytes, ...]
    note: str

    @property
    def text(self) -> str:
        """The body of the request."""
        return f"old {self.old}\n{_lines(self.hashes)}\n{self.note}"


def parse_checkpoint(text: str) -> Checkpoint:
    """The checkpoint of a note's text; BadNote when it is malformed."""
    *lines, end = text.split("\n")
    if end or len(lines) < _LEAST_LINES or not all(lines) or _CONTROL.search(text):
        raise BadNote(Reason("not_a_checkpoint", "不是有效的检查点", "Not a checkpoint"))
    return Checkpoint(lines[0], _number(lines[1]), _hash(lines[2]), tuple(lines[3:]))


def open_checkpoint(note: str | bytes, verifiers: Iterable[Verifier], origin: str = "") -> tuple[Checkpoint, Note]:
    """The checkpoint of a note that its own log signed: with an Ed25519 key whose name is the origin.

    Witnesses alone do not make a checkpoint: they vouch for what the log has said. `origin` refuses every other log.
    Raises BadNote.
    """
    known = list(verifiers)
    opened = open_note(note, known)
    checkpoint = parse_checkpoint(opened.text)
    if origin and checkpoint.origin != origin:
        zh, en = f"检查点属于另一日志 {checkpoint.origin}", f"The checkpoint is another log's, {checkpoint.origin}"
        raise BadNote(Reason("foreign_log", zh, en))
    of_logs = {(key.name, key.key_id) for key in known if key.kind is SignatureKind.ED25519}
    if not any(one.name == checkpoint.origin and (one.name, one.key_id) in of_logs for one in opened.signatures):
        raise BadNote(Reason("unsigned", "检查点没有日志自己的签名", "The log itself has not signed this checkpoint"))
    return checkpoint, opened


def parse_proof(text: str) -> Proof:
    """The proof of a tlog-proof file, not verified; BadProof when it is malformed."""
    head, parted, note = text.partition("\n\n")
    first, *lines = head.split("\n")
    if first != _PROOF or not parted:
        raise BadProof(Reason("not_a_proof", "不是有效的日志证明", "Not a tlog-proof"))
    try:
        extra = decode64(lines.pop(0).removeprefix(_EXTRA)) if lines and lines[0].startswith(_EXTRA) else None
        index, hashes = _counted("index ", lines)
    except BadNote as found:
        raise BadProof(*found.reasons) from found
    if extra == b"":
        raise BadProof(Reason("not_a_proof", "附加数据为空", "The extra data is empty"))
    return Proof(index, hashes, note, extra or b"")


def parse_addition(body: bytes) -> Addition:
    """What a request to add a checkpoint says, not verified; BadNote when it is malformed."""
    try:
        head, parted, note = body.decode().partition("\n\n")
    except UnicodeDecodeError as found:
        raise BadNote(Reason("not_utf8", "请求体须为UTF-8", "The body is UTF-8")) from found
    if not parted:
        raise BadNote(Reason("not_an_addition", "缺少检查点", "There is no checkpoint"))
    old, hashes = _counted("old ", head.split("\n"))
    return Addition(old, hashes, note)


def _counted(word: str, lines: list[str]) -> tuple[int, tuple[bytes, ...]]:
    """A line of a word and a number, then one hash a line."""
    if not lines or not lines[0].startswith(word):
        raise BadNote(Reason("missing_line", f"缺少 {word.strip()} 行", f"There is no line of {word.strip()}"))
    if len(lines) > 1 + MOST_HASHES:
        raise BadNote(Reason("proof_length", "证明过长", "The proof is too long"))
    return _number(lines[0].removeprefix(word)), tuple(_hash(line) for line in lines[1:])


def _number(text: str) -> int:
    if not _NUMBER.fullmatch(text) or int(text) > MOST_LEAVES:
        raise BadNote(Reason("not_a_number", "不是有效的序号或大小", "Not an index or size"))
    return int(text)


def _hash(text: str) -> bytes:
    data = decode64(text)
    if len(data) != HASH_BYTES:
        raise BadNote(Reason("not_a_hash", "哈希须为32字节", "A hash is 32 bytes"))
    return data


def _lines(hashes: Iterable[bytes]) -> str:
    return "".join(f"{encode64(one)}\n" for one in hashes)
