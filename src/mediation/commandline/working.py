"""The command `worker`: the clock, which takes the steps that are due."""

import asyncio
import sys
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from mediation.commandline.leaving import asked, only_note
from mediation.commandline.speech import AsJson, Demo, answer, pick, read_settings, say

if TYPE_CHECKING:  # `--help` needs neither
    from collections.abc import Callable

    from mediation.service.clockwork import Swept
    from mediation.settings import Settings, Urls

app = typer.Typer()


@app.command()
def worker(
    *,
    once: Annotated[bool, typer.Option(help="One sweep, then leave. 只办一轮")] = False,
    at: Annotated[
        str | None, typer.Option(metavar="INSTANT", help="As if it were then (sandbox, --once). 沙箱时刻")
    ] = None,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Take the steps of the clock: what has lapsed is failed, returned, urged. 时钟：办理到期事项

    `mediation serve` runs it too, on its own database; beside a given one run as many as you like.
    """
    from mediation.commandline.readiness import erased_again, something_there, vault_of
    from mediation.gateway.embedded import database_ready
    from mediation.settings import BadSetting

    if not once and (at is not None or as_json):
        raise BadSetting(zh="--at 和 --json 须与 --once 同用。", en="--at and --json go with --once.")
    settings = read_settings(**({"database": "demo", "sandbox_clock": True} if demo else {}))
    instant = _instant(settings, at) if at is not None else ""
    with database_ready(settings, "app") as urls:
        something_there(urls.app)
        vault_of(settings, urls.app)
        erased_again(settings, urls)
        if once:
            _once(settings, urls, instant, as_json=as_json)
            return
        from mediation.commandline.timekeeping import work

        say("时钟在走；按 Ctrl-C 停止。", "The clock is running; Ctrl-C stops it.", to_stderr=True)
        only_note()
        work(settings, urls, asked)


def _instant(settings: "Settings", said: str) -> str:
    from mediation.settings import BadSetting

    if not settings.sandbox_clock:
        raise BadSetting(
            zh="--at 只用于沙箱：须设 MEDIATION_SANDBOX_CLOCK=1，或用于演示库（--demo）。",
            en="--at is for a sandbox: set MEDIATION_SANDBOX_CLOCK=1, or use the demo (--demo).",
        )
    try:
        moment = datetime.fromisoformat(said)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise BadSetting(
            zh=f"--at 应为带时区的时刻，如 2026-03-02T09:00:00+08:00，而不是 {said}",
            en=f"--at is an instant with its zone, such as 2026-03-02T09:00:00+08:00, not {said}",
        )
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _once(settings: "Settings", urls: "Urls", at: str, *, as_json: bool) -> None:
    from mediation.commandline.timekeeping import timekeeper
    from mediation.service.clockwork import recount, sweep

    async def run() -> tuple["Swept", int | None]:
        async with timekeeper(settings, urls) as keeper:
            memory = keeper.house.memory
            with ExitStack() as stack:
                told = None
                if sys.stderr.isatty():
                    until = at or datetime.now(UTC).isoformat()
                    told = _bar(stack, await memory.awake(until))
                counted = await recount(keeper.house, at)  # first: a day that moves has not run out
                return await sweep(keeper.house, at, told=told), counted

    swept, recounted = asyncio.run(run())
    if as_json:
        answer(swept._asdict() | {"recounted": recounted or 0})
    else:
        _tell(swept, recounted or 0)
    raise typer.Exit(1 if swept.left else 0)


def _bar(stack: ExitStack, total: int) -> "Callable[[], None]":
    """A bar on the terminal; each call is a case."""
    from mediation.commandline.timeline import console, progress

    bar = stack.enter_context(progress(console(stderr=True), pick("办理到期事项", "taking what is due")))
    task = bar.add_task("", total=total)
    return lambda: bar.advance(task)


def _tell(swept: "Swept", recounted: int) -> None:
    from mediation.domain.vocabulary import Action

    if swept.elsewhere:
        say("另一时钟正在办理。", "Another worker is at it.")
        return
    say(f"到期案件{swept.cases}件。", f"{swept.cases} cases were due.")
    for action, count in sorted(swept.taken.items()):
        typer.echo(f"  {pick(Action(action).zh, Action(action).en)}: {count}")
    if swept.refused:
        say(f"  不能照办而改为催办：{swept.refused}", f"  refused, so the superior was alarmed: {swept.refused}")
    if swept.left:
        say(f"  留待下轮：{swept.left}", f"  left to the next sweep: {swept.left}", to_stderr=True)
    if recounted:
        say(f"按新规则重算期限：{recounted}件。", f"Counted anew under new laws: {recounted} cases.")
