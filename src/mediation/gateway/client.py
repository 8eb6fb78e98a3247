"""A small client of our own API: a person calls, and an answer, granted or refused, is a value."""

import json
from collections.abc import Callable
from types import TracebackType
from typing import Any, NamedTuple, Self
from uuid import uuid4

import httpx2

from mediation.domain.errors import MediationError

_SECONDS = 30
_NDJSON = "application/x-ndjson"


class ApiUnreachable(MediationError):
    """Nobody answers at the address of the API."""

    code = "api_unreachable"


class Answer(NamedTuple):
    """An answer: its status, its bytes, and the version its ETag names, 0 for none."""

    status: int
    data: bytes
    version: int

    @property
    def granted(self) -> bool:
        return self.status < 300  # noqa: PLR2004  # HTTP's own number

    @property
    def body(self) -> dict[str, Any]:
        """The JSON object it is: what was asked for, or the problem."""
        found: dict[str, Any] = json.loads(self.data)
        return found


class Client:
    """Calls the API at `base_url`; `token(person)` gives the token of a person's id. Closed by its `with` block."""

    def __init__(self, base_url: str, token: Callable[[str], str]) -> None:
        self._http = httpx2.Client(base_url=base_url, timeout=_SECONDS)
        self._token = token

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def get(self, person: str, path: str, **query: str | int) -> Answer:
        """Read something as JSON."""
        return self._send("GET", path, person, query=query)

    def lines(self, person: str, path: str) -> Answer:
        """Read a history as the canonical bytes of its events, a line each."""
        return self._send("GET", path, person, headers={"Accept": _NDJSON}, query={"limit": 200})

    def file(self, person: str, body: dict[str, Any], at: str, key: str = "") -> Answer:
        """File a dispute at an instant (sandbox clock)."""
        return self._send("POST", "/v1/cases", person, body=body, headers=_step(at, key))

    def take(self, person: str, case: tuple[str, int], body: dict[str, Any], at: str, key: str = "") -> Answer:
        """Take a step at an instant (sandbox clock) in a case, named with the version it was read at."""
        case_id, version = case
        headers = _step(at, key) | {"If-Match": f'"{version}"'}
        return self._send("POST", f"/v1/cases/{case_id}/events", person, body=body, headers=headers)

    def _send(
        self,
        method: str,
        path: str,
        person: str,
        *,
        body: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        query: dict[str, Any] | None = None,
    ) -> Answer:
        sent = {"Authorization": f"Bearer {self._token(person)}", **(headers or {})}
        try:
            answer = self._http.request(method, path, json=body, headers=sent, params=query or None)
        except httpx2.TransportError as error:
            raise ApiUnreachable(zh=f"接口没有应答：{error}", en=f"The API does not answer: {error}") from error
        tag = answer.headers.get("ETag", "").strip('"')
        return Answer(answer.status_code, answer.content, int(tag) if tag.isdigit() else 0)


def _step(at: str, key: str) -> dict[str, str]:
    return {"X-Sandbox-At": at, "Idempotency-Key": key or uuid4().hex}
