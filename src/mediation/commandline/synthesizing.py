"""The command that fills an empty database with years of imagined disputes: `synthesize`."""

import asyncio
import time
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from mediation.commandline.speech import AsJson, Demo, answer, pick, read_settings, say

if TYPE_CHECKING:  # `--help` needs none of them
    from mediation.service.synthesize import Progress, Synthesized, Wanted
    from mediation.settings import Settings, Urls

app = typer.Typer()

_DAY = "%Y-%m-%d"


@app.command()
def synthesize(
    *,
    cases: Annotated[int, typer.Option(min=1, max=100_000_000, help="How many cases. 案件数")] = 10_000,
    counties: Annotated[
        int, typer.Option(min=1, max=8000, help="How many counties of 21 townships and 608 villages. 县数")
    ] = 1,
    years: Annotated[int, typer.Option(min=1, max=20, help="Over how many years they were filed. 登记年数")] = 1,
    until: Annotated[
        datetime | None,
        typer.Option(formats=[_DAY], help="The last day of all, which is over; default: yesterday. 截止日"),
    ] = None,
    seed: Annotated[str, typer.Option(help="The same seed makes the same events. 种子")] = "1",
    processes: Annotated[int | None, typer.Option(min=1, max=64, help="Processes; default: one a core. 进程数")] = None,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Fill an empty database with years of imagined, truly decided cases. 合成案件

    Every step is one that the law admits, decided by the rules as any other; every person is invented. Counties, bodies
    and staff come first, after the pattern of the demo's (150525103201-mediator-1 is a mediator here too), then the
    cases, in one transaction: nobody else reads the database meanwhile, and if anything goes wrong none is there. What
    is personal is sealed with the key of this installation, and the log is signed with its own.

    A tenth of the cases are open at the end, with their clocks running. At the end a sample is decided again, step by
    step, read back and verified; `mediation verify` verifies all. The same seed and days make the same events.

    每一步均由规则引擎真实判定；人员、纠纷均属虚构。要求数据库中没有案件。
    """
    from mediation.commandline.timeline import console, progress
    from mediation.gateway.embedded import database_ready
    from mediation.service.synthesize import Wanted
    from mediation.store.database import migrate

    last = until.date() if until else _yesterday()
    if last > _yesterday():
        raise typer.BadParameter(pick("须早于今天", "it must be a day that is over"), param_hint="--until")
    settings = read_settings(database="demo" if demo else None)
    screen, began = console(stderr=True), time.monotonic()
    with database_ready(settings, "app", "owner", "reader", "log") as urls:
        if settings.embedded:
            migrate(urls.owner)
        with progress(screen, pick("合成案件", "cases")) as bar:
            task = bar.add_task("", total=cases)
            wanted = Wanted(cases, counties, years, last, seed)
            made = _made(settings, urls, wanted, processes, lambda done, _: bar.update(task, completed=done))
    took = time.monotonic() - began
    if as_json:
        answer(made._asdict() | {"seconds": round(took, 1)})
        return
    say(
        f"已填入{made.counties}个县（{made.organisations}个单位、{made.people}名人员）、{made.cases}件纠纷（{made.open}件未结）、"
        f"{made.events}个事件，用时{took:.0f}秒。抽查{made.sampled}件：逐步重新判定，逐字节一致；从库中读出，开封、折叠、"
        f"在已签名日志中查证{made.proven}个事件，全部相符。全库查证：mediation verify。",
        f"{made.counties} {'county' if made.counties == 1 else 'counties'} ({made.organisations} organisations, "
        f"{made.people} people), {made.cases} disputes ({made.open} open), "
        f"{made.events} events, in {took:.0f} s. A sample of {made.sampled} was decided again step by "
        f"step, to the same bytes; read back, opened, folded, and {made.proven} events found in the signed log: all "
        "holds. For all of it: mediation verify.",
    )


def _made(
    settings: "Settings", urls: "Urls", wanted: "Wanted", processes: int | None, progress: "Progress"
) -> "Synthesized":
    from mediation.commandline.readiness import vault_of
    from mediation.gateway.vault import key_from
    from mediation.service.integrate import keys_for
    from mediation.service.synthesize import synthesize as fill

    vault_of(settings, urls.app)  # which notes whose key it is
    keys = asyncio.run(keys_for(settings, urls.log))
    key = key_from(settings.key_file)
    try:
        return asyncio.run(fill(urls, key, keys, wanted, processes=processes, progress=progress))
    except SystemExit:  # it was asked to leave
        said = (
            "已中止：案件或全部保留，或一件不留；mediation verify 可清点。一件未留的，可重新执行。",
            "Interrupted: every case was kept or none, `mediation verify` counts them. If none, run it again.",
        )
        say(*said, to_stderr=True)
        raise


def _yesterday() -> date:
    from mediation.domain.calendar import SHANGHAI

    return datetime.now(SHANGHAI).date() - timedelta(days=1)
