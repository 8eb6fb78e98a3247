"""The words in which routes describe themselves in the OpenAPI file: refusals, headers, bodies, answers."""

from typing import Any

from mediation.http.problems import COUNTER, HELP, family, status_of, titles
from mediation.http.schemas import Schema, ref


def _status(code: str) -> int:
    if code in COUNTER:
        return COUNTER[code].status
    kind = next(kind for kind in family() if kind.code == code)
    return status_of(kind())


def refusals(*codes: str) -> dict[int | str, dict[str, Any]]:
    """Responses for these refusals, grouped by status, each with an example."""
    grouped: dict[int | str, dict[str, Any]] = {}
    for code in codes:
        status = _status(code)
        zh, en = titles(code)
        example = {"type": f"/problems/{code}", "title": zh, "status": status, "code": code}
        if code != "not_recognised":
            example["detail"] = (COUNTER[code].help_zh, COUNTER[code].help_en)[0] if code in COUNTER else HELP[code][0]
        entry = grouped.setdefault(
            status,
            {"description": "", "content": {"application/problem+json": {"schema": ref("Problem"), "examples": {}}}},
        )
        entry["description"] = " · ".join(filter(None, (entry["description"], f"`{code}` {zh} {en}")))
        entry["content"]["application/problem+json"]["examples"][code] = {"value": example}
        if status in _HEADERS:
            entry["headers"] = _HEADERS[status]
    return grouped


_RETRY = {"Retry-After": {"schema": {"type": "integer"}, "description": "秒 seconds to wait"}}
_HEADERS: dict[int, Schema] = {
    403: {"WWW-Authenticate": {"schema": {"type": "string"}, "description": "`insufficient_scope` 时 then only"}},
    401: {"WWW-Authenticate": {"schema": {"type": "string"}}},
    405: {"Allow": {"schema": {"type": "string"}}},
    429: _RETRY,
    503: _RETRY,
}

EVERY = ("not_recognised", "insufficient_scope", "too_many_requests", "malformed", "unavailable")
BODY = ("too_large", "unsupported_media_type", "undecodable")
ACTING = ("bad_acting_for", "organisation_required", "bad_sandbox_at", "not_permitted")


def answer(description: str, schema: Schema, **more: Any) -> dict[str, Any]:  # noqa: ANN401  # OpenAPI keywords
    """A successful JSON response of this schema."""
    return {"description": description, "content": {"application/json": {"schema": schema, **more}}}


def header(name: str, description: str, *, required: bool = False, **schema: Any) -> Schema:  # noqa: ANN401  any keyword of JSON Schema
    """A header parameter, read by us and not by FastAPI."""
    return {
        "name": name,
        "in": "header",
        "required": required,
        "description": description,
        "schema": {"type": "string", **schema},
    }


ACTING_FOR = header("Acting-For", "代表单位 the organisation you act for, if you belong to several", format="uuid")
LANGUAGE = header("Accept-Language", "zh-CN（默认 default）或 or en")
IDEMPOTENCY_KEY = header(
    "Idempotency-Key",
    "幂等键 a new one per step, the same when retrying",
    required=True,
    pattern="^[A-Za-z0-9_-]{8,64}$",
)
IF_MATCH = header(
    "If-Match", "案件的 ETag the case's ETag, one strong tag", required=True, pattern='^"[1-9][0-9]{0,8}"$'
)
IF_NONE_MATCH = header("If-None-Match", "已有版本的 ETag the ETag you already have; 304 if nothing changed")
ETAG = {"ETag": {"schema": {"type": "string"}, "description": '版本 `"<version>"`'}}
LOCATION = {"Location": {"schema": {"type": "string", "format": "uri-reference"}}}


def body(model: str, **examples: Any) -> Schema:  # noqa: ANN401  # JSON values
    """A JSON request body of this component."""
    shown_examples = {name: {"value": value} for name, value in examples.items()}
    content = {"schema": ref(model), **({"examples": shown_examples} if examples else {})}
    return {"required": True, "content": {"application/json": content}}


LINKS = {
    "links": {
        "show_case": {"operationId": "show_case", "parameters": {"case_id": "$response.body#/case"}},
        "list_actions": {"operationId": "list_actions", "parameters": {"case_id": "$response.body#/case"}},
        "list_case_events": {"operationId": "list_case_events", "parameters": {"case_id": "$response.body#/case"}},
        "show_event": {"operationId": "show_event", "parameters": {"event_id": "$response.body#/event"}},
        "show_event_proof": {"operationId": "show_event_proof", "parameters": {"event_id": "$response.body#/event"}},
        "disclose": {"operationId": "disclose", "parameters": {"case_id": "$response.body#/case"}},
        "take_step": {
            "operationId": "take_step",
            "parameters": {"case_id": "$response.body#/case", "header.If-Match": "$response.header.ETag"},
        },
    }
}
"""Where the answer to a step leads."""
