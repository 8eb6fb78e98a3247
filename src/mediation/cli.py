"""The command `mediation`: puts the commands together, and ends each with a sentence and an exit code.

0: done; 1: it failed, or what was checked is not well; 2: called wrongly; 128 + n: signal n ended it.
A signal is how `serve` is ended: once it answers, or is about to, that is 0.
"""

import os
import signal
import sys
from typing import Annotated, NoReturn

import typer

from mediation.commandline import (
    attesting,
    auditing,
    counting,
    filling,
    keeping,
    keysmith,
    leaving,
    logkeeping,
    records,
    serving,
    synthesizing,
    verifying,
    working,
)
from mediation.commandline.speech import Lang, choose, say
from mediation.domain.errors import MediationError

app = typer.Typer(
    help="Case workflow for dispute mediation. 矛盾纠纷调解流程服务",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for room in (
    keeping,
    serving,
    working,
    filling,
    synthesizing,
    records,
    verifying,
    counting,
    attesting,
    auditing,
    keysmith,
    logkeeping,
):
    app.add_typer(room.app)


@app.callback()
def options(
    *,
    lang: Annotated[Lang | None, typer.Option(help="Language of messages. 提示语言 [MEDIATION_LANG, LANG]")] = None,
    _version: Annotated[
        bool, typer.Option("--version", callback=lambda asked: _show_version() if asked else None, is_eager=True)
    ] = False,
) -> None:
    """Case workflow for dispute mediation. 矛盾纠纷调解流程服务"""
    choose(lang)


def main() -> None:
    """Run a command; what it refuses is told in a sentence, in the reader's language."""
    for ending in leaving.ENDINGS:
        if signal.getsignal(ending) is not signal.SIG_IGN:  # nohup means it
            signal.signal(ending, leaving.leave)
    try:
        app()
    except MediationError as error:
        _give_up(error, error.zh, error.en)
    except Exception as error:
        from mediation.store.database import FAULTS

        if isinstance(error, OSError):
            said = " ".join(str(part) for part in (error.filename, error.strerror or error) if part)
        elif isinstance(error, FAULTS):
            said = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
        else:
            raise
        _give_up(error, f"未能完成：{said}。用法见 mediation --help。", f"It failed: {said}. See `mediation --help`.")


def _give_up(error: Exception, zh: str, en: str) -> NoReturn:
    """End with a sentence; with MEDIATION_DEBUG set, with all that is known."""
    if os.environ.get("MEDIATION_DEBUG", "").lower() in {"1", "true", "yes", "on"}:
        raise error
    say(zh, en, to_stderr=True)
    sys.exit(1)


def _show_version() -> NoReturn:
    from importlib.metadata import version

    typer.echo(f"mediation {version('mediation')}")
    raise typer.Exit
