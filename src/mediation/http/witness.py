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
from mediation.domain.notes import Note, Signer, Verifier, open_note
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

    def recalled(self, hashed: str, note: str) -> Checkpoint | None:
        """The checkpoint of a note in the memory, of the log of this origin hash; None for "".

        Raises BadMemory: it is not what we put there. What the log alone has signed may be of any time.
        """
        if not note:
            return None  # nothing seen yet: any checkpoint may be the first
        try:
            checkpoint = parse_checkpoint(open_note(note, [self.signer.verifier]).text)
        except BadNote as found:
            raise BadMemory(
                zh=f"见证方的记录 {hashed} 与其密钥不符：{found.zh}",
                en=f"What is remembered as {hashed} does not fit the witness's key: {found.en}",
            ) from found
        if origin_hash(checkpoint.origin) != hashed:
            raise BadMemory(
                zh=f"见证方的记录 {hashed} 属于另一日志 {checkpoint.origin}",
                en=f"What is remembered as {hashed} is of another log, {checkpoint.origin}",
            )
        return checkpoint

    def remembered(self, hashed: str) -> str:
        """What was cosigned last of the log of this origin hash; "" for nothing. Raises BadMemory."""
        note = self.memory.newest(hashed)
        self.recalled(hashed, note)
        return note

    def answer(self, body: bytes) -> tuple[Verdict, str]:
        """The verdict on a request, and the cosignature line where it is 200: what it is for is durable by then.

        What shows that a log contradicts itself is written to our own log.
        Raises BadMemory, OSError: nothing is signed.
        """
        with ExitStack() as stack:
            known: Checkpoint | None = None
            held = ""

            def last(origin: str) -> tuple[int, bytes]:
                nonlocal known, held
                held = stack.enter_context(self.memory.turn(origin))
                known = self.recalled(origin_hash(origin), held)
                return (known.size, known.root) if known else (0, EMPTY)

            verdict = consider(body, self.logs, last)
            _noted(verdict, known, held)
            if verdict.status != 200 or not (verdict.checkpoint and verdict.note):  # noqa: PLR2004  # HTTP's own number
                return verdict, ""
            line = self.signer.line(verdict.note.text, int(time.time()))
            self.memory.keep(verdict.checkpoint.origin, _signed(verdict.note) + line)
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
        if verdict.status == 409:  # noqa: PLR2004  # HTTP's own number
            return Response(f"{verdict.size}\n", 409, {"Content-Type": _SIZE})  # alone: not with a charset
        return PlainTextResponse(line or f"{_WHY[verdict.status]}\n", verdict.status)

    return add_checkpoint


def _noted(verdict: Verdict, known: Checkpoint | None, held: str) -> None:
    """Two roots that a log has signed for one size are proof against it: both notes stand whole in our own log.

    A proof that does not verify shows nothing: anybody can send one with a checkpoint that is public.
    """
    asked = verdict.checkpoint
    if asked is None:
        return
    if verdict.note and known and (asked.size, asked.root) != (known.size, known.root) and asked.size == known.size:
        said = "a log contradicts itself: of size %d it has signed %r and %r"
        _log.warning(said, asked.size, held, _signed(verdict.note))
    else:
        _log.info("%d %s %d", verdict.status, asked.origin, asked.size)


def _signed(note: Note) -> str:
    return note.text + "\n" + "".join(one.line for one in note.signatures)


def _showing(witness: Witness) -> Callable[[Request], Awaitable[Response]]:
    shown = frozenset(map(origin_hash, witness.logs))

    async def checkpoint(request: Request) -> Response:
        hashed = request.path_params["origin"]
        try:
            note = await run_in_threadpool(witness.remembered, hashed) if hashed in shown else ""
        except BadMemory as found:
            _log.error("a checkpoint was not shown: %s", found.en)
            return PlainTextResponse("the witness cannot read its memory\n", 500)
        if not note:
            return PlainTextResponse("no checkpoint of this log was cosigned\n", 404)
        return PlainTextResponse(note, headers={"Cache-Control": "no-cache"})

    return checkpoint
