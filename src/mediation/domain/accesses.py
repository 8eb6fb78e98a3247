"""An entry of the access log as the bytes that are hashed: who was shown what, for which body, when and what for."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from mediation.domain.errors import BrokenTrail, Reason
from mediation.domain.facts import Instant


class AccessRow(NamedTuple):
    """An entry as its row has it; `case` is None for a search, `sealed` a purpose that was said in words."""

    access: int
    at: Instant
    person: str
    org: str
    request: str
    kind: str
    case: str | None
    purpose: str
    fields: Sequence[str]
    sealed: bytes | None


def access_entry(row: AccessRow) -> bytes:
    """The canonical bytes (RFC 8785) of an entry: codes and ids; of a purpose in words the SHA-256 of its sealed form.

    Raises BrokenTrail where there is more than codes in it.
    """
    told = hashlib.sha256(row.sealed).hexdigest() if row.sealed else ""
    data = _CANONICAL.encode({**row._asdict(), "case": row.case or "", "sealed": told, "v": 1})
    if not data.isascii():
        zh, en = f"访问日志第{row.access}条含有文字", f"Entry {row.access} of the access log holds more than codes"
        raise BrokenTrail(Reason("not_codes", zh, en))
    return data


_CANONICAL = msgspec.json.Encoder(order="sorted")
