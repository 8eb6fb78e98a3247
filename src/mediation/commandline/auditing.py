"""The commands `export`: what leaves the house for whoever verifies it elsewhere, a case's bundle first."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from mediation.commandline.speech import Demo, pick, read_settings, say

if TYPE_CHECKING:  # `--help` does not need them
    from mediation.gateway.logkeys import LogKey
    from mediation.service.bundles import Dossier, Reading
    from mediation.settings import Settings, Urls
    from mediation.store.append import Context
    from mediation.store.dossiers import AsyncConnection

app = typer.Typer()
export = typer.Typer(no_args_is_help=True, help="Take histories out, to be verified elsewhere. 导出，供异地校验")
app.add_typer(export, name="export")

_LEAST_WORDS, _MOST_WORDS = 2, 200  # as of POST …/disclosures


@export.command()
def bundle(
    case: Annotated[str, typer.Argument(metavar="CASE", help="Its number or id. 案号或案件 id")],
    *,
    file: Annotated[Path, typer.Option("--output", "-o", dir_okay=False, help="The zip. 卷宗包（zip）")],
    force: Annotated[bool, typer.Option(help="Replace the file if it is there. 文件已存在则替换")] = False,
    disclosures: Annotated[bool, typer.Option("--disclosures", help="With plain values. 附明文")] = False,
    person: Annotated[
        str | None, typer.Option("--as", metavar="PERSON", help="Who is to see them: code or id. 查看人")
    ] = None,
    org: Annotated[
        str | None, typer.Option("--acting-for", metavar="ORG", help="For which body: code or id. 代表单位")
    ] = None,
    purpose: Annotated[
        str | None,
        typer.Option("--purpose", metavar="TEXT", help="What for; it is logged. 用途（记入访问日志）"),
    ] = None,
    demo: Demo = False,
) -> None:
    """Write a case's whole history, with the proof of every event, into one zip. 导出案件卷宗包

    Whoever has it verifies it without us: `sh verify.sh <key of the log>` in the unpacked folder, or `mediation verify
    --bundle FILE`. VERIFY.md in it says how. It holds codes and digests only; with --disclosures also those plain
    values that this person may see in this case, which is written to the access log before.

    收到的人不需要本系统即可校验：解开后执行 sh verify.sh <日志公钥>，或 mediation verify --bundle FILE。
    包内只有代码和摘要；加 --disclosures 时附上该人员在本案有权查看的明文，并先记入访问日志。
    """
    wants = _wanted(person, org, purpose, disclosures=disclosures)
    if file.exists() and not force:
        say(f"{file} 已存在；要替换请加 --force。", f"{file} is there; --force replaces it.", to_stderr=True)
        raise typer.Exit(1)
    if not file.parent.is_dir():  # told before the access log is
        say(f"没有目录 {file.parent}。", f"There is no folder {file.parent}.", to_stderr=True)
        raise typer.Exit(1)
    from mediation.commandline.readiness import something_there
    from mediation.gateway.embedded import database_ready
    from mediation.gateway.keys import BadKeyFile
    from mediation.gateway.logkeys import known_keys

    settings = read_settings(database="demo" if demo else None)
    with database_ready(settings, *(("reader", "app") if disclosures else ("reader",))) as urls:
        something_there(urls.reader)
        held = known_keys(settings)
        if held is None:
            raise BadKeyFile(
                zh=f"没有日志密钥 {settings.log_key}：请在持有密钥的机器上执行",
                en=f"There is no key of the log at {settings.log_key}: do this where it is",
            )
        key = held.events
        dossier, data = asyncio.run(_bundle(settings, urls, case, key, wants))
    _write(file, data, 0o600 if wants else 0o644)
    count, size = len(dossier.events), dossier.published.size
    say(
        f"已写入 {file}：{count}个事件，均在日志 {key.origin}（共{size}条）的检查点之下；写入前已校验。",
        f"Written to {file}: {count} events under the checkpoint of {size} leaves of {key.origin}; verified first.",
    )


@export.command("log")
def log_(
    folder: Annotated[Path, typer.Argument(metavar="DIR", file_okay=False, help="Its folder, of this log alone. 目录")],
    *,
    access: Annotated[bool, typer.Option("--access", help="The log of who was shown what. 访问日志")] = False,
    epoch: Annotated[
        int | None,
        typer.Option(metavar="POSITION", help="An earlier one, by its first position. 恢复之前的日志（首叶位置）"),
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Read every file there again. 重新核对已有文件")] = False,
    demo: Demo = False,
) -> None:
    """Write the whole signed log as files, so that any monitor can follow it. 导出整个签名日志

    The tree of C2SP tlog-tiles with every entry (codes and digests), at its published checkpoint. Stopped at any
    instant it goes on when it is called again; later it adds what is new, and with --check it replaces what was spoilt.
    After `mediation log recover` a new log goes into a folder of its own; --epoch 1 still exports the first one.
    `mediation verify --tiles DIR` verifies it.

    按 C2SP tlog-tiles 的目录结构写出全部分块与条目（仅代码和摘要）。中断后再次执行即可继续，以后再执行则只补新增；
    --check 重新核对并替换损坏的文件；日志恢复后，新日志另用一个目录，--epoch 1 仍可导出最初的日志；
    用 mediation verify --tiles DIR 校验。
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    from mediation.commandline.readiness import something_there
    from mediation.commandline.timeline import console
    from mediation.gateway.embedded import database_ready
    from mediation.gateway.logkeys import known_keys
    from mediation.service.publishing import publish_log

    settings = read_settings(database="demo" if demo else None)
    with database_ready(settings, "reader") as urls:
        something_there(urls.reader)
        held = known_keys(settings)
        verifiers = (held.access if access else held.events).verifiers if held else ()
        columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console(stderr=True), transient=True) as bar:
            task = bar.add_task("", total=None)
            exported = asyncio.run(
                publish_log(
                    urls.reader,
                    "access" if access else "events",
                    folder,
                    verifiers,
                    quorum=settings.published_by,
                    epoch=epoch,
                    check=check,
                    progress=lambda done, total: bar.update(task, completed=done, total=total),
                )
            )
    say(
        f"日志 {exported.origin} 共{exported.size}条，已在 {folder}（本次写入{exported.written}个文件）。",
        f"The log {exported.origin} of {exported.size} leaves is in {folder} ({exported.written} files written).",
    )


