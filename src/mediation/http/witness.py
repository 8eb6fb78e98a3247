"""The counter of a witness, an app of its own: logs ask for cosignatures, monitors for what was cosigned (C2SP)."""

import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import NamedTuple

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route

from mediation.domain.checkpoints import Checkpoint, parse_checkpoint
from mediation.domain.errors import BadNote, MediationError
from mediation.domain.merkle import EMPTY
from mediation.domain.notes import Signer, Verifier, open_note
from mediation.domain.witnessing import Verdict, consider
from mediation.gateway.remembrance import BadMemory, Remembrance, origin_hash

LARGEST = 64 * 1024
"""Bytes of a request: 63 hashes and a checkpoint with many signatures are far fewer."""

_SIZE = "text/x.tlog.size"
_WHY = {
    400: "the request is malformed, or its old size is beyond the checkpoint's",
    403: "no key trusted for this origin has signed the checkpoint",
    404: "this log is not known here",
    422: "the checkpoint is not consistent with the one cosigned last",
}
_log = logging.getLogger("mediation")


class Witness(NamedTuple):
    """Who cosigns, the keys trusted for each origin, and what was cosigned so far."""

    signer: Signer
    logs: Mapping[str, Sequence[Verifier]]
    memory: Remembrance

    def recalled(self, note: str) -> Checkpoint | None:
        """The checkpoint of a note in the memory; None for "". Raises BadMemory: it is not what we put there."""
        if not note:
            return None  # nothing seen yet: any checkpoint may be the first
        ours = [self.signer.verifier, *(key for keys in self.logs.values() for key in keys)]
        try:
            return parse_checkpoint(open_note(note, ours).text)
        except BadNote as found:
            raise BadMemory(
                zh=f"见证方的记录与其密钥不符：{found.zh}", en=f"The memory does not fit the witness's key: {found.en}"
            ) from found

    def answer(self, body: bytes) -> tuple[Verdict, str]:
        """The verdict on a request, and the cosignature line where it is 200: what it is for is durable by then.

        Raises BadMemory, OSError: nothing is signed.
        """
        with ExitStack() as stack:

            def last(origin: str) -> tuple[int, bytes]:
                known = self.recalled(stack.enter_context(self.memory.turn(origin)))
                return (known.size, known.root) if known else (0, EMPTY)

            verdict = consider(body, self.logs, last)
            if verdict.status != 200 or not (verdict.checkpoint and verdict.note):  # noqa: PLR2004  # HTTP's own number
                return verdict, ""
            line = self.signer.line(verdict.note.text, int(time.time()))
            signed = "".join(one.line for one in verdict.note.signatures)
            self.memory.keep(verdict.checkpoint.origin, f"{verdict.note.text}\n{signed}{line}")
        return verdict, line


def witness_app(witness: Witness, prefix: str = "") -> Starlette:
    """The app, its calls below `prefix` ("" or a path that begins with a slash)."""
    calls = [
        Route("/add-checkpoint", _adding(witness), methods=["POST"]),
        Route("/{origin}/checkpoint", _showing(witness), methods=["GET"]),
    ]
    return Starlette(
        routes=[Route("/livez", _live, methods=["GET"]), *([Mount(prefix, routes=calls)] if prefix else calls)]
    )


async def _live(_request: Request) -> Response:
    return PlainTextResponse("ok\n")


def _adding(witness: Witness) -> Callable[[Request], Awaitable[Response]]:
    async def add_checkpoint(request: Request) -> Response:
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > LARGEST:
                return PlainTextResponse("the request is too large\n", 413, {"Connection": "close"})
        try:
            # A lock is waited for and a disk written to: not in the loop.
            verdict, line = await run_in_threadpool(witness.answer, body)
        except (MediationError, OSError) as found:
            _log.error("nothing was cosigned: %s", found.en if isinstance(found, MediationError) else found)
            return PlainTextResponse("the witness cannot remember what it would sign\n", 500)
        _noted(verdict)
        if verdict.status == 409:  # noqa: PLR2004  # HTTP's own number
            return Response(f"{verdict.size}\n", 409, {"Content-Type": _SIZE})  # alone: not with a charset
        return PlainTextResponse(line or f"{_WHY[verdict.status]}\n", verdict.status)

    return add_checkpoint


def _noted(verdict: Verdict) -> None:
    """What a log has signed and is not consistent is proof against it: kept whole in our own log."""
    if verdict.status == 422 and verdict.note:  # noqa: PLR2004  # HTTP's own number
        signed = verdict.note.text + "\n" + "".join(one.line for one in verdict.note.signatures)
        _log.warning("a log contradicts itself at size %d; it has signed %r", verdict.size, signed)
    elif verdict.checkpoint:
        _log.info("%d %s %d", verdict.status, verdict.checkpoint.origin, verdict.checkpoint.size)


def _showing(witness: Witness) -> Callable[[Request], Awaitable[Response]]:
    shown = frozenset(map(origin_hash, witness.logs))

    async def checkpoint(request: Request) -> Response:
        hashed = request.path_params["origin"]
        try:
            note = await run_in_threadpool(witness.memory.newest, hashed) if hashed in shown else ""
        except BadMemory as found:
            _log.error("a checkpoint was not shown: %s", found.en)
            return PlainTextResponse("the witness cannot read its memory\n", 500)
        if not note:
            return PlainTextResponse("no checkpoint of this log was cosigned\n", 404)
        return PlainTextResponse(note, headers={"Cache-Control": "no-cache"})

    return checkpoint
