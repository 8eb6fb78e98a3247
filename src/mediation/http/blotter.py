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
"""Attempts of one client that are written down a minute, in one process, and as many of those that only say again what
was refused within the minute: nobody's noise leaves no room for what they try behind it."""
STRANGERS_PER_MINUTE = 600
"""Those of all clients together that nobody has vouched for: who has many addresses fills no disk."""
FLOOD = "flood"
"""The code of the one attempt a minute that stands for those of its client which find no room."""

_AUTHORISATION = frozenset({401, 403, 404, 429})
_ABSENT = 404
_CONFLICT = 409
_WRITING = frozenset({"POST", "PUT", "DELETE"})
_METHODS = _WRITING | {"GET", "HEAD", "PATCH", "OPTIONS"}
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Blotter:
    """Takes down refused attempts in one process. `secret` keys the hashes of clients."""

    def __init__(self, secret: bytes, refusals: Refusals) -> None:
        self._secret = secret
        self._refusals = refusals
        self._same = Bucket(1)
        self._first = Bucket(PER_MINUTE)
        self._again = Bucket(PER_MINUTE)
        self._strangers = Bucket(STRANGERS_PER_MINUTE)
        self._floods = Bucket(1)

    def note(self, scope: Scope, visit: Visit, error: MediationError) -> None:
        """Write down this refusal if it is an attempt: neither path, query, body nor address."""
        status = status_of(error)
        who = visit.principal
        if not _is_attempt(scope, status, error) or (status == _ABSENT and not who.issuer):
            return  # without a token nothing is looked for but in what is for anybody: the hashes of a log
        client = f"{who.issuer} {who.subject}" if who.issuer else (scope.get("client") or ("",))[0]
        route, parameters = _routed(scope)
        case = _identifier(parameters.get("case_id"))
        said = f"{client} {route} {case} {visit.action} {error.code}"
        code = self._room(client, said, error.code, stranger=not who.issuer)
        if not code:
            DROPPED.inc()
            return
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
                case_id=case,
                action=visit.action,
                status=status,
                code=code,
                reasons=tuple(dict.fromkeys(reason.code for reason in error.reasons[:MOST_REASONS])),
            )
        )

    def _room(self, client: str, said: str, code: str, *, stranger: bool) -> str:
        """The code under which this is written down; empty: it is not."""
        budget = self._again if self._same.take(said) else self._first
        if not budget.take(client) and not (stranger and self._strangers.take("")):
            return code
        if not self._floods.take(client) and not (stranger and self._strangers.take("")):
            return FLOOD
        return FLOOD if stranger and not self._floods.take("") else ""  # one for all that nobody has vouched for


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
