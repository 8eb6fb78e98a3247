"""The ledger of erasures: a file beside the vault's key and outside the database, so that no backup brings back a key.

A line is written, and safe on the disk, before the key it names is destroyed. It holds ids, numbers, codes and a hash
of the wrapped key; nothing of what was erased.
"""

import errno
import fcntl
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
    """What the ledger says, in order; how many lines cannot be read; whether a crash tore the last off.

    A line is whole once its line feed is there, and nothing is erased before: what is torn off stands for no erasure.
    """

    read: tuple[Line, ...]
    damaged: int = 0
    torn: bool = False


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
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX)  # let go when it is closed
                _append(handle, msgspec.json.encode(line) + b"\n")
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
            return Lines(())
        except OSError as error:
            raise self._bad(error) from error
        *texts, last = whole.split(b"\n")
        read, damaged = [], 0
        for text in texts:
            try:
                read.append(_LINE.decode(text))
            except msgspec.MsgspecError:
                damaged += 1
        return Lines(tuple(read), damaged, bool(last))

    def _bad(self, error: OSError) -> BadLedger:
        return BadLedger(
            zh=f"删除台账 {self.path} 不可用：{error.strerror}",
            en=f"The ledger of erasures {self.path} cannot be used: {error.strerror}",
        )


def _append(handle: int, text: bytes) -> None:
    """Write all of it behind the last whole line and make it durable, or leave the whole lines as they are."""
    size = os.fstat(handle).st_size
    end = size
    while end and os.pread(handle, 1, end - 1) != b"\n":
        end -= 1
    if end < size:
        os.ftruncate(handle, end)
    try:
        if os.write(handle, text) < len(text):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # noqa: TRY301  # undone below like any other
        os.fsync(handle)
    except OSError:
        os.ftruncate(handle, end)
        raise


def _settle(folder: Path) -> None:
    """A new file is there after a crash only once its folder says so on the disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
