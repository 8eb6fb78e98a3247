"""For whoever runs the service: is it alive, is it ready, which version is it, how does it fare."""

import os
from importlib.metadata import version

import msgspec
from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.responses import Response

from mediation.http.contract import answer, refusals
from mediation.http.dependencies import desk, no_query
from mediation.http.gate import RETRY_S
from mediation.http.problems import TurnedAway
from mediation.http.schemas import Schema

routes = APIRouter(tags=["operations"])

_OPEN: Schema = {"security": []}
_ALIVE = {"type": "object", "properties": {"status": {"type": "string"}}, "required": ["status"]}
_VERSION = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "version": {"type": "string"}, "api": {"type": "string"}},
    "required": ["name", "version", "api"],
}
_NOW = {"Cache-Control": "no-store"}


@routes.get(
    "/livez",
    operation_id="show_livez",
    responses={200: answer("存活 alive", _ALIVE), **refusals("malformed")},
    openapi_extra=_OPEN,
)
async def show_livez(request: Request) -> Response:
    """The process answers."""
    no_query(request)
    return Response(b'{"status":"ok"}', headers=_NOW, media_type="application/json")


@routes.get(
    "/readyz",
    operation_id="show_readyz",
    responses={200: answer("可接受请求 ready", _ALIVE), **refusals("malformed", "unavailable")},
    openapi_extra=_OPEN,
)
async def show_readyz(request: Request) -> Response:
    """The database answers and its schema is the newest this program knows; else 503."""
    no_query(request)
    behind = await desk(request).behind()
    if behind:
        raise TurnedAway(
            "unavailable",
            zh=f"数据库结构为 {behind}，不是最新版本：请执行 mediation migrate",
            en=f"The schema is at {behind}, not the newest: run `mediation migrate`",
            headers={"Retry-After": str(RETRY_S)},
        )
    return Response(b'{"status":"ok"}', headers=_NOW, media_type="application/json")


@routes.get(
    "/version",
    operation_id="show_version",
    responses={200: answer("版本 version", _VERSION), **refusals("malformed")},
    openapi_extra=_OPEN,
)
async def show_version(request: Request) -> Response:
    """The version of the service and of its contract."""
    no_query(request)
    said = {"name": "mediation", "version": version("mediation"), "api": "v1"}
    return Response(msgspec.json.encode(said), headers=_NOW, media_type="application/json")


@routes.get(
    "/metrics",
    operation_id="show_metrics",
    responses={
        200: {"description": "Prometheus", "content": {"text/plain": {"schema": {"type": "string"}}}},
        **refusals("malformed"),
    },
    response_class=Response,
    openapi_extra=_OPEN,
)
def show_metrics(request: Request) -> Response:
    """Measurements in the text format of Prometheus, of all workers together."""
    no_query(request)
    registry = REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # the library leaves it untyped
    return Response(generate_latest(registry), headers=_NOW, media_type=CONTENT_TYPE_LATEST)
