"""Files of a secret key, which their owner alone may read, made where there are none."""

import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from mediation.domain.errors import MediationError

KEY_BYTES = 32


class BadKeyFile(MediationError):
    """The key file is not what it should be; nothing sealed with it could be opened."""

    code = "bad_key_file"
    zh = "密钥文件不可用"
    en = "The key file cannot be used"


def key_from(path: Path) -> bytes:
    """The 32 bytes of a key file, made (mode 0600) where there is none.

    Raises BadKeyFile: it cannot be made or read, has another length, or others may read it.
    """
    key = secret_from(path, lambda: secrets.token_bytes(KEY_BYTES))
    if len(key) != KEY_BYTES:
        raise BadKeyFile(
            zh=f"密钥文件 {path} 应为 {KEY_BYTES} 字节", en=f"The key file {path} must hold {KEY_BYTES} bytes"
        )
    return key


def secret_from(path: Path, make: Callable[[], bytes]) -> bytes:
    """What a secret file holds, made (mode 0600) where there is none; a file that is there is never written over.

    Raises BadKeyFile: it cannot be made or read, or others may read it.
    """
    try:
        _put(path, make)
        held, mode = path.read_bytes(), path.stat().st_mode & 0o777
    except OSError as error:
        raise BadKeyFile(
            zh=f"密钥文件 {path} 无法读取：{error.strerror}", en=f"The key file {path} cannot be read: {error.strerror}"
        ) from error
    if mode & 0o077:
        raise BadKeyFile(
            zh=f"密钥文件 {path}（{mode:04o}）可被他人读取：请执行 chmod 600 {path}",
            en=f"Others may read the key file {path} ({mode:04o}): chmod 600 {path}",
        )
    return held


def _put(path: Path, make: Callable[[], bytes]) -> None:
    if path.exists():  # whoever may only read the folder can still use the key in it
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(make())
                file.flush()
                os.fsync(file.fileno())
            os.link(draft, path)  # fails where another was first: a key file is never written over, never half there
        finally:
            draft.unlink()
