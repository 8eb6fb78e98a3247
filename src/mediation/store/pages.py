"""Keyset pages: a cursor is opaque to its bearer and says where the next page begins, never how many there are."""

import base64
import json
import re
from collections.abc import Sequence
from contextlib import suppress
from datetime import date
from typing import Any, Generic, NamedTuple, TypeVar

from mediation.domain.errors import Malformed, Reason

MOST = 200
"""Rows of a page at most."""

LAST_ID = "ffffffff-ffff-ffff-ffff-ffffffffffff"
"""Beyond every id there is (RFC 9562 §5.10)."""

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TEXT = re.compile(r"[^\0\ud800-\udfff]*")  # a NUL, or half of a pair of surrogates, is no text of PostgreSQL's
_Item = TypeVar("_Item")


class Id(str):
    """The kind of a cursor's part that is a UUID."""

    __slots__ = ()


class Day(str):
    """The kind of a cursor's part that is a day."""

    __slots__ = ()


class Serial(int):
    """The kind of a cursor's part that is a bigint."""

    __slots__ = ()


_Kind = type[Id | Day | str | int]


class Page(NamedTuple, Generic[_Item]):
    """A page of a list and the cursor of the next, None at the end."""

    items: list[_Item]
    next: str | None


def capped(limit: int) -> int:
    """The rows of a page: as many as asked for, up to MOST."""
    return max(1, min(limit, MOST))


def page_of(found: Sequence[tuple[Any, _Item]], limit: int) -> Page[_Item]:
    """The first `limit` of the rows found; where there are more, the cursor is the key of the last one given."""
    some = capped(limit)
    key = found[some - 1][0] if len(found) > some else None
    return Page([item for _, item in found[:some]], None if key is None else _cursor(key))


def _cursor(key: Any) -> str:  # noqa: ANN401  # a key, or a tuple of them
    said = json.dumps(key if isinstance(key, tuple) else [key], separators=(",", ":"))
    return base64.urlsafe_b64encode(said.encode()).rstrip(b"=").decode()


def uncursor(cursor: str, *kinds: _Kind) -> list[Any]:
    """The key in a cursor that `page_of` gave. Raises Malformed for anything else, whatever it holds."""
    try:
        said = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, list) or len(said) != len(kinds) or not all(map(_is, said, kinds)):
        raise Malformed(Reason("bad_cursor", "游标无效", "The cursor is not one of ours"))
    return said


def _is(part: object, kind: _Kind) -> bool:
    if issubclass(kind, int):
        return type(part) is int and 0 <= part < 2 ** (63 if kind is Serial else 31)
    if not isinstance(part, str) or not _TEXT.fullmatch(part):
        return False
    return kind is str or (_is_day(part) if kind is Day else _UUID.fullmatch(part) is not None)


def _is_day(part: str) -> bool:
    with suppress(ValueError):
        return date.fromisoformat(part).isoformat() == part
    return False
