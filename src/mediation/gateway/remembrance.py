"""What a witness has cosigned: of each log the newest checkpoint, in a folder that a crash leaves whole."""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from mediation.domain.errors import MediationError

_CHECKPOINT = ".checkpoint"


class BadMemory(MediationError):
    """What a witness remembers cannot be read, or is not its own: it must not sign as if it had seen nothing."""

    code = "bad_memory"
    zh = "见证方的记录不可用"
    en = "The witness's memory cannot be used"


def origin_hash(origin: str) -> str:
    """What stands for an origin in an address or a file's name: its SHA-256 in lower-case hex (tlog-witness)."""
    return sha256(origin.encode()).hexdigest()


class Remembrance:
    """The folder of a witness's memory: a file for each log, the note that was cosigned last.

    Any number of processes may share it: whoever reads a note to replace it holds that log's turn.
    """

    def __init__(self, folder: Path) -> None:
        """Make the folder where there is none. Raises BadMemory."""
        self.folder = folder
        try:
            if not folder.is_dir():
                folder.mkdir(mode=0o700, parents=True)
                _settle(folder.parent)
        except OSError as error:
            raise _unusable(folder, error) from error

    @contextmanager
    def turn(self, origin: str) -> Iterator[str]:
        """The newest note of a log, "" for none; until the block ends nobody else can keep another."""
        handle = os.open(self._place(origin).with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield self.newest(origin_hash(origin))
        finally:
            os.close(handle)

    def keep(self, origin: str, note: str) -> None:
        """Replace the note of a log, in its turn; durable on return, and after a crash the old or the new one."""
        place = self._place(origin)
        draft = place.with_suffix(f".{secrets.token_hex(8)}")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(note.encode())
                file.flush()
                os.fsync(file.fileno())
            draft.replace(place)
        finally:
            draft.unlink(missing_ok=True)
        _settle(self.folder)

    def newest(self, hashed: str) -> str:
        """The newest note of the log of this origin hash; "" for none. Raises BadMemory."""
        place = self.folder / f"{hashed}{_CHECKPOINT}"
        try:
            found = place.read_bytes().decode()
        except FileNotFoundError:
            return ""
        except (OSError, UnicodeDecodeError) as error:
            raise _unusable(place, error) from error
        if not found:  # none of ours: to have seen nothing is to have no file
            raise _unusable(place, ValueError())
        return found

    def notes(self) -> Iterator[tuple[str, str]]:
        """The origin hash and the newest note of every log."""
        for place in sorted(self.folder.glob(f"*{_CHECKPOINT}")):
            yield place.stem, self.newest(place.stem)

    def _place(self, origin: str) -> Path:
        return self.folder / f"{origin_hash(origin)}{_CHECKPOINT}"


def _settle(folder: Path) -> None:
    """Make the names in a folder durable, not only what the files hold."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _unusable(path: Path, error: Exception) -> BadMemory:
    zh, en = (str(error.strerror),) * 2 if isinstance(error, OSError) else ("不是检查点", "not a checkpoint")
    return BadMemory(zh=f"见证方的记录 {path} 不可用：{zh}", en=f"The witness's memory {path} cannot be used: {en}")
