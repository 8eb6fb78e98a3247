"""Commands about what is stored: `verify` the histories, `import` divisions, organisations and people."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mediation.commandline.speech import AsJson, Demo, answer, pick, read_settings, say

if TYPE_CHECKING:  # `--help` does not need it
    from mediation.settings import Urls

app = typer.Typer()
imports = typer.Typer(no_args_is_help=True, help="Load the registry from CSV files. 导入区划、单位、人员")
app.add_typer(imports, name="import")

Csv = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV, UTF-8.")]


@app.command()
def verify(*, demo: Demo = False, as_json: AsJson = False) -> None:
    """Recompute every chain from the stored bytes and fold every history. 校验全部案件历史"""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from mediation.commandline.readiness import something_there
    from mediation.commandline.timeline import console
    from mediation.gateway.embedded import database_ready
    from mediation.service.verification import verify_database

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with database_ready(read_settings(database="demo" if demo else None), "reader") as urls:
        something_there(urls.reader)
        with Progress(*columns, console=console(stderr=True), transient=True) as bar:
            task = bar.add_task(pick("校验案件", "verifying cases"), total=None)
            report = asyncio.run(
                verify_database(urls.reader, lambda done, total: bar.update(task, completed=done, total=total))
            )
    if as_json:
        failures = [{**failure._asdict(), "reason": failure.reason._asdict()} for failure in report.failures]
        answer({**report._asdict(), "failures": failures, "sound": report.sound})
    else:
        for failure in report.failures:
            where = pick(f"第{failure.seq}号事件 {failure.event_id}", f"event {failure.seq} {failure.event_id}")
            why = pick(failure.reason.zh, failure.reason.en)
            name = failure.number or failure.case_id
            typer.echo(f"✗ {name} {where if failure.seq else pick('案件记录', 'the stored case')}: {why}")
        if report.sound:
            count = report.entries
            say(
                f"{report.cases}件案件、{report.events}个事件、管理日志{count}条：历史完整，状态相符。",
                f"{report.cases} cases, {report.events} events, {count} entries of administration: whole, as stored.",
            )
        else:
            say(f"{report.failed}件案件未通过校验。", f"{report.failed} cases fail.", to_stderr=True)
    raise typer.Exit(0 if report.sound else 1)


@imports.command()
def divisions(file: Csv, *, demo: Demo = False) -> None:
    """Divisions: code,level,name,parent_code. 行政区划"""
    _load("import_divisions", file, demo=demo)


@imports.command()
def organisations(file: Csv, *, demo: Demo = False) -> None:
    """Organisations: code,name,name_en,kind,tier,division,speciality,superior. 单位"""
    _load("import_organisations", file, demo=demo)


@imports.command()
def people(file: Csv, *, demo: Demo = False) -> None:
    """People, a line a membership: person_code,name,org_code,roles (separated by |). 人员"""
    _load("import_people", file, demo=demo)


@imports.command()
def identities(file: Csv, *, demo: Demo = False) -> None:
    """By what people sign in: person_code,issuer,subject. 登录标识"""
    _load("import_identities", file, demo=demo)


def _load(name: str, file: Path, *, demo: bool) -> None:
    from mediation.gateway.embedded import database_ready
    from mediation.service import registry
    from mediation.store.database import migrate

    settings = read_settings(database="demo" if demo else None)
    load: Callable[..., Any] = getattr(registry, name)
    try:
        text = file.read_text("utf-8")
    except UnicodeDecodeError as found:
        say(f"{file} 不是 UTF-8 文本。", f"{file} is not UTF-8 text.", to_stderr=True)
        raise typer.Exit(1) from found
    with database_ready(settings, "app") as urls:
        if settings.embedded:
            migrate(urls.owner)
        try:
            count = asyncio.run(_with_engine(load, urls, text))
        except registry.ImportRefused as refused:
            for reason in refused.reasons:
                say(reason.zh, reason.en, to_stderr=True)
            say(registry.ImportRefused.zh, registry.ImportRefused.en, to_stderr=True)
            raise typer.Exit(1) from refused
    say(f"已导入{count}行。", f"{count} lines are loaded.")


async def _with_engine(load: Callable[..., Any], urls: "Urls", text: str) -> int:
    from mediation.store.database import engine

    made = engine(urls.app, pooled=urls.pooled)
    try:
        return int(await load(made, text))
    finally:
        await made.dispose()
