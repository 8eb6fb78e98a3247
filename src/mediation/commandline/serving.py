"""Commands for whoever opens the counter: `serve`, `token`, `openapi`."""

import asyncio
import fcntl
import logging
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mediation.commandline.leaving import asked, begin, dismiss, only_note
from mediation.commandline.speech import AsJson, Demo, answer, pick, read_settings, say

if TYPE_CHECKING:  # `--help` needs neither
    from mediation.settings import Settings, Urls
    from mediation.store.bodies import Person

app = typer.Typer()

_WATCH_S = 0.5
_AGAIN_S = 5.0  # a worker that cannot begin is not to keep the machine busy
_SOMEONE = "150525103201-mediator-1"
_EMPTY = (
    "演示县还是空的：先运行 make demo（或 mediation seed --demo）填充。",
    "The demo county is empty: run `make demo` (or `mediation seed --demo`) to fill it.",
)
_METRICS = "mediation-metrics-"


@app.command()
def serve(
    *,
    host: Annotated[str | None, typer.Option(help="Address. 监听地址 [MEDIATION_HOST, 127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="Port. 端口 [MEDIATION_PORT, 8000]")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes. 进程数 [MEDIATION_WORKERS, 1]")] = None,
    worker: Annotated[
        bool | None, typer.Option("--worker/--no-worker", help="The clock beside it. 同时运行时钟 [MEDIATION_WORKER]")
    ] = None,
    demo: Annotated[bool, typer.Option(help="Serve the demo county. 打开演示县")] = False,
) -> None:
    """Answer requests, on a database of its own unless one is given. 启动服务"""
    from mediation.commandline.attendance import attend
    from mediation.commandline.readiness import erased_again, port_free, vault_of
    from mediation.gateway.embedded import database_ready
    from mediation.http.app import check
    from mediation.http.dependencies import issuer
    from mediation.service.integrate import keys_for
    from mediation.service.lawbook import Lawbook

    county = {"database": "demo", "sandbox_clock": True} if demo else {}
    settings = read_settings(host=host, port=port, workers=workers, worker=worker, **county)
    check(settings)
    Lawbook(settings.laws)
    with database_ready(settings, "app") as urls:
        if settings.embedded:
            _migrate(urls)
        asyncio.run(_safe(urls))
        vault_of(settings, urls.app)
        erased_again(settings, urls)
        if urls.log:
            asyncio.run(keys_for(settings, urls.log))
        if settings.issuer is None:
            issuer(settings)
        asyncio.run(port_free(settings.host, settings.port))
        _welcome(settings, urls)
        only_note()
        with _watched(settings), _measured(settings), _timed(settings):
            well = attend(settings, asked)
    if not well:
        raise typer.Exit(1)


def _migrate(urls: "Urls") -> None:
    from mediation.store.database import migrate

    migrate(urls.owner)


async def _safe(urls: "Urls") -> None:
    from mediation.store.database import assert_durable, connect

    async with await connect(urls.app) as connection:
        await assert_durable(connection)


def _welcome(settings: "Settings", urls: "Urls") -> None:
    if settings.database == "demo" and asyncio.run(_empty(urls)):
        say(*_EMPTY, to_stderr=True)
    address, option = f"http://{settings.host}:{settings.port}", " --demo" if settings.database == "demo" else ""
    if settings.issuer is not None:
        say(
            f"接口说明：{address}/docs；令牌由 {settings.issuer} 签发",
            f"The API is explained at {address}/docs; tokens come from {settings.issuer}",
            to_stderr=True,
        )
        return
    say(
        f"接口说明：{address}/docs；取得令牌：mediation token{option} 人员代码",
        f"The API is explained at {address}/docs; for a token: mediation token{option} PERSON",
        to_stderr=True,
    )


@contextmanager
def _measured(settings: "Settings") -> Iterator[None]:
    """Where several workers put their measurements together."""
    if settings.workers == 1:
        yield
        return
    for left in Path(tempfile.gettempdir()).glob(f"{_METRICS}*"):
        with suppress(OSError):  # another command may be removing it too
            if left.stat().st_uid == os.geteuid():
                with _locked(left):
                    shutil.rmtree(left)
    with tempfile.TemporaryDirectory(prefix=_METRICS, ignore_cleanup_errors=True) as folder, _locked(Path(folder)):
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        yield


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold a folder for as long as the block runs, or the process lives. Raises: BlockingIOError, if another does."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


@contextmanager
def _watched(settings: "Settings") -> Iterator[None]:
    """Bring the embedded server back when it was killed; one that was stopped in order stays stopped."""
    if not settings.embedded:
        yield
        return
    from mediation.gateway.embedded import Server

    server, over, log = Server(settings.data_dir), threading.Event(), logging.getLogger("mediation")

    def watch() -> None:
        while not over.wait(_WATCH_S):
            if server.cluster.noted() and server.cluster.postmaster() is None:
                log.warning("the embedded database died and is started again")
                try:
                    server.revive()
                except Exception as error:  # noqa: BLE001  # it may have died again meanwhile; we look again
                    log.warning("it did not come back: %s", type(error).__name__)

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    try:
        yield
    finally:
        over.set()
        watching.join()


