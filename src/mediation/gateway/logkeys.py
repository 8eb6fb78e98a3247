"""The keys of the signed logs: a secret key each, the keys it replaced, and the last checkpoint that was signed here.

They are files outside the database, so that whoever has the database cannot sign, nor take back what was signed.
"""

import fcntl
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from mediation.domain.checkpoints import Checkpoint, open_checkpoint, parse_checkpoint
from mediation.domain.errors import BadNote
from mediation.domain.notes import (
    Signer,
    Verifier,
    new_signer,
    parse_signer_key,
    parse_verifier_key,
    split_note,
)
from mediation.gateway.keys import KEY_BYTES, BadKeyFile, secret_from
from mediation.settings import Settings

_NAME = re.compile(r"[\x21-\x2a\x2c-\x7e]{1,200}")
_EPOCH = re.compile(r"/epoch-\d+\Z")


class LogKey(NamedTuple):
    """The key of one log: who signs now, whose signatures still count, and the file it lies in.

    Beside that file lie `.retired`, the keys it replaced, a vkey a line, and `.head`, the last checkpoint.
    """

    signer: Signer
    retired: tuple[Verifier, ...]
    path: Path

    @property
    def origin(self) -> str:
        """The origin of the log, which is the name of its key."""
        return self.signer.name

    @property
    def verifiers(self) -> tuple[Verifier, ...]:
        """Its own key and those it replaced, also of earlier epochs."""
        return (self.signer.verifier, *self.retired)

    @property
    def vkeys(self) -> str:
        """The verifier keys, a line each, its own first."""
        return "".join(f"{verifier.text}\n" for verifier in self.verifiers)

    def remembered(self) -> str:
        """The last checkpoint that was signed on this machine, a lower bound of the log; "" for none yet."""
        try:
            note = self._head.read_text("utf-8")
        except FileNotFoundError:
            return ""
        except (OSError, UnicodeDecodeError) as error:
            raise _unusable(self._head, str(error)) from error
        if not note:  # it was never written so: somebody has emptied it, and with it what it holds us to
            raise _unusable(self._head, "empty 空文件")
        return note

    def head(self) -> Checkpoint | None:
        """The last checkpoint that was signed on this machine, of whichever epoch. Raises BadKeyFile."""
        note = self.remembered()
        try:
            return open_checkpoint(note, self.verifiers)[0] if note else None
        except BadNote as error:
            raise _unusable(self._head, error.en) from error

    def remember(self, note: str) -> None:
        """Keep a checkpoint that was signed, where it is beyond the one kept; durable on return. Raises BadKeyFile.

        Another process may have signed a later one meanwhile: the lock on the key file says who goes first.
        """
        with _locked(self.path):
            if _size(note, self.origin) > _size(self.remembered(), self.origin):
                _put(self._head, note)

    @property
    def _head(self) -> Path:
        return self.path.with_name(f"{self.path.name}.head")


class LogKeys(NamedTuple):
    """The key of the log of events, and that of the log of who was shown what."""

    events: LogKey
    access: LogKey


def log_keys(settings: Settings) -> LogKeys:
    """The keys of both logs, made where there are none, under a name that nobody else has. Raises BadKeyFile."""
    name = f"mediation.local/{secrets.token_hex(4)}"
    keys = LogKeys(log_key(settings.log_key, name), log_key(settings.access_log_key, f"{name}/access"))
    if keys.events.origin == keys.access.origin:
        raise BadKeyFile(
            zh=f"两个日志的密钥同名（{keys.events.origin}），须各有其名：{settings.log_key}、{settings.access_log_key}",
            en=f"The keys of both logs have one name, {keys.events.origin}: {settings.log_key} and "
            f"{settings.access_log_key} need a name each",
        )
    return keys


def assert_name(name: str) -> None:
    """Refuse a name that no log can have: a recovery has to name it in codes, and `/epoch-` is its own to use.

    Raises BadKeyFile.
    """
    if not _NAME.fullmatch(name) or _EPOCH.search(name):
        raise BadKeyFile(
            zh=f"日志名称 {name!r} 不可用：1 至 200 个可见 ASCII 字符，不含空格和加号，不以 /epoch-数字 结尾",
            en=f"{name!r} cannot be the name of a log: 1 to 200 visible ASCII characters, no space or plus sign, and "
            "not ending in /epoch-<number>",
        )


def known_keys(settings: Settings) -> LogKeys | None:
    """The keys of both logs where this machine has them; nothing is made. Raises BadKeyFile."""
    if not (settings.log_key.exists() and settings.access_log_key.exists()):
        return None
    return log_keys(settings)


def log_key(path: Path, name: str) -> LogKey:
    """The key in a file; where there is none it is made under this name. Raises BadKeyFile."""
    held = secret_from(path, lambda: f"{new_signer(name, secrets.token_bytes(KEY_BYTES)).text}\n".encode())  # noqa: PLW0108  # made only where there is none
    try:
        signer = parse_signer_key(held.decode().strip())
        beside = _retired(path)
        lines = beside.read_text("utf-8").split() if beside.exists() else []
        retired = tuple(parse_verifier_key(line) for line in lines)
    except (BadNote, UnicodeDecodeError) as error:
        raise _unusable(path, str(error)) from error
    return LogKey(signer, retired, path)


def retire(key: LogKey) -> LogKey:
    """Replace the key of a log by a new one under the same name; what the old one signed still counts.

    A sequencer that runs goes on with the old one until it is started anew. Raises BadKeyFile.
    """
    return succeed(key, key.origin)


def succeed(key: LogKey, name: str) -> LogKey:
    """As `retire`, but the new key is of this name: of a log that begins anew. Raises BadKeyFile."""
    replaced = dict.fromkeys(verifier.text for verifier in (*key.retired, key.signer.verifier))
    # First of all: between the two files the old key is both in use and retired, and every signature counts.
    _put(_retired(key.path), "".join(f"{vkey}\n" for vkey in replaced))
    _put(key.path, f"{new_signer(name, secrets.token_bytes(KEY_BYTES)).text}\n")
    return log_key(key.path, name)


def forget_log(settings: Settings) -> None:
    """Remove the keys of a log whose database was just made anew: its tree is another, and needs another name."""
    for path in (settings.log_key, settings.access_log_key):
        for name in (path.name, _retired(path).name, f"{path.name}.head"):
            with suppress(FileNotFoundError):
                path.with_name(name).unlink()


def _size(note: str, origin: str) -> int:
    """How many leaves the checkpoint of a note has, -1 where there is none of this origin."""
    found = parse_checkpoint(split_note(note)[0]) if note else None
    return found.size if found and found.origin == origin else -1


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    handle = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _retired(path: Path) -> Path:
    return path.with_name(f"{path.name}.retired")


def _put(path: Path, text: str) -> None:
    """Write a file that its owner alone may read, whole or not at all; durable on return. Raises BadKeyFile."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise _unusable(path, str(error.strerror)) from error


def _unusable(path: Path, why: str) -> BadKeyFile:
    return BadKeyFile(zh=f"日志密钥文件 {path} 不可用：{why}", en=f"The log's key file {path} cannot be used: {why}")
