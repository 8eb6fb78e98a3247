"""The ledger of erasures: a file beside the vault's key and outside the database, so that no backup brings back a key.

A line is written, and safe on the disk, before the key it names is destroyed. It holds ids, numbers, codes and a hash
of the wrapped key; nothing of what was erased.
"""

import os
from pathlib import Path
from typing import Annotated, NamedTuple

import msgspec

from mediation.domain.errors import MediationError
from mediation.domain.facts import Instant


class BadLedger(MediationError):
    """The ledger of erasures cannot be read or written; nothing is erased without it."""

    code = "bad_ledger"
    zh = "删除台账不可用"
    en = "The ledger of erasures cannot be used"


class Line(msgspec.Struct, frozen=True):
    """A key that is to be gone: of a case's party by number (0: of its text), as it was wrapped (SHA-256, hex)."""

    case: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")]
    subject: Annotated[int, msgspec.Meta(ge=0, le=9999)]
    key: str
    ground: str
    at: Instant


class Lines(NamedTuple):
    """What the ledger says, in order; `torn` lines are those of a crash while they were written, before any erasure."""

    read: tuple[Line, ...]
    torn: int


_LINE = msgspec.json.Decoder(Line)


class Ledger:
    """The file at `path`, which only grows; it is made (0600) with its first line."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, line: Line) -> None:
        """Append a line; durable on return. Raises BadLedger."""
        try:
            new = not self.path.exists()
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                os.write(handle, self._gap() + msgspec.json.encode(line) + b"\n")  # one write: lines do not mix
                os.fsync(handle)
            finally:
                os.close(handle)
            if new:
                _settle(self.path.parent)
        except OSError as error:
            raise self._bad(error) from error

    def lines(self) -> Lines:
        """All of it; empty where there is no file. Raises BadLedger."""
        try:
            whole = self.path.read_bytes()
        except FileNotFoundError:
            return Lines((), 0)
        except OSError as error:
            raise self._bad(error) from error
        read, torn = [], 0
        for text in whole.split(b"\n"):
            if text:
                try:
                    read.append(_LINE.decode(text))
                except msgspec.MsgspecError:
                    torn += 1
        return Lines(tuple(read), torn)

    def _gap(self) -> bytes:
        """A line feed behind a line that was torn off, so that the next is one of its own."""
        with self.path.open("rb") as file:
            if not file.seek(0, os.SEEK_END):
                return b""
            file.seek(-1, os.SEEK_END)
            return b"" if file.read(1) == b"\n" else b"\n"

    def _bad(self, error: OSError) -> BadLedger:
        return BadLedger(
            zh=f"删除台账 {self.path} 不可用：{error.strerror}",
            en=f"The ledger of erasures {self.path} cannot be used: {error.strerror}",
        )


def _settle(folder: Path) -> None:
    """A new file is there after a crash only once its folder says so on the disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
