"""The counter put together: the routes behind the gate, what they stand on, and the OpenAPI file of it all."""

import gc
import json
from collections import ChainMap
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from types import ModuleType
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.routing import Match

from mediation.domain.errors import NotFound
from mediation.http import (
    administration,
    bundle,
    cases,
    disclosures,
    duedays,
    erasures,
    handoffs,
    history,
    log,
    manual,
    operations,
    oversight,
    persons,
    reference,
    retrospect,
    rules,
    statistics,
)
from mediation.http.dependencies import Desk
from mediation.http.gate import Bucket, Gate
from mediation.http.problems import TurnedAway, faults
from mediation.http.schemas import components
from mediation.http.straight import straightened
from mediation.settings import BadSetting, Settings, loopback
from mediation.store.database import AWAY

ROOMS = (
    administration,
    bundle,
    cases,
    disclosures,
    duedays,
    erasures,
    handoffs,
    history,
    retrospect,
    log,
    oversight,
    persons,
    reference,
    rules,
    operations,
    manual,
    statistics,
)
_SUMMARY = "纠纷调解案件办理接口 Case workflow for dispute mediation"
_DESCRIPTION = """\
一起纠纷、一个案件、一部历史。每一步由有权的人依有据的规则办理，并留下一条事件；已存事件若被改动，
`mediation verify` 能够发现。

One dispute, one case, one history. Every step is taken by somebody entitled to, under a rule that cites its article,
and leaves an event; tampering with stored events is found by `mediation verify`.

* 令牌 token: `Authorization: Bearer …`. 在本机可用 `mediation token` 取得。
* 办理 a step: `POST /v1/cases/{id}/events` with `If-Match` (the ETag read) and a fresh `Idempotency-Key`.
* 沙箱 in a sandbox on loopback (`MEDIATION_SANDBOX_CLOCK`) a request may carry `X-Sandbox-At`, an RFC 3339 instant.
* 拒绝 refusals are RFC 9457 problems; [every kind](/problems) is explained.
* 代码 codes are English; [the glossary](/v1/glossary) has each in Chinese.
"""
_TAGS = {
    "cases": "案件：登记、查阅、办理 to file, read and act on",
    "handoffs": "移交：收件箱与发件箱 what came in and what went out",
    "history": "历史：事件与总流 events and the feed",
    "log": "签名日志：检查点、分块、证明 the signed logs: checkpoints, tiles, proofs",
    "oversight": "监督：统计、被拒记录与访问日志 statistics, what was refused, and who was shown what",
    "administration": "管理：单位、人员、任职与管理日志 the registry, and the log of every change to it",
    "reference": "公开表：流程、词汇、区划、单位 our own tables",
    "operations": "运行 for whoever runs the service",
}


def create_app(settings: Settings | None = None) -> FastAPI:
    """The service as an ASGI application; it opens its database when it starts and closes it when it stops.

    Raises: BadSetting, as `check`.
    """
    chosen = settings or Settings.load()
    check(chosen)
    desk = Desk(chosen)
    app = FastAPI(
        title="mediation",
        summary=_SUMMARY,
        description=_DESCRIPTION,
        version="v1",
        openapi_tags=[{"name": name, "description": said} for name, said in _TAGS.items()],
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # it would tell queries, and so people's numbers
        lifespan=partial(_open, desk),
        middleware=_middleware(chosen, desk),
        exception_handlers={
            HTTPException: _route_refused,
            RequestValidationError: _query_refused,
        },
    )
    app.state.desk = desk
    for room in sorted(ROOMS, key=_last):  # a request is compared with one route after another
        app.router.routes.extend(straightened(room.routes.routes))  # not include_router, which matches every path twice
    app.openapi = partial(document, app)  # type: ignore[method-assign]  # FastAPI's own way to say it differently
    return app


def check(settings: Settings) -> None:
    """Refuse to be reached from outside with the development issuer or the sandbox clock. Raises: BadSetting."""
    if loopback(settings.host):
        return
    if settings.issuer is None:
        raise BadSetting(
            zh=f"尚未设置身份提供方（MEDIATION_ISSUER）：开发令牌只能用于本机回环地址，不能用于 {settings.host}",
            en="No identity provider is set (MEDIATION_ISSUER): the development issuer works on loopback only, "
            f"not on {settings.host}",
        )
    if settings.sandbox_clock:
        raise BadSetting(
            zh=f"沙箱时钟（MEDIATION_SANDBOX_CLOCK）只能用于本机回环地址，不能用于 {settings.host}",
            en=f"The sandbox clock (MEDIATION_SANDBOX_CLOCK) works on loopback only, not on {settings.host}",
        )


def _middleware(settings: Settings, desk: Desk) -> list[Middleware]:
    gate = Middleware(
        Gate,
        verify=desk.verify,
        knows=desk.knows,
        bucket=Bucket(settings.rate_per_minute),
        failures=Bucket(settings.failed_logins_per_minute),
        away=AWAY,
        certificate_header=(settings.client_cert_header or "").lower().encode(),
        local=settings.issuer is None or settings.sandbox_clock,
        heard=desk.heard,
    )
    if not settings.cors_origins:
        return [gate]
    cors = Middleware(
        CORSMiddleware,
        allow_origins=list(settings.cors_origins),
        allow_methods=["GET", "POST", "PUT", "DELETE"],
        allow_headers=["Authorization", "Acting-For", "If-Match", "If-None-Match", "Idempotency-Key", "Content-Type"],
        expose_headers=["ETag", "Location", "X-Request-Id", "Retry-After", "Link"],
    )
    return [cors, gate]


def _last(room: ModuleType) -> bool:
    """Whether a room's routes may come last: the others are asked for many times as often."""
    return room not in {cases, history}


@asynccontextmanager
async def _open(desk: Desk, _: FastAPI) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        await desk.open(stack)
        gc.collect()
        gc.freeze()  # what is there now stays: to look through it again and again would hold up a request for 80 ms
        yield


async def _route_refused(request: Request, error: Exception) -> Response:
    """Nothing at this path (404, as for any absent thing), or not with this method (405 and which ones there are).

    Raised as our own, so that the gate hears of every refusal and answers it.
    """
    assert isinstance(error, HTTPException)  # noqa: S101  # registered for it alone
    if error.status_code != 405:  # noqa: PLR2004  # HTTP's own number
        raise NotFound
    allowed = {
        method
        for route in request.app.router.routes
        if route.matches({**request.scope, "method": "ANY"})[0] is not Match.NONE
        for method in route.methods
    }
    raise TurnedAway("method_not_allowed", headers={"Allow": ", ".join(sorted(allowed))})


async def _query_refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101  # registered for it alone
    raise faults(error.errors())


def document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, made once."""
    if app.openapi_schema is None:
        made = get_openapi(
            title=app.title,
            version=app.version,
            summary=app.summary,
            description=app.description,
            license_info=app.license_info,
            tags=app.openapi_tags,
            routes=[route for room in ROOMS for route in room.routes.routes],
        )
        made["components"] = {
            "schemas": components(ChainMap(*(getattr(room, "SCHEMAS", {}) for room in ROOMS))),
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "at+jwt"}},
        }
        made["security"] = [{"bearer": []}]
        for operation in (o for path in made["paths"].values() for o in path.values()):
            operation["summary"] = operation.pop("description")
        app.openapi_schema = made
    return app.openapi_schema


def document_text() -> str:
    """The OpenAPI file as it is committed."""
    return json.dumps(create_app(Settings()).openapi(), ensure_ascii=False, indent=1) + "\n"
