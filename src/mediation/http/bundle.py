"""The bundle of a case over the API: auditors, and whoever else sees it, verify it where they are."""

import asyncio
from functools import partial

from fastapi import APIRouter, Request
from starlette.responses import Response

from mediation.domain.errors import NotFound
from mediation.http.contract import ACTING, ACTING_FOR, EVERY, LANGUAGE, refusals
from mediation.http.dependencies import PRIVATE, CaseId, desk, identifier, no_query, viewing
from mediation.http.problems import TurnedAway
from mediation.service.bundles import NotYetLogged, gather, pack
from mediation.store.sight import reading

routes = APIRouter(tags=["history"])

_ZIP = "application/zip"
_PACKING = asyncio.Semaphore(2)  # a long case takes seconds: other work waits for the same threads


@routes.get(
    "/v1/cases/{case_id}/bundle",
    operation_id="show_case_bundle",
    responses={
        200: {
            "description": "卷宗包 the bundle: what is in it, docs/bundle.md",
            "content": {_ZIP: {"schema": {"type": "string", "format": "binary"}}},
            "headers": {"Content-Disposition": {"schema": {"type": "string"}}},
        },
        **refusals(*EVERY, *ACTING, "not_found", "not_yet_logged"),
    },
    response_class=Response,
    openapi_extra={"parameters": [ACTING_FOR, LANGUAGE]},
)
async def show_case_bundle(request: Request, case_id: CaseId) -> Response:
    """卷宗包：全部事件及其日志证明，不含明文，不需本服务即可校验。Every event with its proof, verified without us."""
    no_query(request)
    viewer = await viewing(request)
    here, case = desk(request), identifier(case_id)
    snapshots = here.engine.execution_options(isolation_level="REPEATABLE READ")
    keys = here.keys
    if keys is None:
        raise NotFound(
            zh="本机没有日志的密钥：请向运行者索取卷宗包",
            en="The log's keys are not on this machine: ask its operator for the bundle",
        )
    try:
        snapshot = partial(reading, snapshots, viewer)
        dossier = await gather(snapshot, case, keys.events, viewer, quorum=here.settings.published_by, patience_s=0)
    except NotYetLogged as found:
        raise TurnedAway("not_yet_logged") from found
    async with _PACKING:
        data = await asyncio.to_thread(pack, dossier, keys.events)
    said = {"Content-Disposition": f'attachment; filename="{case}.zip"'}
    return Response(data, headers=PRIVATE | said, media_type=_ZIP)
