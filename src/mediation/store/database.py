"""The connections to PostgreSQL: the hot path's pool, the engine for the rest, the only commit, and the migrations."""

from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import alembic.command
import psycopg
import psycopg_pool
import sqlalchemy.exc
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, create_engine, make_url, pool, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from mediation.domain.errors import MediationError, Reason
from mediation.settings import APP_LIMITS, KNOWN_POSTGRES, Urls
from mediation.store.line import Line

__all__ = [
    "AWAY",
    "FAULTS",
    "Condition",
    "DatabaseUnreachable",
    "MigrationFailed",
    "UnknownSchema",
    "UnsafeDatabase",
    "Urls",
    "assert_durable",
    "condition",
    "connect",
    "current_revision",
    "dangers",
    "engine",
    "head_revision",
    "hot_pool",
    "marks",
    "migrate",
    "note_mark",
    "parameters",
    "role_powers",
    "session",
    "transaction",
]

MIGRATIONS = Path(__file__).parents[3] / "migrations"
"""Beside `src/`, in a clone and in the image alike, both of which install this project from its folder."""

_OPENING_SECONDS = 10
_ALIVE: dict[str, Any] = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
_LIMITS = " ".join(f"-c {name}={value}" for name, value in APP_LIMITS.items())


class DatabaseUnreachable(MediationError):
    """The database does not answer at the address that was given."""

    code = "database_unreachable"
    zh = "无法连接数据库"
    en = "The database does not answer"


class UnsafeDatabase(MediationError):
    """The database could lose what it has acknowledged, or the application may do more than it should."""

    code = "unsafe_database"
    zh = "数据库设置不安全"
    en = "The database is not safe to use"


AWAY: tuple[type[Exception], ...] = (
    DatabaseUnreachable,
    psycopg.OperationalError,  # and with it the pool's own: no connection in time, or closed
    psycopg.InterfaceError,
    sqlalchemy.exc.OperationalError,
    sqlalchemy.exc.InterfaceError,
    sqlalchemy.exc.TimeoutError,
)
"""Errors that mean: the database is away or overburdened, the same request may succeed later."""


FAULTS: tuple[type[Exception], ...] = (psycopg.Error, psycopg_pool.PoolTimeout, SQLAlchemyError)
"""Whatever else may come from the database or on the way to it."""


class MigrationFailed(MediationError):
    """The schema could not be brought to its newest revision; it is as it was."""

    code = "migration_failed"


class UnknownSchema(MediationError):
    """The database was made by a version of this program that this one does not know; it is as it was."""

    code = "unknown_schema"


class Condition(NamedTuple):
    """How a database stands, seen through one door."""

    version: int  # as server_version_num: 180006 is 18.6
    fsync: str
    synchronous_commit: str
    full_page_writes: str
    role: str
    superuser: bool  # by itself or through a role it is a member of, and so for the next
    bypasses_rls: bool
    owned: int  # tables, views, sequences and functions


_CONDITION = """
SELECT current_setting('server_version_num')::int, current_setting('fsync'), current_setting('synchronous_commit'),
       current_setting('full_page_writes'), session_user::text, bool_or(r.rolsuper), bool_or(r.rolbypassrls),
       (SELECT count(*) FROM pg_class WHERE relowner = session_user::regrole)
         + (SELECT count(*) FROM pg_proc WHERE proowner = session_user::regrole)
  FROM pg_roles r WHERE pg_has_role(session_user, r.oid, 'MEMBER')
"""


def _sqlalchemy(url: str) -> URL:
    try:
        return make_url(url).set(drivername="postgresql+psycopg")
    except (SQLAlchemyError, ValueError) as error:
        raise _no_address() from error


def parameters(url: str) -> dict[str, str]:
    """What an address says, as libpq reads it: host, user, sslmode …; nothing where it is none."""
    try:
        return {name: str(value) for name, value in psycopg.conninfo.conninfo_to_dict(url).items()}
    except psycopg.ProgrammingError:
        return {}


async def connect(url: str) -> psycopg.AsyncConnection[Any]:
    """One connection in autocommit, for checks. Raises: DatabaseUnreachable."""
    try:
        return await psycopg.AsyncConnection.connect(url, autocommit=True, connect_timeout=_OPENING_SECONDS, **_ALIVE)
    except psycopg.ProgrammingError as error:
        raise _no_address() from error
    except psycopg.OperationalError as error:
        raise _unreachable(error) from error


