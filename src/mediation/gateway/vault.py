"""The vault: personal values and free text sealed under a key per party, known outside by digests.

Disclosures are those of RFC 9901 §4.2: base64url of the JSON `[salt, name, value]`, digest = base64url(SHA-256(that)).
A party is one disclosure `party_<n>` whose value holds the digests of its own fields; the words of a step are one
disclosure `text`, but what was said in a session `compromise` and what both sides signed `undisputed`: each has readers
of its own. What belongs together is sealed together with AES-256-GCM under a data key of its own subject (the party's
number, 0 for the text of the case), which is wrapped by a key that stays outside the database.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import filterfalse
from typing import Any, NamedTuple

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mediation.domain import commands as c
from mediation.domain.errors import BrokenTrail, GuardRefused, Reason
from mediation.domain.facts import Case
from mediation.domain.numbers import eighteen, evened, tells_apart
from mediation.domain.plausible import plan_of
from mediation.gateway.keys import KEY_BYTES, BadKeyFile, key_from

__all__ = [
    "COMPROMISE", "ERASED", "TEXT", "UNDISPUTED", "WORDS", "BadKeyFile", "Passing", "Sealed",
    "SealedStep", "Vault", "key_from", "split_code", "words_of",
]  # fmt: skip

TEXT = 0
"""The subject of a case's own text; parties are numbered from 1."""

WORDS, UNDISPUTED, COMPROMISE = "text", "undisputed", "compromise"
"""Names of what is sealed as the case's text: its words; facts both sides signed; and what was said in a session, for
the sake of agreement."""
ERASED = "erased"
"""The name of the row that stands for a subject whose key was destroyed."""

_SAID_IN = {c.Convene: COMPROMISE, c.RecordUndisputed: UNDISPUTED}
_URL_SAFE, _PLAIN = bytes.maketrans(b"+/", b"-_"), bytes.maketrans(b"-_", b"+/")
_NONCE_BYTES = 12
_SALT_BYTES = 16
_CODE_LENGTH = 8
_FIELDS = ("name", "id_number", "phone", "address")
_PAIRS_KNOWN = 1 << 16
_MARKS = dict.fromkeys(map(ord, " ,.:;!?()'\"-，。：；！？、（）《》“”‘’…—"))
"""What no spelling makes a letter of."""


class Sealed(NamedTuple):
    """A sealed value, ready to be stored: see `store.append.SealedRow`, whose order this is."""

    subject: int
    digest: str
    name: str
    sealed: bytes
    blind: bytes
    wrapped: bytes
    blind_id: bytes = b""
    grams: tuple[int, ...] = ()


class Passing(NamedTuple):
    """What passes over from another case: the rows of its people by their new numbers, its words, its claims' numbers.

    A row is None where it or its key is gone; `claims` are the new numbers of the claims that come, by the old ones.
    """

    case_id: str
    parties: Mapping[int, Sealed | None]
    words: Sequence[Sealed]
    claims: Mapping[int, int]


class SealedStep(NamedTuple):
    """What a command becomes: digests of its parties in order, of its words, and the rows to store."""

    parties: tuple[str, ...]
    others: tuple[str, ...]
    rows: tuple[Sealed, ...]


