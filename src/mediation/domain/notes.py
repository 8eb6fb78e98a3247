"""Signed notes: text signed by one or more keys, as C2SP signed-note and tlog-cosignature lay down (Ed25519 only)."""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from mediation.domain.errors import BadNote, Reason

MOST_SIGNATURES = 64
MOST_BYTES = 1024 * 1024
LATEST = 2**63 - 1
"""The last second a cosignature may name."""

_KEY_BYTES = 32
_ID_BYTES = 4
_TIME_BYTES = 8
_DASH = "— "
_SECRET = "PRIVATE+KEY+"  # noqa: S105  # the mark of such a key, not one
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_KEY = re.compile(r"([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)")


class SignatureKind(IntEnum):
    """The signature types of signed-note that this service makes and checks."""

    ED25519 = 1
    COSIGNATURE = 4


class Signature(NamedTuple):
    """One signature line: whose it says it is, what follows the key id, and the line itself with its newline."""

    name: str
    key_id: bytes
    signature: bytes
    line: str


class Note(NamedTuple):
    """A text and its signatures: verified ones of known keys, one for each key, and those of keys not known."""

    text: str
    signatures: tuple[Signature, ...]
    others: tuple[Signature, ...]


@dataclass(frozen=True)
class Verifier:
    """A public key under its name: 32 bytes of Ed25519, and the kind of signature that it is for."""

    name: str
    key_id: bytes
    kind: SignatureKind
    public: bytes

    @property
    def text(self) -> str:
        """The vkey: name, key id and key joined by plus signs."""
        return f"{self.name}+{self.key_id.hex()}+{encode64(bytes([self.kind]) + self.public)}"

    def verify(self, text: str, signature: bytes) -> bool:
        """Whether what follows the key id of a signature line signs this text; of a cosignature, at its own time."""
        signed = text.encode()
        if self.kind is SignatureKind.COSIGNATURE:
            at = int.from_bytes(signature[:_TIME_BYTES])
            # Zero says nothing of when, and for an Ed25519 cosignature the time is the statement.
            if not 0 < at <= LATEST:
                return False
            signed, signature = _timed(at, signed), signature[_TIME_BYTES:]
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, signed)
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True)
class Signer:
    """A secret key under its name: 32 bytes of seed (RFC 8032), and the kind of signature that it makes."""

    name: str
    kind: SignatureKind
    seed: bytes = field(repr=False)

    @cached_property
    def verifier(self) -> Verifier:
        """The public half, to be given away."""
        public = self._private.public_key().public_bytes_raw()
        return Verifier(self.name, _key_id(self.name, self.kind, public), self.kind, public)

    @property
    def text(self) -> str:
        """The secret key as Go's note package writes it."""
        return f"{_SECRET}{self.name}+{self.verifier.key_id.hex()}+{encode64(bytes([self.kind]) + self.seed)}"

    def line(self, text: str, at: int = 0) -> str:
        """The signature line for this text, with its newline; `at` in POSIX seconds is a cosigner's and needed there.

        Raises BadNote when the text is not a note's, or a cosigner has no time.
        """
        _check_text(text)
        signed = text.encode()
        stamp = b""
        if self.kind is SignatureKind.COSIGNATURE:
            if not 0 < at <= LATEST:
                raise _wrong("cosignature_time", "副署须有时间", "A cosignature needs its time")
            signed, stamp = _timed(at, signed), at.to_bytes(_TIME_BYTES)
        return f"{_DASH}{self.name} {encode64(self.verifier.key_id + stamp + self._private.sign(signed))}\n"

    @cached_property
    def _private(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.seed)


def new_signer(name: str, seed: bytes, kind: SignatureKind = SignatureKind.ED25519) -> Signer:
    """The signer of this name and seed (32 random bytes); BadNote when one cannot be used."""
    _check_name(name)
    if len(seed) != _KEY_BYTES:
        raise _wrong("key_length", "密钥须为32字节", "A key is 32 bytes")
    return Signer(name, kind, seed)


def parse_signer_key(text: str) -> Signer:
    """The signer of a secret key as `Signer.text` writes it; BadNote never repeats the text."""
    if not text.startswith(_SECRET):
        raise _wrong("not_a_secret_key", "不是签名私钥", "Not a secret key of a signer")
    name, key_id, kind, seed = _parse_key(text.removeprefix(_SECRET))
    signer = new_signer(name, seed, kind)
    if signer.verifier.key_id != key_id:
        raise _wrong("key_id", "密钥与其标识不符", "The key does not match its id")
    return signer


def parse_verifier_key(text: str) -> Verifier:
    """The verifier of a vkey; BadNote on an unknown algorithm, a wrong length or an id that is not the key's."""
    name, key_id, kind, public = _parse_key(text)
    if _key_id(name, kind, public) != key_id:
        raise _wrong("key_id", "密钥与其标识不符", "The key does not match its id")
    return Verifier(name, key_id, kind, public)


def sign(text: str, signer: Signer) -> str:
    """The whole note: the text, which ends with a newline, and this signer's signature."""
    return f"{text}\n{signer.line(text)}"