@contextmanager
def _timed(settings: "Settings") -> Iterator[None]:
    """The clock in a process of its own, on the embedded server only: beside a given one `mediation worker` runs."""
    if not (settings.embedded and settings.worker):
        yield
        return
    from mediation.commandline.timekeeping import work_beside

    over, log, beside = threading.Event(), logging.getLogger("mediation"), [begin(work_beside, settings)]

    def watch() -> None:
        while not over.wait(_AGAIN_S):
            if not beside[0].is_alive():
                log.warning("the worker died and is replaced")
                beside[0] = begin(work_beside, settings)

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    try:
        yield
    finally:
        over.set()
        watching.join()
        dismiss(beside)


@app.command()
def token(
    person: Annotated[str, typer.Argument(help="Code or id of a person. 人员代码或 id")],
    *,
    hours: Annotated[float, typer.Option(min=0.01, max=24 * 365, help="Valid for. 有效小时数")] = 12,
    scope: Annotated[list[str] | None, typer.Option(help="For this only; repeatable. 限定用途，可重复")] = None,
    second_factor: Annotated[bool, typer.Option("--second-factor", help="As after two. 视为双因素登录")] = False,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Print a token of the development issuer, which works on loopback only. 签发本机开发令牌"""
    from mediation.http.app import check
    from mediation.http.dependencies import issuer

    settings = read_settings(database="demo" if demo else None)
    check(settings)
    if settings.issuer is not None:
        say(
            f"已设置身份提供方（MEDIATION_ISSUER）：令牌由 {settings.issuer} 签发，开发令牌不被接受。",
            f"An identity provider is set (MEDIATION_ISSUER): tokens come from {settings.issuer}, "
            "and those of the development issuer are refused.",
            to_stderr=True,
        )
        raise typer.Exit(1)
    issuing = issuer(settings)
    found, nobody = _person(settings, person)
    if demo and nobody:
        say(*_EMPTY, to_stderr=True)
        raise typer.Exit(1)
    if found is None:
        say(
            f"没有人员 {person}：人员代码来自 mediation import people；演示县（--demo）中如 {_SOMEONE}。",
            f"There is no person {person}: codes come from `mediation import people`; "
            f"in the demo (--demo) there is {_SOMEONE}.",
            to_stderr=True,
        )
        raise typer.Exit(1)
    made = issuing.issue(
        found.id, lifetime_s=int(hours * 3600), scope=" ".join(scope or ()), second_factor=second_factor
    )
    if as_json:
        bodies = [
            {"id": org, "code": code, "name": name, "roles": roles} for org, code, name, roles in found.memberships
        ]
        answer({"token": made, "person": found.id, "name": found.name, "organisations": bodies})
        return
    for org, _, name, roles in found.memberships:
        typer.echo(f"# {found.name} · {name} · {', '.join(roles)} · Acting-For: {org}", err=True)
    if len(found.memberships) > 1:
        typer.echo("# " + pick("须以 Acting-For 指明单位", "say with Acting-For for which body you act"), err=True)
    typer.echo(made)


def _person(settings: "Settings", said: str) -> "tuple[Person | None, bool]":
    """The person meant, and whether the registry is empty."""
    from mediation.commandline.readiness import something_there
    from mediation.gateway.embedded import database_ready
    from mediation.service.registry import person_by
    from mediation.store.database import engine

    async def find(urls: "Urls") -> "tuple[Person | None, bool]":
        made = engine(urls.app, 1, pooled=urls.pooled)
        try:
            found = await person_by(made, said)
        finally:
            await made.dispose()
        return found, found is None and await _empty(urls)

    with database_ready(settings, "app") as urls:
        something_there(urls.app)
        return asyncio.run(find(urls))


async def _empty(urls: "Urls") -> bool:
    """Whether no organisation was ever put in."""
    from mediation.store.bodies import superiors
    from mediation.store.database import engine

    made = engine(urls.app, 1, pooled=urls.pooled)
    try:
        async with made.connect() as connection:
            return not await superiors(connection)
    finally:
        await made.dispose()


@app.command()
def openapi(
    file: Annotated[Path | None, typer.Option("--output", "-o", help="Write to this file. 写入文件")] = None,
) -> None:
    """Print the contract of the API, as OpenAPI 3.1. 输出接口契约"""
    from mediation.http.app import document_text

    text = document_text()
    if file is None:
        typer.echo(text, nl=False)
    else:
        file.write_text(text, "utf-8")