class Vault:
    """Seals, opens and recognises personal values under the key of one key file.

    `salts` gives so many random bytes for each disclosure; only what is invented may be salted by chance that comes
    again.
    """

    def __init__(self, key: bytes, salts: Callable[[int], bytes] = secrets.token_bytes) -> None:
        if len(key) != KEY_BYTES:
            raise BadKeyFile
        self._salts = salts
        self._wrapping = AESGCM(_derived(key, b"wrap"))
        self._blinding = _derived(key, b"blind")
        self._coding = _derived(key, b"case-code")
        self._logging = AESGCM(_derived(key, b"access-log"))
        self._pairing = _derived(key, b"pairs")
        self._hashed_pair = lru_cache(_PAIRS_KNOWN)(self._pair_hash)  # what people write is of few pairs
        self.request_secret = _derived(key, b"request")
        """The key under which requests are hashed, so that a stored hash says nothing of a body."""
        self.mark = _derived(key, b"mark")
        """By which a database knows the key it was sealed with; it tells nothing of the key."""

    def seal(
        self,
        case_id: str,
        command: c.Command,
        before: Case | None,
        text_key: bytes = b"",
        passing: Passing | None = None,
        blinds: Sequence[bytes] = (),
    ) -> SealedStep:
        """Seal what is personal in a command. `text_key`: the wrapped key of the case's text, or empty.

        `blinds`: the blind indexes of the command's parties, where they are known.

        What passes over from another case is opened and sealed anew: new keys, new salts, and so new digests.
        Raises GuardRefused where it cannot be opened.
        """
        rows: list[Sealed] = []
        first = len(before.parties) + 1 if before else 1
        known = iter(blinds)
        for number, party in enumerate(_parties(command), first):
            rows.append(self.seal_party(case_id, number, _fields(party), next(known, b"")))
        words = words_of(command, before)
        if passing:
            rows += self._passed_parties(case_id, passing)
            words.setdefault(WORDS, {}).update(self._passed_words(passing))
        parties = tuple(row.digest for row in rows)
        key, others = text_key, []
        for name, said in words.items():
            if said:
                row = self.seal_words(case_id, name, said, key)
                key = key or row.wrapped
                others.append(row)
        return SealedStep(parties, tuple(row.digest for row in others), (*rows, *others))

    def seal_party(self, case_id: str, number: int, party: Mapping[str, Any], blind: bytes = b"") -> Sealed:
        """Seal who a party is: its kind, name and perhaps number, phone and address; `blind`, where that is known."""
        row = self._sealed(case_id, number, f"party_{number}", self._party_disclosures(number, party))
        paper = party.get("id_number") or ""
        return row._replace(
            blind=blind or self._blind_of(party["name"], paper), blind_id=self.blind_id(paper) if paper else b""
        )

    def seal_words(self, case_id: str, name: str, said: Mapping[str, Any], text_key: bytes = b"") -> Sealed:
        """Seal what was said, under the name of its readers and the case's own key, or a new one, then `wrapped`."""
        row = self._sealed(case_id, TEXT, name, [self._disclosure(name, said)], text_key)
        return row._replace(grams=self._grams_of(said)) if name == WORDS else row

    def seal_purpose(self, request: str, case_id: str, purpose: str) -> bytes:
        """Seal why somebody asks for plain values, as it may name somebody: for its entry in the access log alone.

        The key is the log's and not the case's, as the log outlives what is erased of a case.
        """
        return _encrypted(self._logging, purpose.encode(), f"{request}|{case_id}")

    def open_purpose(self, request: str, case_id: str, sealed: bytes) -> str:
        """Why somebody asked for plain values. Raises BrokenTrail where it was sealed for another entry."""
        try:
            return self._decrypted(self._logging, sealed, f"{request}|{case_id}").decode()
        except InvalidTag as found:
            zh, en = "访问日志中的用途无法解开", "A purpose in the access log cannot be opened"
            raise BrokenTrail(Reason("access_log", zh, en)) from found

    def open(self, case_id: str, row: Sealed) -> dict[str, Any]:
        """The plain value of a row whose `wrapped` is its data key: a party's fields and kind, or a step's words.

        Raises BrokenTrail where the row does not match its digest or was sealed for another case, subject or name.
        """
        return _opened(row.digest, row.name, self._unsealed(case_id, row))

    def index(self, name: str, plain: Mapping[str, Any]) -> tuple[bytes, bytes, tuple[int, ...]]:
        """By what an opened row is found: the blind indexes of a party, the hashes of a case's words; else nothing."""
        if name == WORDS:
            return b"", b"", self._grams_of(plain)
        if "kind" not in plain:
            return b"", b"", ()
        number = str(plain.get("id_number") or "")
        return self._blind_of(plain["name"], number), self.blind_id(number) if number else b"", ()

    def disclosures(self, case_id: str, row: Sealed) -> list[str]:
        """The disclosures of a row as they stand in RFC 9901 §4.2: the one whose digest an event holds comes first.

        The others are those whose digests its value holds. Raises BrokenTrail, as `open` does.
        """
        disclosures = self._unsealed(case_id, row)
        _opened(row.digest, row.name, disclosures)
        return disclosures

    def blind_of(self, party: c.PartyIn) -> bytes:
        """The blind index of a party: a keyed hash (16 bytes) of name and identity number in one spelling."""
        return self._blind_of(party.name, party.id_number or "")

    def blind_id(self, number: str) -> bytes:
        """The blind index of an identity number, the same for its old form of 15 digits; empty where it tells nobody.

        Equal numbers are found by it without being known.
        """
        even = evened(number)
        return self._blind("number", eighteen(even)) if tells_apart(even) else b""

    def grams(self, text: str) -> tuple[int, ...]:
        """Keyed hashes (signed, 64 bits) of the pairs of adjacent characters, sorted; spelling is evened out.

        A text may hold a shorter one only if it has every hash of that one. Two digits are no pair: a number could be
        guessed by them, two at a time.
        """
        even = _even(text)
        adjacent = {even[at : at + 2] for at in range(len(even) - 1)}
        return tuple(sorted(map(self._hashed_pair, filterfalse(str.isdigit, adjacent))))

    def case_code(self, case_id: str, number: str) -> str:
        """The code printed on a party's papers: whoever shows it may file a further leg of the case."""
        tag = base64.b32encode(_hmac(self._coding, case_id.encode())).decode()[:_CODE_LENGTH]
        return f"{number}-{tag}"

    def opens(self, code: str, case_id: str, number: str) -> bool:
        """Whether this is the case's code; small letters will do for the eight at its end."""
        tag = code.rpartition("-")[2].upper()
        return hmac.compare_digest(f"{split_code(code)}-{tag}".encode(), self.case_code(case_id, number).encode())

    def _pair_hash(self, pair: str) -> int:
        told = hashlib.blake2b(pair.encode(), digest_size=8, key=self._pairing).digest()
        return int.from_bytes(told, "big", signed=True)

    def _blind_of(self, name: str, number: str) -> bytes:
        return self._blind("party", name, eighteen(evened(number)))

    def _blind(self, *parts: str) -> bytes:
        """A keyed hash of parts in order, each behind its length: no part can be taken for two, nor two for one."""
        told = [_even(part).encode() for part in parts]
        return _hmac(self._blinding, b"".join(len(part).to_bytes(4, "big") + part for part in told))[:16]

    def _unsealed(self, case_id: str, row: Sealed) -> list[str]:
        bound = f"{case_id}|{row.subject}"
        try:
            key = AESGCM(self._decrypted(self._wrapping, row.wrapped, bound))
            disclosures = _DISCLOSURES.decode(self._decrypted(key, row.sealed, f"{bound}|{row.digest}"))
        except InvalidTag as found:
            said = Reason("vault_row", f"保险库中 {row.name} 无法解开", f"The vault's {row.name} cannot be opened")
            raise BrokenTrail(said) from found
        return disclosures

    def _passed_parties(self, case_id: str, passing: Passing) -> list[Sealed]:
        rows = []
        for number, row in passing.parties.items():
            party = self._passed(passing.case_id, row)
            rows.append(self.seal_party(case_id, number, party, row.blind if row else b""))
        return rows

    def _passed_words(self, passing: Passing) -> dict[str, Any]:
        said: dict[str, str] = {}
        for row in passing.words if passing.claims else ():
            if row.name != WORDS:
                continue
            said |= self._passed(passing.case_id, row).get("claims", {})
        claims = {str(here): said[str(there)] for there, here in passing.claims.items() if str(there) in said}
        return {"claims": claims} if claims else {}

    def _passed(self, case_id: str, row: Sealed | None) -> dict[str, Any]:
        with suppress(BrokenTrail):
            if row:
                return self.open(case_id, row)
        zh = "被并案件的个人信息无法解开（密钥已销毁或不符），不能并入"
        en = "What is personal in the other case cannot be opened, as its key is gone or another: it cannot pass over"
        raise GuardRefused(Reason("cannot_pass_over", zh, en))

    def _grams_of(self, said: Mapping[str, Any]) -> tuple[int, ...]:
        """Of the facts alone: what happened, and what is claimed."""
        texts = [said.get("text", ""), *said.get("claims", {}).values()]
        return tuple(sorted({gram for text in texts for gram in self.grams(text)}))

    def _sealed(self, case_id: str, subject: int, name: str, disclosures: list[str], wrapped: bytes = b"") -> Sealed:
        bound = f"{case_id}|{subject}"
        key = self._decrypted(self._wrapping, wrapped, bound) if wrapped else secrets.token_bytes(KEY_BYTES)
        digest = _digest(disclosures[0])
        sealed = _encrypted(AESGCM(key), msgspec.json.encode(disclosures), f"{bound}|{digest}")
        return Sealed(subject, digest, name, sealed, b"", b"" if wrapped else _encrypted(self._wrapping, key, bound))

    def _party_disclosures(self, number: int, party: Mapping[str, Any]) -> list[str]:
        inner = [self._disclosure(field, party[field]) for field in _FIELDS if party.get(field)]
        value = {"_sd": sorted(_digest(disclosure) for disclosure in inner), "kind": party["kind"]}
        return [self._disclosure(f"party_{number}", value), *inner]

    def _disclosure(self, name: str, value: object) -> str:
        return _base64(msgspec.json.encode((_base64(self._salts(_SALT_BYTES)), name, value)))

    @staticmethod
    def _decrypted(cipher: AESGCM, data: bytes, bound: str) -> bytes:
        return cipher.decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], bound.encode())


