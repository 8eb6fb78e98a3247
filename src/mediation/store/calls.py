"""What the calls of hot.sql take and give: who asks, what they may see, what is sealed."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from mediation.domain.events import Event
from mediation.domain.facts import Actor, Case, Organisation

CLOCK = "clock"
CLOCK_CALLER = "00000000-0000-0000-0000-000000000000"
BODY = (
    "json_build_object('id', o.id, 'code', o.code, 'name', o.name, 'name_en', o.name_en, 'kind', o.kind, "
    "'tier', o.tier, 'division', o.division, 'superior', coalesce(o.superior::text, ''), "
    "'speciality', o.speciality, 'path', o.path)"
)
"""A body `o` as JSON."""


class Context(NamedTuple):
    """Who asks: a person's id (or `clock`), the body acted for ("" if not said) and the id of the request.

    Where `person` is "", it is whoever is known by this `subject` of this `issuer`. `shown` is the number of a case
    whose code was shown and checked, so that it may be seen.
    """

    person: str
    acting_for: str
    request: str
    issuer: str = ""
    subject: str = ""
    shown: str = ""

    @property
    def caller(self) -> str:
        """The person as the database knows it: the clock is the nil UUID."""
        return CLOCK_CALLER if self.person == CLOCK else self.person


class Replay(NamedTuple):
    """What was answered under this key: to which request (its keyed hash), and with which event."""

    fingerprint: bytes
    event: Event


class Seen(NamedTuple):
    """What a reader may know: the case (None when absent or invisible), themselves, the bodies, an earlier answer.

    `text_key` is the wrapped data key of the case's own text, empty where there is none yet; `sealed` its sealed
    values, where they were asked for.
    """

    case: Case | None
    actor: Actor
    orgs: dict[str, Organisation]
    replay: Replay | None
    text_key: bytes = b""
    sealed: "Sequence[SealedRow]" = ()


class Placed(NamedTuple):
    """An event of a case: its canonical bytes, and its position in the feed once it has one."""

    seq: int
    data: bytes
    position: int | None


class SealedRow(NamedTuple):
    """A sealed value of `subject` (a party's number, 0 for the case's text), its digest, name and ciphertext.

    `blind` and `blind_id` are its blind indexes (name and number; number alone), empty for none; `wrapped` the data
    key, wrapped, where that key is new; `grams` keyed hashes of the pairs of characters it may be searched by.
    """

    subject: int
    digest: str
    name: str
    sealed: bytes
    blind: bytes
    wrapped: bytes
    blind_id: bytes = b""
    grams: tuple[int, ...] = ()


class Filing(NamedTuple):
    """What a filing needs beforehand: a fresh number of the body and year, and likely duplicates (case ids)."""

    number: int
    similar: tuple[str, ...]


def sealed_json(rows: Sequence[SealedRow]) -> str | None:
    """Sealed rows as JSON; None for none."""
    if not rows:
        return None
    written = [
        {
            **row._asdict(),
            "sealed": "\\x" + row.sealed.hex(),
            "blind": "\\x" + row.blind.hex() if row.blind else None,
            "wrapped": "\\x" + row.wrapped.hex() if row.wrapped else None,
            "blind_id": "\\x" + row.blind_id.hex() if row.blind_id else None,
            "grams": row.grams or None,
        }
        for row in rows
    ]
    return msgspec.json.encode(written).decode()


def sealed_rows(said: str) -> list[SealedRow]:
    """The sealed rows in the answer of `read_case`, as far as they are needed to be opened: without blind indexes."""
    return [
        SealedRow(subject, digest, name, bytes.fromhex(data), b"", bytes.fromhex(wrapped))
        for subject, digest, name, data, wrapped in _VALUES.decode(said)
    ]


def bodies(said: str | None) -> dict[str, Organisation]:
    """Bodies by id, of a JSON array of them; None: there are none."""
    return {body.id: body for body in _BODIES.decode(said)} if said else {}


_VALUES = msgspec.json.Decoder(list[tuple[int, str, str, str, str]])
_BODIES = msgspec.json.Decoder(list[Organisation])
