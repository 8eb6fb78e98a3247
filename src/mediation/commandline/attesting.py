"""The commands `witness`: a court or an auditor vouches that a log never takes back what it has said."""

import logging
import logging.config
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mediation.commandline.speech import AsJson, answer, say

if TYPE_CHECKING:  # `--help` needs neither
    from mediation.http.witness import Witness

app = typer.Typer()
witness = typer.Typer(
    no_args_is_help=True,
    help="Vouch for other people's logs: needs no database, and none of their files. 见证日志（法院、审计机关使用）",
)
app.add_typer(witness, name="witness")

KeyFile = Annotated[Path, typer.Option("--key", dir_okay=False, help="From `witness new`. 见证密钥文件")]
Logs = Annotated[
    list[str] | None,
    typer.Option("--log", metavar="VKEY|FILE", help="A log to vouch for; repeatable. 所见证日志的公钥或公钥文件"),
]
Memory = Annotated[
    Path | None,
    typer.Option("--memory", file_okay=False, help="What was cosigned; default: beside the key. 见证记录目录"),
]


@witness.command()
def new(
    name: Annotated[str, typer.Argument(help="Like witness.court.example/1: no spaces, no +. 名称")],
    *,
    file: Annotated[Path, typer.Option("--output", "-o", dir_okay=False, help="Not there yet. 密钥文件")],
) -> None:
    """Make a witness's key, and print its public half, which the logs are told. 生成见证密钥

    The file holds the secret: back it up once, and let nobody else read it. Give the printed line (the vkey) to whoever
    runs the log, on a way on which nobody can change it.
    """
    import secrets

    from mediation.domain.notes import SignatureKind, new_signer
    from mediation.gateway.keys import KEY_BYTES, secret_from

    if file.exists():
        say(f"{file} 已存在：密钥文件从不覆盖。", f"{file} is there: a key file is never written over.", to_stderr=True)
        raise typer.Exit(1)
    if not file.parent.is_dir():  # a slip of the pen is not to make folders
        say(f"没有目录 {file.parent}。", f"There is no folder {file.parent}.", to_stderr=True)
        raise typer.Exit(1)
    made = new_signer(name, secrets.token_bytes(KEY_BYTES), SignatureKind.COSIGNATURE)
    secret_from(file, f"{made.text}\n".encode)
    say(f"密钥已写入 {file}；公钥如下。", f"The key is in {file}; its public half is:", to_stderr=True)
    typer.echo(made.verifier.text)