class _Wants(NamedTuple):
    """Who is to see plain values, for which body, and what for."""

    person: str
    org: str
    purpose: str


def _wanted(person: str | None, org: str | None, purpose: str | None, *, disclosures: bool) -> _Wants | None:
    if not disclosures:
        if person or org or purpose:
            say(
                "--as、--acting-for、--purpose 只与 --disclosures 同用。",
                "--as, --acting-for and --purpose go with --disclosures.",
                to_stderr=True,
            )
            raise typer.Exit(2)
        return None
    words = (purpose or "").strip()
    if not person or not org or not _LEAST_WORDS <= len(words) <= _MOST_WORDS:
        say(
            f"--disclosures 须带 --as 查看人、--acting-for 单位、--purpose 用途（{_LEAST_WORDS}至{_MOST_WORDS}字）。",
            "--disclosures needs --as PERSON, --acting-for ORG and --purpose TEXT "
            f"({_LEAST_WORDS} to {_MOST_WORDS} characters).",
            to_stderr=True,
        )
        raise typer.Exit(2)
    return _Wants(person, org, words)


async def _bundle(
    settings: "Settings", urls: "Urls", case: str, key: "LogKey", wants: _Wants | None
) -> tuple["Dossier", bytes]:
    from mediation.commandline.timeline import console, progress
    from mediation.service.bundles import gather, pack
    from mediation.store import dossiers

    async with _snapshots(urls.reader) as reading:
        async with reading() as connection:
            case_id = await dossiers.case_named(connection, case)
            who = wants and await _who(connection, wants)
        dossier = await gather(reading, case_id, key, quorum=settings.published_by)
    shown: Sequence[str] = ()
    if wants and who:
        shown = await _shown(settings, urls, case_id, who, wants.purpose)
    with progress(console(stderr=True), pick("校验事件", "verifying events")) as bar:
        task = bar.add_task("", total=len(dossier.events))
        return dossier, pack(dossier, key, shown, lambda done, total: bar.update(task, completed=done, total=total))


@asynccontextmanager
async def _snapshots(url: str) -> "AsyncIterator[Reading]":
    from mediation.store.database import engine

    made = engine(url)
    try:
        yield made.execution_options(isolation_level="REPEATABLE READ").begin
    finally:
        await made.dispose()


async def _who(connection: "AsyncConnection", wants: _Wants) -> "Context":
    from uuid import uuid4

    from mediation.store.append import Context
    from mediation.store.dossiers import org_named, person_named

    person, org = await person_named(connection, wants.person), await org_named(connection, wants.org)
    return Context(person, org, str(uuid4()))


async def _shown(settings: "Settings", urls: "Urls", case_id: str, who: "Context", purpose: str) -> list[str]:
    """The disclosures that this person may see, once it is in the access log. Raises NotPermitted, NotFound."""
    from mediation.commandline.readiness import check_key, marks_behind
    from mediation.domain.errors import NotFound
    from mediation.gateway.keys import key_from
    from mediation.gateway.vault import Vault
    from mediation.service.disclosing import asking, disclosed_whole
    from mediation.service.lawbook import load_laws
    from mediation.service.perform import House
    from mediation.store.append import Memory
    from mediation.store.database import hot_pool

    check_key(settings, await marks_behind(urls.app))
    pool = await hot_pool(urls.app, 1, pooled=urls.pooled)
    try:
        house = House(Memory(pool), load_laws(), Vault(key_from(settings.key_file)))
        seen = await house.memory.read_case(who, case_id)
        if seen.case is None:
            raise NotFound(zh="该人员看不到本案", en="This person does not see the case")
        return await disclosed_whole(house, asking(who, seen.case, seen), purpose)
    finally:
        await pool.close()


def _write(file: Path, data: bytes, mode: int) -> None:
    """Whole or not at all; what holds plain values is for its owner alone."""
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(handle, "wb") as sink:
            sink.write(data)
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)
