"""The witnesses of our logs as we reach them: asked over HTTP for cosignatures and for what they have seen (C2SP)."""

import asyncio
import re
from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple

import httpx2

from mediation.domain.checkpoints import Addition, Checkpoint, open_checkpoint
from mediation.domain.errors import BadNote, MediationError
from mediation.domain.notes import Verifier, open_note, parse_verifier_key

SECONDS = 5.0
"""A witness that has not answered by then is away."""

_LARGEST = 64 * 1024
_SIZE = re.compile(rb"(0|[1-9][0-9]{0,18})\n")


class WitnessAway(MediationError):
    """A witness does not answer, or not as it should."""

    code = "witness_away"
    zh = "见证方没有应答"
    en = "A witness does not answer"


class Witness(NamedTuple):
    """A witness we trust: its key, and where it is asked."""

    verifier: Verifier
    url: str

    @property
    def name(self) -> str:
        return self.verifier.name


class Answered(NamedTuple):
    """What a witness answered to a checkpoint: its cosignature lines, or without any the size it has seen so far."""

    lines: tuple[str, ...]
    size: int


def witnesses(pairs: Sequence[tuple[str, str]]) -> tuple[Witness, ...]:
    """The witnesses of these vkeys and addresses. Raises BadNote."""
    return tuple(Witness(parse_verifier_key(vkey), url.rstrip("/")) for vkey, url in pairs)


class Bench:
    """Where the witnesses are asked; one connection to each is kept open."""

    def __init__(self, http: httpx2.AsyncClient | None = None) -> None:
        self._http = http or httpx2.AsyncClient(timeout=SECONDS, follow_redirects=False)

    async def ask(self, witness: Witness, addition: Addition) -> Answered:
        """Ask for a cosignature. What a stranger signed is left out. Raises WitnessAway, also where none is its own."""
        status, body = await self._send("POST", f"{witness.url}/add-checkpoint", addition.text.encode())
        if status == 409:  # noqa: PLR2004  # HTTP's own number
            if not _SIZE.fullmatch(body):
                raise _away(witness, "409 without a size")
            return Answered((), int(body))
        if status != 200:  # noqa: PLR2004  # HTTP's own number
            raise _away(witness, f"{status} {body[:200].decode('ascii', 'replace').strip()}")
        text, _, _ = addition.note.rpartition("\n\n")
        try:
            signed = open_note(f"{text}\n\n{body.decode()}", [witness.verifier])
        except (BadNote, UnicodeDecodeError) as found:
            raise _away(witness, f"its cosignature does not verify: {found}") from found
        return Answered(tuple(one.line for one in signed.signatures), 0)

    async def newest(self, witness: Witness, origin: str, log: Sequence[Verifier]) -> Checkpoint | None:
        """The newest checkpoint of a log that a witness has cosigned, signed by the log and by it; None for none.

        Raises WitnessAway.
        """
        hashed = sha256(origin.encode()).hexdigest()
        status, body = await self._send("GET", f"{witness.url}/{hashed}/checkpoint")
        if status == 404:  # noqa: PLR2004  # HTTP's own number
            return None
        if status != 200:  # noqa: PLR2004  # HTTP's own number
            raise _away(witness, str(status))
        try:
            checkpoint, note = open_checkpoint(body, [witness.verifier, *log], origin)
        except BadNote as found:
            raise _away(witness, f"its checkpoint does not verify: {found}") from found
        if all((one.name, one.key_id) != (witness.name, witness.verifier.key_id) for one in note.signatures):
            raise _away(witness, "its checkpoint is without its cosignature")
        return checkpoint

    async def close(self) -> None:
        """Close every connection."""
        await self._http.aclose()

    async def _send(self, method: str, url: str, content: bytes | None = None) -> tuple[int, bytes]:
        asked = {"Accept-Encoding": "identity"}
        data = b""
        try:
            async with (
                asyncio.timeout(SECONDS),
                self._http.stream(method, url, content=content, headers=asked) as answer,
            ):
                async for part in answer.aiter_raw():
                    data += part
                    if len(data) > _LARGEST:
                        raise WitnessAway(zh=f"{url}：应答过长", en=f"{url}: it answers too much")
                return answer.status_code, data
        except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError) as failed:
            why = f"{type(failed).__name__} {failed}".strip()
            raise WitnessAway(zh=f"{url}：{why}", en=f"{url}: {why}") from failed


def _away(witness: Witness, why: str) -> WitnessAway:
    return WitnessAway(zh=f"见证方 {witness.name}：{why}", en=f"The witness {witness.name}: {why}")
