"""The bundle of a case: what its zip holds and where, and the signed head by which the cutting of its tail is told."""

import base64
import binascii
import re
from collections.abc import Iterable
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec

from mediation.domain.errors import BadNote, Reason
from mediation.domain.merkle import HASH_BYTES, MOST_LEAVES
from mediation.domain.notes import SignatureKind, Signer, Verifier, decode64, encode64, open_note, sign

CHECKPOINT = "checkpoint"
"""The published checkpoint of the log, with its cosignatures: every proof of the newest origin is against it."""
HEAD = "head"
"""The note that says how long the history was at that checkpoint."""
VKEYS = "log.vkey"
"""The keys of the log, a line each: its own, then retired ones."""
SCRIPT = "verify.sh"
MANUAL = "VERIFY.md"
SINGLE = (CHECKPOINT, HEAD, VKEYS, SCRIPT, MANUAL)
"""The files that stand by themselves, once in every bundle."""

_EVENTS, _PROOFS, _DISCLOSURES = "events", "proofs", "disclosures"
_NUMBERED = re.compile(r"(events|proofs|disclosures)/([0-9]{4,})\.(json|tlog-proof|txt)")
_ENDINGS = {_EVENTS: "json", _PROOFS: "tlog-proof", _DISCLOSURES: "txt"}
FOLDERS = frozenset(f"{folder}/" for folder in _ENDINGS)
"""What a zip may name besides files."""
_CASE = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NUMBER = re.compile(r"[1-9][0-9]{0,18}")
_LINES = 5


def event_path(seq: int) -> str:
    """Where the canonical bytes of an event are, with no line feed behind them."""
    return _path(_EVENTS, seq)


def proof_path(seq: int) -> str:
    """Where the tlog-proof of an event is."""
    return _path(_PROOFS, seq)


def disclosure_path(number: int) -> str:
    """Where a disclosure (RFC 9901 §4.2, as its string with no line feed behind it) is; they are counted from 1."""
    return _path(_DISCLOSURES, number)


def parse_path(path: str) -> tuple[str, int] | None:
    """`("events" | "proofs" | "disclosures", number)` of a numbered file; None of any other path."""
    found = _NUMBERED.fullmatch(path)
    if not found or path != _path(found[1], int(found[2])) or not int(found[2]):
        return None
    return found[1], int(found[2])


def is_beside(path: str) -> bool:
    """Whether this lies beside what a bundle holds: in none of its folders, nor outside of where it is unpacked."""
    first, *others = path.split("/")
    return f"{first}/" not in FOLDERS and first not in {"", "."} and ".." not in {first, *others} and "\\" not in path


class Head(NamedTuple):
    """What the log says of one case at one size of its tree: the number of its last event, and that event's hash."""

    origin: str
    case_id: str
    seq: int
    leaf: bytes
    size: int

    @property
    def text(self) -> str:
        """The note text that is signed; it can be taken for no checkpoint, whose second line is a number."""
        lines = (f"{self.origin}/head", self.case_id, self.seq, encode64(self.leaf), self.size)
        return "".join(f"{line}\n" for line in lines)

    def signed(self, signer: Signer) -> str:
        """The note, signed by the key of the log."""
        return sign(self.text, signer)


def open_head(note: str | bytes, verifiers: Iterable[Verifier], origin: str) -> Head:
    """The head of a note that this log signed. Raises BadNote: malformed, another log's, or not signed by its key."""
    known = [key for key in verifiers if key.kind is SignatureKind.ED25519 and key.name == origin]
    *lines, end = open_note(note, known).text.split("\n")
    if end or len(lines) != _LINES or not _CASE.fullmatch(lines[1]):
        raise _wrong("not_a_head", "不是有效的卷末凭证", "Not the signed head of a case")
    if lines[0] != f"{origin}/head":
        raise _wrong("foreign_log", f"卷末凭证属于另一日志 {lines[0]}", f"The head is another log's, {lines[0]}")
    leaf = decode64(lines[3])
    if len(leaf) != HASH_BYTES:
        raise _wrong("not_a_hash", "哈希须为32字节", "A hash is 32 bytes")
    return Head(origin, lines[1], _number(lines[2]), leaf, _number(lines[4]))


class Disclosure(NamedTuple):
    """A disclosure: its digest, what it says of which name, and the digests of those that its value holds."""

    digest: str
    name: str
    value: Any
    inner: tuple[str, ...]


def parse_disclosure(text: str) -> Disclosure:
    """What a disclosure says (RFC 9901 §4.2.1: base64url of the JSON of salt, name and value). Raises BadNote."""
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        _, name, value = msgspec.json.decode(data, type=tuple[str, str, Any])
    except (binascii.Error, ValueError, msgspec.MsgspecError) as found:
        raise _wrong("not_a_disclosure", "不是有效的明文披露", "Not a disclosure") from found
    held = value.get("_sd", []) if isinstance(value, dict) else []
    if not isinstance(held, list) or not all(isinstance(one, str) for one in held):
        raise _wrong("not_a_disclosure", "不是有效的明文披露", "Not a disclosure")
    digest = base64.urlsafe_b64encode(sha256(text.encode()).digest()).rstrip(b"=").decode()
    return Disclosure(digest, name, value, tuple(held))


def _path(folder: str, number: int) -> str:
    return f"{folder}/{number:04}.{_ENDINGS[folder]}"


def _number(text: str) -> int:
    if not _NUMBER.fullmatch(text) or int(text) > MOST_LEAVES:
        raise _wrong("not_a_number", "不是有效的序号或大小", "Not a number or size")
    return int(text)


def _wrong(code: str, zh: str, en: str) -> BadNote:
    return BadNote(Reason(code, zh, en))