@witness.command()
def serve(
    *,
    key: KeyFile,
    log: Logs = None,
    memory: Memory = None,
    host: Annotated[str, typer.Option(help="Address. 监听地址")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port. 端口")] = 8010,
    prefix: Annotated[str, typer.Option(help="What addresses begin with, such as /court. 地址前缀")] = "",
) -> None:
    """Answer logs that ask for a cosignature, and monitors that ask what was cosigned. 提供见证服务

    A log's vkey comes from its operator (`mediation keys list`), and again on another way, so that you know it is
    theirs: by telephone, or in person. It speaks C2SP tlog-witness over HTTP: POST /add-checkpoint, and
    GET /<SHA-256 of the origin>/checkpoint. TLS is a proxy's before it.

    What it has cosigned lies in the memory, a folder. Never restore that folder from a backup: a witness that forgets
    would vouch for a history that was rewritten.

    mediation witness serve --key court.key --log mediation.example/events+…
    """
    import asyncio

    import uvicorn

    from mediation.commandline.attendance import Attendant
    from mediation.commandline.journal import log_config
    from mediation.commandline.leaving import asked, only_note
    from mediation.commandline.readiness import port_free
    from mediation.http.witness import witness_app

    made = _witness(key, log, memory)
    for hashed, note in made.memory.notes():
        made.recalled(hashed, note)
    asyncio.run(port_free(host, port))
    logging.config.dictConfig(log_config("info"))
    say(
        f"见证服务：http://{host}:{port}{prefix}；公钥 {made.signer.verifier.text}",
        f"Witnessing at http://{host}:{port}{prefix}; vkey {made.signer.verifier.text}",
        to_stderr=True,
    )
    only_note()
    config = uvicorn.Config(
        witness_app(made, prefix.rstrip("/")),
        host=host,
        port=port,
        loop="uvloop",
        http="httptools",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        log_config=None,
        timeout_graceful_shutdown=5,
    )
    Attendant(config, asked).run()


@witness.command()
def status(*, key: KeyFile, log: Logs = None, memory: Memory = None, as_json: AsJson = False) -> None:
    """Say what was cosigned last, of each log. 查看见证记录"""
    from datetime import UTC, datetime

    from mediation.domain.checkpoints import parse_checkpoint
    from mediation.domain.notes import encode64, open_note

    made = _witness(key, log or [], memory, needs_log=False)
    seen = []
    for hashed, note in made.memory.notes():
        made.recalled(hashed, note)
        mine = open_note(note, [made.signer.verifier])
        checkpoint = parse_checkpoint(mine.text)
        at = datetime.fromtimestamp(int.from_bytes(mine.signatures[0].signature[:8]), UTC)
        seen.append(
            {
                "origin": checkpoint.origin,
                "size": checkpoint.size,
                "root": encode64(checkpoint.root),
                "at": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            }
        )
    if as_json:
        answer({"vkey": made.signer.verifier.text, "memory": str(made.memory.folder), "logs": seen})
        return
    typer.echo(made.signer.verifier.text)
    for one in seen:
        typer.echo(f"  {one['origin']}  {one['size']}  {one['root']}  {one['at']}")
    if not seen:
        say("  尚未见证任何日志。", "  Nothing was cosigned yet.")


def _witness(key: Path, logs: list[str] | None, memory: Path | None, *, needs_log: bool = True) -> "Witness":
    """The witness of these options. Raises BadKeyFile, BadNote, BadSetting, BadMemory."""
    from mediation.domain.errors import BadNote
    from mediation.domain.notes import SignatureKind, Verifier, parse_signer_key, parse_verifier_key
    from mediation.gateway.keys import BadKeyFile, secret_from
    from mediation.gateway.remembrance import Remembrance
    from mediation.http.witness import Witness
    from mediation.settings import BadSetting

    if not key.exists():
        raise BadKeyFile(
            zh=f"没有密钥文件 {key}：先执行 mediation witness new。",
            en=f"There is no key file {key}: `mediation witness new` makes one.",
        )
    at = str(key)
    try:
        signer = parse_signer_key(secret_from(key, bytes).decode("utf-8", "replace").strip())
        if signer.kind is not SignatureKind.COSIGNATURE:
            raise BadKeyFile(
                zh=f"{key} 是日志的密钥，不是见证方的。", en=f"{key} is the key of a log, not a witness's."
            )
        known: dict[str, list[Verifier]] = {}
        for text in (line for said in logs or () for line in _lines(said)):
            at = text
            verifier = parse_verifier_key(text)
            if verifier.kind is not SignatureKind.ED25519:
                raise BadSetting(zh=f"{text} 不是日志的公钥。", en=f"{text} is not the vkey of a log.")
            known.setdefault(verifier.name, []).append(verifier)
    except BadNote as found:
        raise BadSetting(zh=f"密钥不可用（{at}）：{found.zh}", en=f"A key cannot be used: {at}: {found.en}") from found
    if needs_log and not known:
        raise BadSetting(zh="须以 --log 给出所见证日志的公钥。", en="--log gives the vkey of a log to vouch for.")
    return Witness(signer, known, Remembrance(memory or key.with_name(f"{key.name}.memory")))


def _lines(said: str) -> list[str]:
    """The vkeys of an option: one, or those of a file, a line each. Raises BadSetting."""
    from mediation.settings import BadSetting

    if said.count("+") > 1:  # name, id and key are joined by them
        return [said]
    try:
        lines = list(map(str.strip, Path(said).read_text("utf-8").splitlines()))
    except (OSError, UnicodeDecodeError) as found:
        raise BadSetting(
            zh=f"{said} 不是公钥，也不是公钥文件。", en=f"{said} is no vkey, nor a file of them."
        ) from found
    return [line for line in lines if line and not line.startswith("#")]
