"""Instants in a query: RFC 3339 with an offset, and nothing that only looks like it."""

import re
from datetime import UTC, datetime
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, AwareDatetime, BeforeValidator

from mediation.domain.facts import Instant

_RFC_3339 = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})")
_WANTED = (
    "须为带时区的时刻（RFC 3339，如 2026-11-22T08:00:00+08:00；地址中 + 写作 %2B） "
    "a moment with its offset is wanted (RFC 3339, such as 2026-11-22T00:00:00Z; in an address + is %2B)"
)


def _rfc_3339(given: str) -> str:
    """A moment as it stands in an answer; else a year would be so many seconds since 1970."""
    if not _RFC_3339.fullmatch(given):
        raise ValueError(_WANTED)
    return given


def _in_utc(given: datetime) -> datetime:
    try:
        return given.astimezone(UTC)
    except OverflowError:  # the first or last hours of all years
        raise ValueError(_WANTED) from None


Moment: TypeAlias = Annotated[AwareDatetime, BeforeValidator(_rfc_3339), AfterValidator(_in_utc)]
"""An instant in UTC, of whatever offset it was given with."""


def instant_of(moment: datetime) -> Instant:
    """A moment as facts and answers have it: RFC 3339 UTC with six digits."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