def split_code(code: str) -> str:
    """The case number in a case code; empty if it is none."""
    number, _, tag = code.rpartition("-")
    return number if len(tag) == _CODE_LENGTH else ""


def _parties(command: c.Command) -> Sequence[c.PartyIn]:
    if isinstance(command, c.File):
        return command.parties
    return command.join if isinstance(command, c.ChangeParties) else ()


def _fields(party: c.PartyIn) -> dict[str, Any]:
    return {"kind": party.kind.value} | {field: getattr(party, field) for field in _FIELDS}


def words_of(command: c.Command, before: Case | None) -> dict[str, dict[str, Any]]:
    """The free text of a command by the name it is sealed under; claims and the like by their number in the case."""
    words: dict[str, Any] = {}
    claims = command.claim if isinstance(command, c.File) else []
    promises = command.obligations if isinstance(command, c.Settle) else []
    numbered = {
        "claims": _numbered([claim.text for claim in claims], len(before.claims) if before else 0),
        "obligations": _numbered([promise.text for promise in promises], len(before.obligations) if before else 0),
        "documents": _numbered([paper.name for paper in command.documents], len(before.documents) if before else 0),
    }
    words |= {part: texts for part, texts in numbered.items() if texts}
    plan = plan_of(command)
    if plan:
        words["plan"] = plan.plan
    own = _SAID_IN.get(type(command), WORDS)
    out = {WORDS: words}
    if command.text:
        out.setdefault(own, {})["text"] = command.text
    return out


