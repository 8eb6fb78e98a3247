"""What a command makes sure of before it begins: that there is something, that the key fits, that the port is free."""

import asyncio
from typing import TYPE_CHECKING

from mediation.domain.errors import MediationError
from mediation.gateway.ledger import Ledger
from mediation.gateway.vault import BadKeyFile, Vault, key_from
from mediation.service.erasing import Replayed, replay
from mediation.settings import key_file_mode
from mediation.store.database import connect, current_revision, engine, marks, note_mark

if TYPE_CHECKING:
    from collections.abc import Collection

    from mediation.settings import Settings, Urls


class NothingYet(MediationError):
    """The database was never migrated."""

    code = "nothing_yet"
    zh = (
        "数据库还是空的：先运行 mediation migrate，或用 mediation demo 建立演示县；"
        "演示县请加 --demo。详见 mediation --help。"
    )
    en = (
        "There is nothing in the database yet: run `mediation migrate` first, or `mediation demo` for the demo county, "
        "which is meant by --demo. See `mediation --help`."
    )


class PortTaken(MediationError):
    """Nothing can be served at the address."""

    code = "port_taken"


def something_there(url: str) -> None:
    """Refuse a database that was never migrated. Raises: NothingYet, DatabaseUnreachable."""

    async def revision() -> str | None:
        async with await connect(url) as connection:
            return await current_revision(connection)

    if asyncio.run(revision()) is None:
        raise NothingYet


def check_key(settings: "Settings", noted: "Collection[bytes]") -> None:
    """Refuse a key file that cannot be used, or whose mark is not `noted`; with none noted no key is needed yet.

    Makes no key. Raises: BadKeyFile.
    """
    path = settings.key_file
    if key_file_mode(path) is None:
        if not noted:
            return
        raise BadKeyFile(
            zh=f"保险库中已有内容，但密钥文件 {path} 不在：请把原密钥文件一并带来；没有它，个人信息无法读取。",
            en=f"The vault is not empty, but its key file {path} is not there: bring the key file along, "
            "without it nothing personal can be read.",
        )
    if noted and Vault(key_from(path)).mark not in noted:
        raise BadKeyFile(
            zh=f"密钥文件 {path} 打不开保险库，它属于另一套数据：请换上原来的密钥文件。",
            en=f"The key file {path} does not open the vault, it belongs to other data: bring the right one along.",
        )
    key_from(path)


def vault_of(settings: "Settings", url: str) -> Vault:
    """The vault behind `url` under this installation's key, which is made only where none was ever used, and noted.

    Raises: BadKeyFile, DatabaseUnreachable.
    """

    async def note() -> frozenset[bytes]:
        async with await connect(url) as connection:
            await note_mark(connection, vault.mark)
            return await marks(connection)

    check_key(settings, asyncio.run(marks_behind(url)))
    vault = Vault(key_from(settings.key_file))
    check_key(settings, asyncio.run(note()))  # again: of two that begin at once with keys of their own one was first
    return vault


async def marks_behind(url: str) -> frozenset[bytes]:
    """The marks of the keys of the vault behind a door. Raises: DatabaseUnreachable."""
    async with await connect(url) as connection:
        return await marks(connection)


def erased_again(settings: "Settings", urls: "Urls") -> Replayed:
    """Destroy what the ledger of erasures says is destroyed and is there all the same.

    Raises: BadLedger, DatabaseUnreachable.
    """

    async def run() -> Replayed:
        made = engine(urls.app, 1, pooled=urls.pooled)
        try:
            return await replay(made, Ledger(settings.erasures))
        finally:
            await made.dispose()

    return asyncio.run(run())


async def port_free(host: str, port: int) -> None:
    """Refuse an address that cannot be listened on. Raises: PortTaken."""
    try:
        listening = await asyncio.get_running_loop().create_server(asyncio.Protocol, host, port)
    except OSError as error:
        raise PortTaken(
            zh=f"无法在 {host}:{port} 上监听（端口被占用或无权使用）；可用 --port 另选端口。",
            en=f"{host}:{port} cannot be listened on (it is taken, or not yours to use); --port names another.",
        ) from error
    listening.close()
    await listening.wait_closed()
