"""The commands `log`: how the signed logs stand, and what to do where one was set back."""

import asyncio
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from mediation.commandline.speech import AsJson, Demo, answer, pick, read_settings, say

if TYPE_CHECKING:  # `--help` needs neither
    from collections.abc import Awaitable, Callable

    from mediation.gateway.logkeys import LogKeys
    from mediation.service.cosigning import Cosigners
    from mediation.service.recovery import Standing
    from mediation.settings import Door, Settings, Urls

app = typer.Typer()
log = typer.Typer(no_args_is_help=True, help="The signed logs of all events, and of who was shown what. 签名日志")
app.add_typer(log, name="log")

_T = TypeVar("_T")
_TITLES = {"events": ("事件日志", "events"), "access": ("访问日志", "access")}


@log.command()
def status(*, demo: Demo = False, as_json: AsJson = False) -> None:
    """Say how each log stands, and whether this machine and the witnesses agree. 日志状态

    Signs nothing. Exit code 1: something was signed that the database does not hold, its key is not here, or nothing
    has been signed for a minute although something waits.
    """
    from mediation.service.recovery import standings

    settings = read_settings(database="demo" if demo else None)

    async def look(urls: "Urls", keys: "LogKeys", cosigners: "Cosigners") -> "list[Standing]":
        return await standings(urls.log, keys, cosigners)

    found = _with_keys(settings, look, "log")
    if as_json:
        answer({one.log: _told(one, settings) for one in found})
    else:
        for one in found:
            _show(one, settings)
    raise typer.Exit(1 if any(one.wrong for one in found) else 0)


@log.command()
def recover(
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask. 不再询问")] = False,
    lost_key: Annotated[
        list[str] | None,
        typer.Option("--lost-key", metavar="VKEY", help="Public half of a key that is gone for good. 已丢失密钥的公钥"),
    ] = None,
    demo: Demo = False,
) -> None:
    """Let a log that was set back begin anew, under another name. 日志重启（恢复旧备份之后）

    For after the restore of an older backup: what was signed since is lost, and the service signs nothing more, so that
    nobody can say it never was. The log then begins anew with a new key, at places beyond all that were ever given, and
    its first entry says what was lost. Whoever verifies sees it for ever.

    Also for a key that is gone for good: make another (`mediation keys new`) and give the public half of the lost one,
    as it was published, by --lost-key. Nothing is lost then, but the log goes on under another name all the same.

    Before: stop the service, look for a newer backup, and keep what witnesses and auditors hold of the lost log. After:
    start the service, and give every witness and auditor the new public half, which `mediation keys list` shows.

    恢复旧备份后，已签名而丢失的部分无法找回，服务不再签名。本命令以新的名称和密钥重新开始，位置不重复使用，首条记录写明
    丢失了什么，并永久可见。密钥永久丢失时也用它：先 keys new，再以 --lost-key 给出已公布的旧公钥。
    执行前请先停止服务、寻找更新的备份；执行后启动服务，并把新公钥交给见证方和审计机关。
    """
    from mediation.domain.notes import parse_verifier_key
    from mediation.service.recovery import recover as begin_anew
    from mediation.service.recovery import standings

    settings = read_settings(database="demo" if demo else None)
    gone = [parse_verifier_key(text) for text in lost_key or ()]

    async def run(urls: "Urls", keys: "LogKeys", cosigners: "Cosigners") -> list[str]:
        found = await standings(urls.log, keys, cosigners)
        wrong = [one for one in found if one.recoverable or (gone and one.trouble)]
        for one in wrong:
            _show(one, settings)
        if wrong and not yes:
            typer.confirm(
                pick("丢失的部分无法找回。重新开始？", "What is lost cannot be had again. Begin anew?"), abort=True
            )
        begun = await begin_anew(urls, keys, cosigners, gone)
        return [f"{entry.log}: {entry.new_origin}" for entry in begun]

    for line in _with_keys(settings, run, "app", "log"):
        typer.echo(line)
    say(
        "已重新开始。请启动服务，并把新公钥（mediation keys list）交给见证方和审计机关。",
        "Begun anew. Start the service, and give witnesses and auditors the new public half (`mediation keys list`).",
    )


def _with_keys(settings: "Settings", act: "Callable[[Urls, LogKeys, Cosigners], Awaitable[_T]]", *doors: "Door") -> _T:
    """What `act` gives, at the doors of the database, with keys and witnesses. Raises BadKeyFile, as `act` does."""
    from mediation.commandline.readiness import something_there
    from mediation.gateway.embedded import database_ready
    from mediation.gateway.keys import BadKeyFile
    from mediation.gateway.logkeys import known_keys
    from mediation.service.cosigning import cosigners_of

    keys = known_keys(settings)
    if keys is None:
        raise BadKeyFile(
            zh=f"日志密钥不在本机（{settings.log_key}、{settings.access_log_key}）：在服务所在的机器上执行本命令。",
            en=f"The logs' keys are not here ({settings.log_key}, {settings.access_log_key}): run this where the "
            "service runs.",
        )

    async def run(urls: "Urls", keys: "LogKeys") -> _T:
        cosigners = cosigners_of(settings, urls.log, keys)
        try:
            return await act(urls, keys, cosigners)
        finally:
            await cosigners.close()

    with database_ready(settings, *doors) as urls:
        something_there(urls.log)
        return asyncio.run(run(urls, keys))


def _told(one: "Standing", settings: "Settings") -> dict[str, Any]:
    from mediation.domain.notes import encode64

    wrong = one.wrong
    return {
        "origin": one.own.origin,
        "size": one.own.size,
        "root": encode64(one.own.root),
        "signed_at": one.signed_at or None,
        "waiting": one.waiting,
        "cosigned_by": one.cosigners,
        "quorum": settings.quorum,
        "known": [
            {"by": head.who or "this machine", "origin": head.checkpoint.origin, "size": head.checkpoint.size}
            for head in one.heads
        ],
        "silent": one.silent,
        "waiting_since": one.oldest or None,
        "halted": wrong and {"code": wrong.code, "zh": wrong.zh, "en": wrong.en},
    }


def _show(one: "Standing", settings: "Settings") -> None:
    from mediation.domain.notes import encode64

    wrong = one.wrong
    counted = len({*one.cosigners} & {*settings.published_by.witnesses})
    mark = typer.style("✗", fg="red") if wrong else typer.style("✓", fg="green")
    typer.echo(f"{mark} {pick(*_TITLES[one.log])}  {one.own.origin}")
    rows = [
        (("已签", "signed"), f"{one.own.size}  {encode64(one.own.root)}  {one.signed_at or '–'}"),
        (("待入日志", "waiting"), str(one.waiting)),
        (("副署", "cosigned by"), f"{', '.join(one.cosigners) or '–'}  ({counted}/{settings.quorum})"),
    ]
    for head in one.heads:
        known, lost = head.checkpoint, pick("  （已丢失）", "  (lost)") if head in one.lost else ""
        who = head.who or pick("本机", "this machine")
        rows.append((("见过", "seen by"), f"{who}: {known.origin}  {known.size}  {encode64(known.root)}{lost}"))
    rows += [(("没有应答", "no answer"), name) for name in one.silent]
    for label, value in rows:
        typer.echo(f"    {pick(*label)}: {value}")
    if wrong:
        typer.echo(f"    {wrong.code}: {pick(wrong.zh, wrong.en)}")
