"""How commands speak: in Chinese or English to people, in JSON to programs."""

import json
from contextvars import ContextVar
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:  # reading the settings takes longer than all of `--help`
    from mediation.settings import Settings


class Lang(StrEnum):
    """The languages we speak."""

    ZH = "zh"
    EN = "en"


Demo = Annotated[bool, typer.Option("--demo", help="The database of the demo. 演示库")]
AsJson = Annotated[bool, typer.Option("--json", help="Answer in JSON. 以 JSON 输出")]

_chosen: ContextVar[Lang | None] = ContextVar("lang", default=None)


def choose(lang: Lang | None) -> None:
    """Speak `lang` from now on; None: as the environment does."""
    _chosen.set(lang)


def spoken() -> Lang:
    """The language to speak: `--lang`, else MEDIATION_LANG, else that of the environment."""
    chosen = _chosen.get()
    if chosen is None:
        import os

        from mediation.settings import PREFIX, default_lang

        named = os.environ.get(PREFIX + "LANG", "")
        chosen = Lang(named if named in set(Lang) else default_lang())
        _chosen.set(chosen)
    return chosen


def read_settings(**changes: object) -> "Settings":
    """The settings of the environment, changed by what the command line says. Raises: BadSetting."""
    from mediation.settings import Settings

    return Settings.load(**{name: value for name, value in changes.items() if value is not None})


def pick(zh: str, en: str) -> str:
    """Whichever of the two is to be said."""
    return zh if spoken() is Lang.ZH else en


def say(zh: str, en: str, *, to_stderr: bool = False) -> None:
    """Say one thing to a person."""
    typer.echo(pick(zh, en), err=to_stderr)


def answer(data: object) -> None:
    """Answer a program: one JSON document on standard output."""
    typer.echo(json.dumps(data, ensure_ascii=False, indent=2, default=str))
