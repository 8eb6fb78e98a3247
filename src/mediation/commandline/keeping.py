"""Commands for whoever keeps the database: `database`, `migrate`, `doctor`, `backup`, `restore`."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from mediation.commandline.speech import AsJson, Demo, answer, pick, read_settings, say

app = typer.Typer()
database = typer.Typer(no_args_is_help=True, help="The embedded PostgreSQL. 内置数据库")
app.add_typer(database, name="database")


@database.command()
def status(*, as_json: AsJson = False) -> None:
    """Say whether the database runs, and where; starts nothing. 数据库状态"""
    settings = read_settings()
    if not settings.embedded:
        seen: dict[str, object] = {"kind": "given"}
        say_given = (
            "数据库由外部提供；用 mediation doctor 检查。",
            "The database is given; `mediation doctor` checks it.",
        )
        answer(seen) if as_json else say(*say_given)
        return
    from mediation.gateway.embedded import Server

    seen = {"kind": "embedded", "database": settings.database, **Server(settings.data_dir).status()._asdict()}
    if as_json:
        answer(seen)
        return
    say("运行中" if seen["running"] else "未运行", "running" if seen["running"] else "not running")
    labels = {
        "in_use": ("有命令正在使用", "in use by a command"),
        "pid": ("进程号", "process"),
        "version": ("PostgreSQL 版本", "PostgreSQL"),
        "database": ("数据库", "database"),
        "data": ("数据目录", "data"),
        "socket": ("套接字目录", "socket"),
        "log": ("日志", "log"),
    }
    for name, label in labels.items():
        value = seen[name]
        shown = pick(*(("是", "yes") if value else ("否", "no"))) if isinstance(value, bool) else value or "–"
        typer.echo(f"  {pick(*label)}: {shown}")


@database.command()
def stop(*, force: Annotated[bool, typer.Option(help="Even if a command uses it. 即使正在使用")] = False) -> None:
    """Stop the embedded database; by itself it stops when the last command leaves. 停止内置数据库"""
    settings = read_settings()
    if not settings.embedded:
        say("数据库由外部提供，不归本服务停止。", "The database is given: it is not ours to stop.", to_stderr=True)
        raise typer.Exit(1)
    from mediation.gateway.embedded import Server

    server = Server(settings.data_dir)
    if server.cluster.postmaster() is None:
        say("没有在运行的数据库。", "Nothing is running.")
        return
    if not server.stop(force=force):
        say("有命令正在使用数据库；确要停止请加 --force。", "A command uses it; --force stops it.", to_stderr=True)
        raise typer.Exit(1)
    say("已停止。", "Stopped.")


@database.command()
def recount(*, demo: Demo = False) -> None:
    """Make the counts of statistics and the lists of cases anew, while the service runs. 重做统计计数与案件清单

    For after `mediation verify` has named `wrong_tallies` or `wrong_lists`. What is done meanwhile is counted after it.
    """
    from mediation.gateway.embedded import database_ready
    from mediation.service.recounting import recount as count_anew
    from mediation.service.recounting import relist

    with database_ready(read_settings(database="demo" if demo else None), "log") as urls:
        folded = asyncio.run(count_anew(urls.log))
        asyncio.run(relist(urls.app))
    zh = f"已按{folded:,}个事件重做统计计数，并重列全部案件。"
    say(zh, f"The counts are made anew from {folded:,} events, and every case is listed anew.")


@app.command()
def migrate(*, demo: Demo = False) -> None:
    """Bring the schema to the newest revision. 升级数据库结构"""
    from mediation.gateway.embedded import database_ready
    from mediation.store.database import migrate as upgrade

    with database_ready(read_settings(database="demo" if demo else None), "owner") as urls:
        revision = upgrade(urls.owner)
    say(f"数据库结构为最新版本 {revision}。", f"The schema is at its newest revision, {revision}.")


@app.command()
def doctor(
    *,
    production: Annotated[bool, typer.Option("--production", help="For real disputes, too. 正式运行前检查")] = False,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Check this installation, and say what to do about what is wrong. 检查安装与配置"""
    from mediation.commandline.diagnosis import examine
    from mediation.commandline.production import inspect

    found = list(examine("demo" if demo else None))
    if production:
        found += inspect("demo" if demo else None)
    well = all(check.ok for check in found)
    if as_json:
        answer({"ok": well, "checks": [check._asdict() for check in found]})
    else:
        for check in found:
            mark = typer.style("✓", fg="green") if check.ok else typer.style("✗", fg="red")
            typer.echo(f"{mark} {pick(check.zh, check.en)}")
            if check.remedy_zh:
                typer.echo("    " + pick(check.remedy_zh, check.remedy_en).replace("\n", "\n    "))
    raise typer.Exit(0 if well else 1)


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="Replaced if it is there. 已存在则替换")], *, demo: Demo = False
) -> None:
    """Write the whole database to one file, while the service runs. 备份"""
    from mediation.gateway.backup import write_backup
    from mediation.gateway.embedded import database_ready

    settings = read_settings(database="demo" if demo else None)
    with database_ready(settings, "reader") as urls:
        size = write_backup(urls.reader, file)
    say(
        f"已备份到 {file}（{size / 1024:,.0f} KB）。密钥文件 {settings.key_file} 不在其中，"
        "请另处保存：没有它，备份中的个人信息无法读取。"
        f"删除台账 {settings.erasures} 也不在其中，请另存副本，恢复时据此再次删除；切勿用旧台账覆盖较新的。"
        f"日志密钥 {settings.log_key}、{settings.access_log_key} 及其 .retired 同样另存：没有它们，恢复后不能续签；"
        "旁边的 .head 切勿换成旧的。",
        f"Written to {file} ({size / 1024:,.0f} KB). The key file {settings.key_file} is not in it: "
        "keep it elsewhere, without it nothing personal in the backup can be read. "
        f"Nor is the ledger of erasures {settings.erasures}, by which a restore erases again: copy it elsewhere too, "
        "and never put an old one over a newer. "
        f"Nor are the keys of the logs, {settings.log_key} and {settings.access_log_key}, and their .retired: without "
        "them what is restored signs nothing more. Never put an older .head in place of theirs.",
    )


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="From `mediation backup`. 备份文件")],
    *,
    force: Annotated[bool, typer.Option(help="Replace all that is in the database. 替换数据库全部内容")] = False,
    demo: Demo = False,
) -> None:
    """Put a backup into an empty database; its key file is brought along by hand. 恢复（密钥文件须另行带来）"""
    from mediation.commandline.readiness import check_key, erased_again, marks_behind
    from mediation.gateway.backup import read_backup
    from mediation.gateway.embedded import database_ready
    from mediation.gateway.vault import BadKeyFile

    settings = read_settings(database="demo" if demo else None)
    with database_ready(settings, "owner") as urls:
        read_backup(urls.owner, file, force=force)
        noted = asyncio.run(marks_behind(urls.owner))
        again = erased_again(settings, urls) if urls.app and asyncio.run(_newest(urls.owner)) else None
    say(
        "已恢复。若备份来自旧版本，请执行 mediation migrate。",
        "Restored. If it is of an older version: `mediation migrate`.",
    )
    if not settings.erasures.exists():
        say(
            f"没有删除台账 {settings.erasures}：备份之后删除过的个人信息，已随备份恢复。"
            "请先放好台账并执行 mediation worker --once，再让人进入；从未删除过的，不必理会。",
            f"There is no ledger of erasures {settings.erasures}: whoever was erased since the backup is back. Put the "
            "ledger there and run `mediation worker --once` before anybody is let in, unless nothing was ever erased.",
            to_stderr=True,
        )
    elif again:
        if again.again:
            count = len(again.again)
            say(f"按删除台账再次删除{count}项。", f"Erased again, as the ledger of erasures says: {count}.")
        if again.damaged or again.unnamed:
            say(
                f"删除台账 {settings.erasures} 不完整：详见 mediation doctor。",
                f"The ledger of erasures {settings.erasures} is not whole: `mediation doctor` says more.",
                to_stderr=True,
            )
    else:
        say(
            "删除台账将在 mediation serve 或 worker 启动时执行。",
            "What the ledger of erasures says is carried out when `mediation serve` or `worker` starts.",
            to_stderr=True,
        )
    try:
        check_key(settings, noted)
    except BadKeyFile as error:
        say(error.zh, error.en, to_stderr=True)


async def _newest(url: str) -> bool:
    """Whether a database is at the newest revision."""
    from mediation.store.database import connect, current_revision, head_revision

    async with await connect(url) as connection:
        return await current_revision(connection) == head_revision()
