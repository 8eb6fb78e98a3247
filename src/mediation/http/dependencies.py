"""What a route asks of a request, each in the order in which refusals are given, and the desk at which it is served."""

import hashlib
import hmac
import re
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Annotated, Any

from fastapi import Path, Request
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from starlette.responses import Response

from mediation.domain.errors import Malformed, NotFound, Reason
from mediation.http.gate import Visit
from mediation.http.problems import VARY, TurnedAway, faults

_KEY = re.compile(r"[A-Za-z0-9_-]{8,64}")
_TAG = re.compile(r'"([1-9][0-9]{0,8})"')
_TAGS = re.compile(r'(?:W/)?"([^"]*)"')
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d)")

CaseId = Annotated[str, Path(description="案件 id of the case", json_schema_extra={"format": "uuid"})]
EventId = Annotated[str, Path(description="事件 id of the event", json_schema_extra={"format": "uuid"})]

PRIVATE = {"Cache-Control": "private, no-cache", "Vary": VARY}
"""The headers of every answer about a case."""


class Query(BaseModel):
    """The query of a list: unknown parameters are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def loopback(host: str) -> bool:
    """Whether an address to listen on can be reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def visit(request: Request) -> Visit:
    """The request as the gate took it in."""
    taken: Visit = request.scope["visit"]
    return taken


def parsed(adapter: TypeAdapter[Any], body: bytes) -> Any:  # noqa: ANN401  # whatever the adapter makes
    """The body as a command: undecodable 400, malformed 422."""
    try:
        return adapter.validate_json(body)
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False)
        if found and found[0]["type"] == "json_invalid":
            raise TurnedAway("undecodable") from None
        raise faults(found) from None


def no_query(request: Request) -> None:
    """Refuse any query parameter: this call takes none. Parameters given twice are refused everywhere."""
    if request.scope["query_string"]:
        names = sorted(set(request.query_params))
        raise Malformed(
            *[Reason("extra_forbidden", f"未知查询参数 {n}", f"Unknown query parameter {n}") for n in names[:5]]
        )


def once(request: Request) -> None:
    """Refuse a query parameter that is given twice, or holds a NUL."""
    names = [name for name, _ in request.query_params.multi_items()]
    if len(set(names)) != len(names):
        raise Malformed(Reason("repeated", "查询参数重复", "A query parameter is given twice"))
    if any("\x00" in value for value in request.query_params.values()):
        raise Malformed(Reason("nul", "查询参数含空字符", "A query parameter holds a NUL"))


def identifier(text: str) -> str:
    """A UUID of a path in its one spelling. Anything else names nothing, so it is not found."""
    lowered = text.lower()
    if not _UUID.fullmatch(lowered):
        raise NotFound
    return lowered


def version_expected(taken: Visit) -> int:
    """The version of If-Match: one strong tag. Absent 428; `*`, weak tags, lists and other tags 400."""
    tag = taken.header(b"if-match")
    if tag is None:
        raise TurnedAway("precondition_required")
    match = _TAG.fullmatch(tag)
    if not match:
        raise TurnedAway("bad_if_match")
    return int(match[1])


def unchanged(taken: Visit, tag: str) -> bool:
    """Whether If-None-Match names this tag; it compares weakly, and `*` names any (RFC 9110 §13.1.2)."""
    known = taken.header(b"if-none-match")
    return known is not None and (known == "*" or f'"{known}"' == tag or tag.strip('"') in _TAGS.findall(known))


def idempotency_key(taken: Visit) -> str:
    """The Idempotency-Key, 8 to 64 of A-Za-z0-9_-; else 400."""
    key = taken.header(b"idempotency-key") or ""
    if not _KEY.fullmatch(key):
        raise TurnedAway("bad_idempotency_key")
    return key


def acting_for(taken: Visit) -> str:
    """The organisation named in Acting-For, empty when absent; 400 if it is not a UUID."""
    named = taken.header(b"acting-for")
    if named is None:
        return ""
    lowered = named.lower()
    if not _UUID.fullmatch(lowered):
        raise TurnedAway("bad_acting_for")
    return lowered


def instant(taken: Visit, *, sandbox: bool) -> str:
    """The instant of this request, RFC 3339 UTC with six digits: now, or X-Sandbox-At where the sandbox clock runs."""
    asked = taken.header(b"x-sandbox-at")
    if asked is None:
        moment = datetime.now(UTC)
    elif not sandbox or not _INSTANT.fullmatch(asked):
        raise TurnedAway("bad_sandbox_at")
    else:
        try:
            moment = datetime.fromisoformat(asked.upper()).astimezone(UTC)
        except (ValueError, OverflowError):
            raise TurnedAway("bad_sandbox_at") from None
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def fingerprint(secret: bytes, *, method: str, path: str, org: str, body: bytes) -> bytes:
    """What an idempotency key is bound to: a keyed hash, so that a stored one says nothing of the body."""
    parts = (method.encode(), path.encode(), org.encode(), body)
    said = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return hmac.digest(secret, said, hashlib.sha256)


def json_answer(body: bytes, status: int = 200, **headers: str) -> Response:
    """JSON bytes about a case, for its reader alone; header names are written with `_` for `-`."""
    more = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(body, status, PRIVATE | more, media_type="application/json")
