"""Routes lead straight to their handlers where there is nothing to solve on the way."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from inspect import iscoroutinefunction

from fastapi import Request
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send


def straightened(routes: Sequence[BaseRoute]) -> list[BaseRoute]:
    """These routes, each of which leaves FastAPI out where a request has no query and its handler takes no more of it.

    That is the request, the texts in its path, and models of the query, which are then as they are by default. FastAPI
    would find the same at several times the price. It describes the routes in any case.
    """
    for route in routes:
        default = _default(route) if isinstance(route, APIRoute) else None
        if default is not None and isinstance(route, APIRoute):
            route.app = partial(_straight, route.endpoint, default, route.app)
    return list(routes)


async def _straight(
    handler: Callable[..., Awaitable[Response]],
    default: dict[str, BaseModel],
    solving: ASGIApp,
    scope: Scope,
    receive: Receive,
    send: Send,
) -> None:
    if scope["query_string"]:
        await solving(scope, receive, send)
        return
    response = await handler(Request(scope, receive, send), **scope["path_params"], **default)
    await response(scope, receive, send)


def _default(route: APIRoute) -> dict[str, BaseModel] | None:
    """The models of a query that a handler takes, as they are without one; None where anything must be solved."""
    wanted = route.dependant
    if wanted.header_params or wanted.cookie_params or wanted.body_params or wanted.dependencies:
        return None
    if not iscoroutinefunction(route.endpoint):  # it is for a thread
        return None
    if wanted.request_param_name != "request" or any(p.field_info.annotation is not str for p in wanted.path_params):
        return None
    try:
        return {field.name: _model(field.field_info.annotation)() for field in wanted.query_params}
    except (ValidationError, TypeError):
        return None


def _model(annotation: object) -> type[BaseModel]:
    """Raises TypeError for what is no model."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    raise TypeError
