"""The blotter: which refusals are attempts, and what of each is kept: who, what and why, in codes and ids alone."""

import hashlib
import hmac
import re
from datetime import UTC, datetime
from typing import Any

from starlette.routing import Match
from starlette.types import Scope

from mediation.domain.errors import Conflict, MediationError
from mediation.http.gate import Bucket, Visit
from mediation.http.problems import MOST_REASONS, status_of
from mediation.service.refusals import DROPPED, Refusals
from mediation.store.attempts import Attempt

PER_MINUTE = 60
"""Attempts of one client that are written down a minute, in one process; the others are only counted."""
STRANGERS_PER_MINUTE = 600
"""Those of all clients together that nobody has vouched for: who has many addresses fills no disk."""

_AUTHORISATION = frozenset({401, 403, 404, 429})
_CONFLICT = 409
_WRITING = frozenset({"POST", "PUT", "DELETE"})
_METHODS = _WRITING | {"GET", "HEAD", "PATCH", "OPTIONS"}
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Blotter:
    """Takes down refused attempts in one process. `secret` keys the hashes of clients."""

    def __init__(self, secret: bytes, refusals: Refusals) -> None:
        self._secret = secret
        self._refusals = refusals
        self._clients = Bucket(PER_MINUTE)
        self._strangers = Bucket(STRANGERS_PER_MINUTE)

    def note(self, scope: Scope, visit: Visit, error: MediationError) -> None:
        """Write down this refusal if it is an attempt: neither path, query, body nor address."""
        status = status_of(error)
        if not _is_attempt(scope, status, error):
            return
        who = visit.principal
        client = f"{who.issuer} {who.subject}" if who.issuer else (scope.get("client") or ("",))[0]
        if self._clients.take(client) or (not who.issuer and self._strangers.take("")):
            DROPPED.inc()
            return
        route, parameters = _routed(scope)
        self._refusals.note(
            Attempt(
                at=datetime.now(UTC),
                request=visit.id,
                person=who.person or None,
                issuer=who.issuer,
                subject=who.subject,
                acting_for=_identifier(visit.header(b"acting-for")),
                client=hmac.digest(self._secret, b"client " + client.encode(), hashlib.sha256)[:16].hex(),
                method=scope["method"] if scope["method"] in _METHODS else "other",
                route=route,
                case_id=_identifier(parameters.get("case_id")),
                action=visit.action,
                status=status,
                code=error.code,
                reasons=tuple(dict.fromkeys(reason.code for reason in error.reasons[:MOST_REASONS])),
            )
        )


def _is_attempt(scope: Scope, status: int, error: MediationError) -> bool:
    """Whether somebody tried what they may not: not let in, not theirs, too often, or a write that the rules refuse.

    What is undecodable, malformed, stale or without its precondition (400, 412, 422, 428) is a slip, and who was second
    of two at once has done nothing wrong.
    """
    if not scope["path"].startswith("/v1"):
        return False
    refused_write = status == _CONFLICT and scope["method"] in _WRITING and not isinstance(error, Conflict)
    return status in _AUTHORISATION or refused_write


def _routed(scope: Scope) -> tuple[str, dict[str, Any]]:
    """The template of the route, and what stands in its places; a request turned away at the gate is routed here."""
    if "route" in scope:
        return getattr(scope["route"], "path_format", "none"), scope["path_params"]
    for route in scope["app"].router.routes:
        match, found = route.matches(scope)
        if match is Match.FULL:
            return route.path_format, found["path_params"]
    return "none", {}


def _identifier(text: str | None) -> str | None:
    """A UUID, which says nothing of anybody, or None for whatever else stood in its place."""
    return text.lower() if text and _UUID.fullmatch(text.lower()) else None
