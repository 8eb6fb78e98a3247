"""Commands that fill a database: `seed`, and `demo`, which makes one anew, fills it and tells a story on it."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from mediation.commandline.speech import AsJson, answer, pick, read_settings, say

if TYPE_CHECKING:  # `--help` needs none of them
    from rich.console import Console

    from mediation.gateway.client import Client
    from mediation.service.seed import Seeded
    from mediation.settings import Settings, Urls

app = typer.Typer()

_START_S = 30

Disputes = Annotated[int | None, typer.Option(min=1, max=200, help="How many of the 200. 纠纷数量")]


@app.command()
def seed(
    *,
    disputes: Disputes = None,
    force: Annotated[bool, typer.Option(help="Even if it is not empty. 即使非空")] = False,
    demo: Annotated[bool, typer.Option(help="Into the database of the demo. 填入演示库")] = False,
    as_json: AsJson = False,
) -> None:
    """Fill the database with a county, its people and disputes. 填充演示县"""
    from mediation.commandline.timeline import console
    from mediation.gateway.embedded import database_ready
    from mediation.store.database import migrate

    settings = read_settings(database="demo" if demo else None)
    with database_ready(settings, "app") as urls:
        if settings.embedded:
            migrate(urls.owner)
        made = _seed(settings, urls, console(stderr=True), disputes, force=force)
    if as_json:
        answer(made._asdict())
        return
    say(
        f"已填入{made.organisations}个单位、{made.people}名人员、{made.cases}件纠纷（{made.steps}步）。",
        f"{made.organisations} organisations, {made.people} people, {made.cases} disputes ({made.steps} steps).",
    )


@app.command()
def demo(*, disputes: Disputes = None) -> None:
    """Make a county anew, and follow one dispute from village to court and back. 演示"""
    from mediation.commandline import timeline
    from mediation.gateway.embedded import database_ready
    from mediation.gateway.logkeys import forget_log
    from mediation.store.database import migrate

    screen = timeline.console()
    began = time.monotonic()
    settings = read_settings(database="demo", sandbox_clock=True, host="127.0.0.1", port=0, workers=1)
    with database_ready(settings, recreate=True) as urls:
        forget_log(settings)
        migrate(urls.owner)
        timeline.done(screen, "新建演示库 demo", "The database “demo” is made anew", time.monotonic() - began)
        filled = time.monotonic()
        made = _seed(settings, urls, screen, disputes, force=False)
        timeline.done(
            screen,
            f"奈曼旗：{made.organisations}个单位、{made.people}名人员、{made.cases}件纠纷、{made.steps}步",
            f"Naiman Banner: {made.organisations} organisations, {made.people} people, {made.cases} disputes",
            time.monotonic() - filled,
        )
        # The demo speaks as everybody in the county, whatever provider is set: on loopback, and not for long.
        with _api(settings.model_copy(update={"issuer": None, "rate_per_minute": 0})) as client:
            case_id = _tell(screen, client)
            _verify(screen, urls, settings, client)
    _next(screen, case_id, time.monotonic() - began)


def _seed(settings: "Settings", urls: "Urls", screen: "Console", disputes: int | None, *, force: bool) -> "Seeded":
    from mediation.commandline.readiness import vault_of
    from mediation.commandline.timeline import progress
    from mediation.service.integrate import keys_for
    from mediation.service.seed import seed as fill

    vault = vault_of(settings, urls.app)
    with progress(screen, pick("填入单位、人员和纠纷", "bodies, people and disputes")) as bar:
        task = bar.add_task("", total=None)
        filling = fill(
            urls,
            vault,
            keys=asyncio.run(keys_for(settings, urls.log)) if urls.log else None,
            disputes=disputes,
            force=force,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
        return asyncio.run(filling)


@contextmanager
def _api(settings: "Settings") -> Iterator["Client"]:
    """The real server on a free port of loopback, in a thread of its own, and a client of it."""
    import uvicorn

    from mediation.gateway.client import ApiUnreachable, Client
    from mediation.http.app import create_app
    from mediation.http.dependencies import issuer

    config = uvicorn.Config(
        create_app(settings), host=settings.host, port=0, log_level="error", access_log=False, lifespan="on"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        deadline = time.monotonic() + _START_S
        while not server.started:
            if not thread.is_alive() or time.monotonic() > deadline:
                raise ApiUnreachable(zh="服务未能启动", en="The server did not start")
            time.sleep(0.02)
        port = server.servers[0].sockets[0].getsockname()[1]
        with Client(f"http://{settings.host}:{port}", issuer(settings).issue) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join(_START_S)


def _tell(screen: "Console", client: "Client") -> str:
    """Tell the story, read its history back and verify it; gives its case."""
    from mediation.commandline import timeline
    from mediation.domain.calendar import SHANGHAI
    from mediation.service.demo import AUDITOR, Chapter, Story, StoryBroken, proven, verified
    from mediation.service.registry import person_id

    story = Story(client, datetime.now(SHANGHAI).date() - timedelta(days=1))
    screen.print()
    screen.print(f"[bold]{story.title}[/]  [dim]{story.title_en}[/]")
    for told in story.tell():
        if isinstance(told, Chapter):
            timeline.chapter(screen, told)
        else:
            timeline.scene(screen, told)
    timeline.chapter(screen, Chapter("七 审计员查验", "The auditor reads the history and verifies it"))
    auditor = person_id(AUDITOR)
    lines = client.lines(auditor, f"/v1/cases/{story.case_id}/events").data
    shown = client.get(auditor, f"/v1/cases/{story.case_id}").body
    case = verified(lines)
    timeline.history(screen, case, shown["parties"])
    if (case.state, case.version) != (shown["state"], shown["version"]):
        raise StoryBroken(zh="历史折叠出的状态与接口所示不一致", en="The history folds to another state than is shown")
    timeline.done(
        screen,
        "逐字节重算哈希链，折叠出的状态与接口所示一致",
        "The chain was recomputed from the published bytes; what they fold to is what the API shows",
    )
    size, count = proven(client, auditor, story.case_id)
    timeline.done(
        screen,
        f"取得案件卷宗包，以日志公钥离线校验：{count}个事件均在已签名的{size}片叶子之中",
        f"Its bundle verifies offline with the log's key: {count} events among {size} signed leaves",
    )
    return story.case_id


def _verify(screen: "Console", urls: "Urls", settings: "Settings", client: "Client") -> None:
    from mediation.commandline import timeline
    from mediation.domain.errors import BrokenTrail
    from mediation.gateway.logkeys import log_keys
    from mediation.service.demo import census
    from mediation.service.findings import Trust
    from mediation.service.verification import verify_database

    began = time.monotonic()
    trust = Trust(tuple(verifier for key in log_keys(settings) for verifier in key.verifiers))
    report = asyncio.run(verify_database(urls.reader, trust=trust))
    if not report.sound:
        raise BrokenTrail(*(failure.reason for failure in report.failures))
    timeline.done(
        screen,
        f"全库校验：{report.cases}件、{report.events}个事件，链、折叠与签名日志全部相符",
        f"verify: {report.cases} cases, {report.events} events; every chain, fold and signed leaf holds",
        time.monotonic() - began,
    )
    screen.print()
    timeline.tables(screen, census(client))


def _next(screen: "Console", case_id: str, seconds: float) -> None:
    from mediation.service.demo import AUDITOR, CALLERS

    address = f"http://127.0.0.1:{read_settings().port}"
    mediator, *others = CALLERS
    screen.print()
    screen.print(f"[bold]接下来可以[/]  [dim]What to try next ({seconds:.0f} s)[/]")
    for command, zh, en in (
        ("make serve", "打开同一个县", "open the same county"),
        (f"{address}/docs", "接口说明", "the API explained"),
        (f"T=$(.venv/bin/mediation token --demo {mediator})", "村调解员的令牌", "a village mediator's token"),
        (f'curl -H "Authorization: Bearer $T" {address}/v1/cases', "本村案件", "the cases of the village"),
        (f"A=$(.venv/bin/mediation token --demo {AUDITOR})", "审计员的令牌", "the auditor's token"),
        (
            f'curl -H "Authorization: Bearer $A" -H "Accept: application/x-ndjson" {address}/v1/cases/{case_id}/events',
            "这起纠纷的历史，逐行可验",
            "its history, to verify line by line",
        ),
        (
            f'curl -H "Authorization: Bearer $A" -o case.zip {address}/v1/cases/{case_id}/bundle',
            "它的卷宗包：.venv/bin/mediation verify --bundle case.zip",
            "its bundle, to verify without us",
        ),
    ):
        screen.print(f"  [cyan]{command}[/]  {zh}  [dim]{en}[/]", soft_wrap=True)
    screen.print(f"  其他人员 [dim]other people[/]  {'  '.join(others)}", soft_wrap=True)