async def hot_pool(url: str, size: int, *, pooled: bool = False) -> psycopg_pool.AsyncConnectionPool[Line]:
    """The open pool of the hot path: `size` connections in autocommit that prepare each statement at its first use.

    A connection knows at once when the server drops it. The caller closes the pool.
    `pooled`: a pooler in transaction mode is at `url`; nothing is prepared, as each statement may meet another session.
    Raises: DatabaseUnreachable, if not all connections stand within ten seconds; UnsafeDatabase, if `pooled` and the
    role does not bring the limits of a session.
    """
    async with await connect(url) as tried:  # a wrong address is told at once and why; the pool would only time out
        if pooled:
            await _assert_limited(tried)
    made = psycopg_pool.AsyncConnectionPool(
        url,
        connection_class=Line,
        kwargs={"autocommit": True, "prepare_threshold": 0, **session(pooled=pooled)},
        min_size=size,
        max_size=size,
        configure=_listening,
        timeout=5.0,  # seconds a request waits for a connection
        # Seconds of ever rarer attempts to connect; then whoever asks for a connection has one tried at once, so that a
        # database that was away for an hour is not left alone for minutes after its return.
        reconnect_timeout=3.0,
        name="hot",
        open=False,
    )
    made._pool = _Stack()  # noqa: SLF001  # psycopg's has no other way to say it
    try:
        await made.open(wait=True, timeout=_OPENING_SECONDS)
    except psycopg_pool.PoolTimeout as error:
        await made.close()
        raise _unreachable(error) from error
    except BaseException:  # who opens it may be told to leave; left half open, its tasks keep the loop from ending
        await made.close()
        raise
    return made


class _Stack(deque[Line]):
    """Idle connections of a pool, the one used last taken first: what it works with still lies in the CPU's caches.

    Taken in turn, as psycopg's pool does, sixteen cost PostgreSQL a third more for the same reads (`make bench`).
    """

    def popleft(self) -> Line:
        return self.pop()


async def _listening(line: Line) -> None:
    line.listen()


def engine(url: str, size: int = 5, *, pooled: bool = False) -> AsyncEngine:
    """SQLAlchemy's engine for all that is not the hot path; errors hide the values of their statement.

    `pooled`: as of `hot_pool`.
    """
    return create_async_engine(
        _sqlalchemy(url),
        pool_size=size,
        max_overflow=0,
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args=session(pooled=pooled),
    )


def session(limits: str = _LIMITS, *, pooled: bool = False) -> dict[str, Any]:
    """How psycopg begins a session of the application, whose limits are given as options of the server.

    A pooler in transaction mode refuses the options, and knows nothing of what was prepared in another session.
    """
    own: dict[str, Any] = {"prepare_threshold": None} if pooled else {"options": limits}
    return {"application_name": "mediation", **own}


async def _assert_limited(connection: psycopg.AsyncConnection[Any]) -> None:
    """Refuse a role whose sessions are without limits or without the queue, where no session can ask for them."""
    asked = "SELECT name FROM pg_settings WHERE name = ANY (%s) AND setting = '0'"
    names = [name for name in APP_LIMITS if name.endswith("_timeout")]
    missing = [name async for (name,) in await connection.execute(asked, (names,))]
    path = await (await connection.execute("SELECT 'jobs' = ANY (current_schemas(false))")).fetchone()
    if missing or path == (False,):
        mended = "".join(f"\nALTER ROLE mediation_app SET {name} = '{value}';" for name, value in APP_LIMITS.items())
        mended += "\nALTER ROLE mediation_app SET search_path = public, jobs;"
        raise UnsafeDatabase(
            zh=f"经事务池连接时，会话的限制须设在角色上。由数据库超级用户执行：{mended}",
            en=f"Behind a pooler the role must bring the limits of a session. As a superuser of the database:{mended}",
        )


@asynccontextmanager
async def transaction(engine: AsyncEngine, context: Mapping[str, str] | None = None) -> AsyncIterator[AsyncConnection]:
    """The only commit for work of several statements: at the end of the block, or nothing if it raises.

    `context` is who acts, for row-level security: settings such as `mediation.actor`, gone with the transaction.
    """
    async with engine.begin() as connection:
        for name, value in (context or {}).items():
            await connection.execute(text("SELECT set_config(:name, :value, true)"), {"name": name, "value": value})
        yield connection


async def condition(connection: psycopg.AsyncConnection[Any]) -> Condition:
    """Ask a connection how its database and its role stand."""
    row = await (await connection.execute(_CONDITION)).fetchone()
    assert row is not None  # noqa: S101  # an aggregate gives one row always
    return Condition(*row)


async def role_powers(connection: psycopg.AsyncConnection[Any]) -> dict[str, tuple[bool, bool]]:
    """Our roles as the server has them: name to (superuser, bypasses row-level security)."""
    rows = await connection.execute(
        r"SELECT rolname, rolsuper, rolbypassrls FROM pg_roles WHERE rolname LIKE 'mediation\_%'"
    )
    return {name: (superuser, bypasses) async for name, superuser, bypasses in rows}


def dangers(seen: Condition) -> list[Reason]:
    """What makes a database unsafe behind the application's door: empty if nothing does."""
    durable = [
        Reason(
            "not_durable", f"{name} 为 off：断电会丢失已确认的数据", f"{name} is off: a crash loses what was confirmed"
        )
        for name in ("fsync", "synchronous_commit", "full_page_writes")
        if getattr(seen, name) == "off"
    ]
    role = [
        Reason("role_too_strong", f"应用角色 {seen.role} {zh}", f"the application's role {seen.role} {en}")
        for wrong, zh, en in (
            (seen.superuser, "是超级用户", "is a superuser"),
            (seen.bypasses_rls, "可绕过行级安全（BYPASSRLS）", "bypasses row-level security (BYPASSRLS)"),
            (seen.owned, "拥有数据库对象", "owns objects of the database"),
        )
        if wrong
    ]
    if seen.version // 10000 in KNOWN_POSTGRES:
        return durable + role
    known = f"PostgreSQL {KNOWN_POSTGRES[0]}–{KNOWN_POSTGRES[-1]}"
    return [Reason("unknown_version", f"只支持 {known}", f"only {known} is known to work"), *durable, *role]