def _numbered(texts: Sequence[str | None], already: int) -> dict[str, str]:
    return {str(number): text for number, text in enumerate(texts, already + 1) if text}


_DISCLOSURES = msgspec.json.Decoder(list[str])
_WHOLE = msgspec.json.Decoder(tuple[str, str, dict[str, Any]])
_FIELD = msgspec.json.Decoder(tuple[str, str, Any])


def _opened(digest: str, name: str, disclosures: Sequence[str]) -> dict[str, Any]:
    outer, *inner = disclosures
    known = {_digest(disclosure): disclosure for disclosure in inner}
    _, sealed_as, value = _WHOLE.decode(_unbase64(outer))
    committed = value.pop("_sd", [])
    if _digest(outer) != digest or sorted(known) != committed or sealed_as != name:
        said = Reason("vault_digest", "保险库内容与摘要不符", "The vault's content does not match its digest")
        raise BrokenTrail(said)
    for disclosure in inner:
        _, field, text = _FIELD.decode(_unbase64(disclosure))
        value[field] = text
    return value


def _digest(disclosure: str) -> str:
    return _base64(hashlib.sha256(disclosure.encode("ascii")).digest())


def _encrypted(cipher: AESGCM, data: bytes, bound: str) -> bytes:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, data, bound.encode())


def _base64(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).translate(_URL_SAFE).rstrip(b"=").decode()


def _unbase64(text: str) -> bytes:
    return binascii.a2b_base64(text.encode("ascii").translate(_PLAIN) + b"==")  # too much padding is passed over


def _even(value: str) -> str:
    """One spelling of a value: full-width forms, case, spaces and punctuation evened out."""
    bare = value.translate(_MARKS)
    if bare.isalnum() and unicodedata.is_normalized("NFKC", bare):  # and most values are written so
        folded = bare.casefold()
        if folded.isalnum():
            return folded
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", value).casefold()))


def _derived(key: bytes, use: bytes) -> bytes:
    return _hmac(key, b"mediation|" + use)


def _hmac(key: bytes, value: bytes) -> bytes:
    return hmac.digest(key, value, "sha256")