def split_note(note: str | bytes) -> tuple[str, tuple[Signature, ...]]:
    """The text of a note and its signatures, none of them verified: not to be believed yet. BadNote if malformed."""
    data = note if isinstance(note, bytes) else note.encode(errors="surrogatepass")
    if len(data) > MOST_BYTES:
        raise _wrong("note_too_long", "签名文件过长", "The note is too long")
    try:
        whole = data.decode()
    except UnicodeDecodeError as found:
        raise _wrong("not_utf8", "签名文件须为UTF-8", "A note is UTF-8") from found
    _check_text(whole)
    cut = whole.rfind("\n\n")
    if cut < 0:
        raise _wrong("not_a_note", "签名文件缺少签名", "The note has no signatures")
    lines = whole[cut + 2 : -1].split("\n")
    if len(lines) > MOST_SIGNATURES:
        raise _wrong("too_many_signatures", "签名过多", "The note has too many signatures")
    return whole[: cut + 1], tuple(_parse_signature(line) for line in lines)


def open_note(note: str | bytes, verifiers: Iterable[Verifier]) -> Note:
    """The text of a note that at least one of these keys signed, and none of them wrongly; else BadNote.

    Of several signatures by one key the first is kept, so that to count signatures is to count keys.
    """
    known: dict[tuple[str, bytes], Verifier] = {}
    for verifier in verifiers:
        if known.setdefault((verifier.name, verifier.key_id), verifier) != verifier:
            raise _wrong("ambiguous_keys", "两把密钥的名称与标识相同", "Two keys have one name and id")
    text, signatures = split_note(note)
    verified: dict[tuple[str, bytes], Signature] = {}
    others = []
    for signature in signatures:
        whose = signature.name, signature.key_id
        if whose not in known:
            others.append(signature)
        elif not known[whose].verify(text, signature.signature):
            raise _wrong("bad_signature", f"{signature.name} 的签名无效", f"The signature of {signature.name} is wrong")
        else:
            verified.setdefault(whose, signature)
    if not verified:
        raise _wrong("unsigned", "没有已知密钥的签名", "No known key signed this note")
    return Note(text, tuple(verified.values()), tuple(others))


def encode64(data: bytes) -> str:
    """Standard Base64 with padding (RFC 4648 §4)."""
    return base64.b64encode(data).decode()


def decode64(text: str) -> bytes:
    """The bytes of canonical Base64: padded, nothing skipped, no stray bits; BadNote otherwise."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as found:
        raise _wrong("not_base64", "不是有效的Base64", "Not Base64") from found
    if encode64(data) != text:
        raise _wrong("not_base64", "不是规范的Base64", "Not canonical Base64")
    return data


def _parse_key(text: str) -> tuple[str, bytes, SignatureKind, bytes]:
    """Name, key id, kind and the 32 bytes of a vkey, or of a secret key without its mark."""
    found = _KEY.fullmatch(text)
    if not found:
        raise _wrong("not_a_key", "不是有效的密钥", "Not a key")
    name, key_id, coded = found.groups()
    _check_name(name)
    data = decode64(coded)
    if data[0] not in set(SignatureKind):
        raise _wrong("unknown_algorithm", f"未知的签名算法 {data[0]}", f"Unknown signature algorithm {data[0]}")
    if len(data) != 1 + _KEY_BYTES:
        raise _wrong("key_length", "密钥须为32字节", "A key is 32 bytes")
    return name, bytes.fromhex(key_id), SignatureKind(data[0]), data[1:]


def _parse_signature(line: str) -> Signature:
    name, _, coded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH):
        raise _wrong("not_a_signature", "签名行格式不符", "Not a signature line")
    _check_name(name)
    data = decode64(coded)
    if len(data) <= _ID_BYTES:
        raise _wrong("not_a_signature", "签名行缺少签名", "A signature line without a signature")
    return Signature(name, data[:_ID_BYTES], data[_ID_BYTES:], f"{line}\n")


def _key_id(name: str, kind: SignatureKind, public: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()[:_ID_BYTES]


def _timed(at: int, signed: bytes) -> bytes:
    return b"cosignature/v1\ntime %d\n" % at + signed


def _check_name(name: str) -> None:
    bad = not name or "+" in name or any(one.isspace() for one in name) or _CONTROL.search(name)
    if bad or not _is_unicode(name):
        raise _wrong(
            "key_name", "密钥名称不得为空，不得含空白或加号", "A key's name is not empty, without spaces or plus"
        )


def _check_text(text: str) -> None:
    if not text.endswith("\n") or _CONTROL.search(text) or not _is_unicode(text):
        zh, en = "签名文件须以换行结尾，不得含控制字符", "A note ends with a newline and holds no control character"
        raise _wrong("not_a_note", zh, en)


def _is_unicode(text: str) -> bool:
    """Whether it can be written as UTF-8: half of a surrogate pair cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _wrong(code: str, zh: str, en: str) -> BadNote:
    return BadNote(Reason(code, zh, en))