async def assert_durable(connection: psycopg.AsyncConnection[Any]) -> None:
    """Refuse a database that could lose what it has confirmed, or an application's role that may too much.

    Raises: UnsafeDatabase, with every reason.
    """
    found = dangers(await condition(connection))
    if found:
        raise UnsafeDatabase(
            *found,
            zh="数据库设置不安全：" + "；".join(reason.zh for reason in found),
            en="The database is not safe to use: " + "; ".join(reason.en for reason in found),
        )


# ── migrations ──


def migrate(owner_url: str) -> str | None:
    """Bring the schema to its newest revision, in one transaction, one process at a time; gives that revision.

    Raises: DatabaseUnreachable; MigrationFailed, if a migration fails or the files are not there; UnknownSchema.
    """
    config = _alembic()
    made = create_engine(
        _sqlalchemy(owner_url), poolclass=pool.NullPool, connect_args={"connect_timeout": _OPENING_SECONDS}
    )
    try:
        with made.connect() as connection:
            _assert_known(connection)
            config.attributes["connection"] = connection
            try:
                alembic.command.upgrade(config, "head")
            except (alembic.util.CommandError, SQLAlchemyError) as error:
                raise MigrationFailed(zh=f"数据库迁移失败：{error}", en=f"The migration failed: {error}") from error
    except SQLAlchemyError as error:
        raise _unreachable(error) from error
    return head_revision()


def _assert_known(connection: Connection) -> None:
    """Refuse what another line of versions made: its tables may have our names and not be ours."""
    found = MigrationContext.configure(connection).get_current_revision()
    connection.rollback()  # looking began a transaction, and the migrations want their own
    if found and found not in {one.revision for one in ScriptDirectory.from_config(_alembic()).walk_revisions()}:
        raise UnknownSchema(
            zh=f"数据库由另一版本的程序建立（结构 {found}，本版本不认识），未作任何改动：请用原版本打开，"
            "或另设 MEDIATION_DATA_DIR（或另建数据库）重新开始。",
            en=f"Another version of this program made the database (its schema is {found}, unknown to this one); "
            "nothing was changed. Open it with that version, or begin anew: in another MEDIATION_DATA_DIR, "
            "or another database.",
        )


async def current_revision(connection: psycopg.AsyncConnection[Any]) -> str | None:
    """The revision a database is at; None before the first migration."""
    seen = await (await connection.execute("SELECT to_regclass('alembic_version')")).fetchone()
    if seen is None or seen[0] is None:
        return None
    row = await (await connection.execute("SELECT version_num FROM alembic_version")).fetchone()
    return row[0] if row else None


async def marks(connection: psycopg.AsyncConnection[Any]) -> frozenset[bytes]:
    """The marks of the keys that the vault was sealed with; none before the first use, or the first migration."""
    seen = await (await connection.execute("SELECT to_regclass('vault_marks')")).fetchone()
    if seen is None or seen[0] is None:
        return frozenset()
    return frozenset([mark async for (mark,) in await connection.execute("SELECT mark FROM vault_marks")])


async def note_mark(connection: psycopg.AsyncConnection[Any], mark: bytes) -> None:
    """Note the key that the vault is sealed with, where none is noted yet."""
    noted = "INSERT INTO vault_marks (mark) SELECT %s WHERE NOT EXISTS (SELECT FROM vault_marks) ON CONFLICT DO NOTHING"
    await connection.execute(noted, (mark,))


@cache
def head_revision() -> str | None:
    """The newest revision that this program knows."""
    return ScriptDirectory.from_config(_alembic()).get_current_head()


def _alembic() -> Config:
    if not (MIGRATIONS / "env.py").exists():
        raise MigrationFailed(
            zh=f"找不到迁移文件 {MIGRATIONS}：请在项目目录中安装（pip install -e .），或使用镜像。",
            en=f"The migrations are not at {MIGRATIONS}: install from a clone (pip install -e .), or use the image.",
        )
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _no_address() -> DatabaseUnreachable:
    """Its words are kept back: they may hold a password."""
    return DatabaseUnreachable(
        zh="数据库地址无法辨认，应形如 postgresql://角色:口令@主机/库名",
        en="The address of the database is none: it looks like postgresql://role:password@host/name",
    )


def _unreachable(error: Exception) -> DatabaseUnreachable:
    said = str(error.__cause__ or error).strip().splitlines()[0]
    return DatabaseUnreachable(zh=f"无法连接数据库：{said}", en=f"The database does not answer: {said}")
