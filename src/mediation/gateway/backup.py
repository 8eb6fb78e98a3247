"""A database as one file, and back: `pg_dump` through the reader's door, `pg_restore` through the owner's."""

import os
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Conninfo

from mediation.domain.errors import MediationError
from mediation.gateway.programs import clean_environment, find_programs

# In the head of what a newer pg_restore writes; a server older than 17 stumbles over it.
_TOO_NEW = b"SET transaction_timeout = 0;\n"
_HEAD_LINES = 50


class BackupFailed(MediationError):
    """A backup could not be written or read back; what was there before still is."""

    code = "backup_failed"


class DatabaseNotEmpty(MediationError):
    """Restoring would replace what is there."""

    code = "database_not_empty"
    zh = "数据库不是空的；确要以备份替换其全部内容，请加 --force"
    en = "The database is not empty; --force replaces all that is in it"


def write_backup(reader_url: str, target: Path) -> int:
    """Write all of a database to `target` (0600, whole or not at all) and give its size in bytes.

    The vault's key file is not in it: without that file nothing personal in the backup can be read.
    Raises: BackupFailed.
    """
    draft = target.with_name(f".{target.name}.draft")
    try:
        draft.unlink(missing_ok=True)
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))  # pg_dump keeps the mode it finds
        _run("pg_dump", "--format=custom", f"--file={draft}", url=reader_url)
        with draft.open("rb") as written:
            os.fsync(written.fileno())
        draft.replace(target)
        return target.stat().st_size
    except OSError as error:
        raise BackupFailed(
            zh=f"无法写入 {target}：{error.strerror}", en=f"{target} cannot be written: {error.strerror}"
        ) from error
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


def read_backup(owner_url: str, source: Path, *, force: bool = False) -> None:
    """Put a backup into an empty database, or with `force` in place of all that is there; whole or not at all.

    Raises: DatabaseNotEmpty; BackupFailed, if `source` is no backup or does not fit.
    """
    _run("pg_restore", "--list", str(source))  # before anything is touched
    if not force and not _is_empty(owner_url):
        raise DatabaseNotEmpty
    programs = find_programs()
    restore_words = [programs.path("pg_restore"), "--no-owner", "--file=-", str(source)]
    psql_words = [programs.path("psql"), "-X", "-q", "-1", "-v", "ON_ERROR_STOP=1"]
    psql_words += ["-c", "DROP OWNED BY CURRENT_USER CASCADE", "-f", "-"]
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(restore_words, stdout=subprocess.PIPE, stderr=said, env=clean_environment()) as restore,
        subprocess.Popen(
            psql_words,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=said,
            env=_environment(owner_url),
        ) as psql,
    ):
        done = _pour(restore, psql)
        said.seek(0)
        if not done:
            raise _failed("恢复备份失败", "The backup could not be restored", said.read())


def _pour(restore: subprocess.Popen[bytes], psql: subprocess.Popen[bytes]) -> bool:
    """Feed the script to psql, and let it commit only once the script is known to be whole."""
    assert restore.stdout is not None  # noqa: S101  # both are pipes
    assert psql.stdin is not None  # noqa: S101  # as above
    with suppress(BrokenPipeError):
        for number, line in enumerate(restore.stdout):
            if line != _TOO_NEW or number > _HEAD_LINES:
                psql.stdin.write(line)
        psql.stdin.flush()
        if restore.wait() == 0:
            psql.stdin.close()  # the end of the script: psql commits
            return psql.wait() == 0
    psql.kill()  # the connection goes, and the transaction with it
    restore.kill()
    psql.wait()
    with suppress(BrokenPipeError):
        psql.stdin.close()
    return False


def _is_empty(owner_url: str) -> bool:
    owned = "SELECT count(*) FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'S') AND relowner = current_user::regrole"
    try:
        with psycopg.connect(owner_url, connect_timeout=10) as connection:
            row = connection.execute(owned).fetchone()
    except psycopg.OperationalError as error:
        raise _failed("无法连接数据库", "The database does not answer", str(error).encode()) from error
    return row is None or row[0] == 0


def _environment(url: str) -> dict[str, str]:
    """A door's address as variables: on a command line everybody could read the password."""
    names = {option.keyword.decode(): option.envvar.decode() for option in Conninfo.get_defaults() if option.envvar}
    given = conninfo_to_dict(url)
    return clean_environment(**{names[key]: str(value) for key, value in given.items() if key in names})


def _run(program: str, *words: str, url: str | None = None) -> None:
    environment = clean_environment() if url is None else _environment(url)
    path = find_programs().path(program)
    try:
        subprocess.run([path, *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=True, env=environment)
    except FileNotFoundError as error:
        raise BackupFailed(zh=f"本机没有 {program}", en=f"There is no {program} on this machine") from error
    except subprocess.CalledProcessError as error:
        raise _failed(f"{program} 失败", f"{program} failed", error.stderr) from error


def _failed(zh: str, en: str, said: bytes) -> BackupFailed:
    last = "\n".join(said.decode(errors="replace").strip().splitlines()[-3:])
    return BackupFailed(zh=f"{zh}：{last}", en=f"{en}: {last}")
