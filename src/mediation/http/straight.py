"""Routes lead straight to their handlers where there is nothing to solve on the way."""

import json
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
    """These routes, each of which leaves FastAPI out where its handler takes no more than the request itself tells.

    That is the request, the texts in its path, and a model of the query. FastAPI would find the same at several times
    the price. It describes the routes in any case, and says what is wrong with a query.
    """
    for route in routes:
        models = _models(route) if isinstance(route, APIRoute) else None
        if models is not None and isinstance(route, APIRoute):
            route.app = partial(_straight, route.endpoint, models, route.app)
    return list(routes)


async def _straight(
    handler: Callable[..., Awaitable[Response]],
    models: dict[str, type[BaseModel]],
    solving: ASGIApp,
    scope: Scope,
    receive: Receive,
    send: Send,
) -> None:
    request = Request(scope, receive, send)
    said = request.query_params.multi_items() if scope["query_string"] else []
    given = dict(said)
    try:
        wanted = {name: model.model_validate(given) for name, model in models.items()}
    except ValidationError:
        wanted = None
    if wanted is None or len(given) < len(said) or (said and not models):
        await solving(scope, receive, send)
        return
    response = await handler(request, **scope["path_params"], **wanted)
    await response(scope, receive, send)


def _models(route: APIRoute) -> dict[str, type[BaseModel]] | None:
    """The models of a query that a handler takes by name; None where anything else must be solved."""
    wanted = route.dependant
    if wanted.header_params or wanted.cookie_params or wanted.body_params or wanted.dependencies:
        return None
    if not iscoroutinefunction(route.endpoint):  # it is for a thread
        return None
    if wanted.request_param_name != "request" or any(p.field_info.annotation is not str for p in wanted.path_params):
        return None
    models = {field.name: field.field_info.annotation for field in wanted.query_params}
    plain = {name: kind for name, kind in models.items() if isinstance(kind, type) and issubclass(kind, BaseModel)}
    return plain if len(plain) == len(models) <= 1 and not any(map(_repeats, plain.values())) else None


def _repeats(model: type[BaseModel]) -> bool:
    """Whether it takes a parameter more than once, as a list of values."""
    return '"array"' in json.dumps(model.model_json_schema())
