"""Commands about what is stored: `import` divisions, organisations and people."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mediation.commandline.speech import Demo, read_settings, say

if TYPE_CHECKING:  # `--help` does not need it
    from mediation.settings import Urls

app = typer.Typer()
imports = typer.Typer(no_args_is_help=True, help="Load the registry from CSV files. 导入区划、单位、人员")
app.add_typer(imports, name="import")

Csv = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV, UTF-8.")]


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
