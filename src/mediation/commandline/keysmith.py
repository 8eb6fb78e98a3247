"""The commands `keys`: the keys of the signed logs are made, replaced and shown to whoever is to verify."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mediation.commandline.speech import AsJson, Demo, answer, pick, read_settings, say

if TYPE_CHECKING:  # `--help` does not need them
    from mediation.settings import Settings

app = typer.Typer()
keys = typer.Typer(
    no_args_is_help=True,
    help="The keys that sign the logs; auditors and witnesses are given their public halves. 日志签名密钥",
)
app.add_typer(keys, name="keys")

Access = Annotated[bool, typer.Option("--access", help="Of the log of who read what. 访问日志的密钥")]


@keys.command()
def new(
    *,
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="NAME", help="Like log.example.gov.cn/2026: no spaces. 日志名称（默认随机）"),
    ] = None,
    access: Access = False,
    retire: Annotated[bool, typer.Option("--retire", help="Replace the key that there is. 更换现有密钥")] = False,
    demo: Demo = False,
) -> None:
    """Make the key of a log before its first event, or replace it. 生成或更换日志密钥

    The name of the key is the name (origin) of the log, for good: choose one that is yours, such as a domain. Without
    this command a key with a random name is made at first use. A key file is never written over.

    With --retire the log goes on under the same name with a new key, and the public half of the old one is kept beside
    it, in <file>.retired: what it signed still counts. Do so when the key may have been seen; start the service anew.

    What is printed is the public half (vkey). Give it to auditors and witnesses, on a way on which nobody can change
    it; the file itself leaves this machine only into a backup, apart from that of the database.

    密钥名称即日志名称，确定后不改；不执行本命令时，首次使用自动生成随机名称的密钥。--retire 更换密钥：日志名称不变，
    旧公钥记入 <文件>.retired，旧签名仍然有效；更换后请重启服务。
    输出的是公钥，请以不会被篡改的途径交给审计机关和见证人。
    """
    from secrets import token_hex

    from mediation.gateway.logkeys import assert_name, log_key
    from mediation.gateway.logkeys import retire as replaced

    settings = read_settings(database="demo" if demo else None)
    path = _path(settings, access=access)
    there = path.exists()
    if there and not retire:
        say(
            f"{path} 已存在：密钥文件从不覆盖；更换密钥请加 --retire。",
            f"{path} is there: a key file is never written over; --retire replaces the key.",
            to_stderr=True,
        )
        raise typer.Exit(1)
    if name is not None:
        assert_name(name)
    if retire and (name is not None or not there):
        say(
            "--retire 更换现有的密钥，日志名称不变；没有密钥时无可更换，也不能另取名称。",
            "--retire replaces a key that is there, under the same name: it needs one, and takes no --name.",
            to_stderr=True,
        )
        raise typer.Exit(2)
    other = _path(settings, access=not access)
    if path == other or (name and other.exists() and log_key(other, "").origin == name):
        say(
            "事件日志与访问日志须各有其名和文件：这个名称或文件已属另一日志。",
            "The log of events and that of reads need a name and a file each: this one is the other's.",
            to_stderr=True,
        )
        raise typer.Exit(2)
    random = f"mediation.local/{token_hex(4)}" + ("/access" if access else "")
    held = log_key(path, name or random)
    if retire:
        held = replaced(held)
        say(
            f"密钥已更换（{path}）；请重启 mediation serve 和 worker，并把下面的新公钥交给审计机关和见证人。",
            f"The key in {path} is replaced: start `mediation serve` and `worker` anew. Its new public half is:",
            to_stderr=True,
        )
    else:
        say(f"密钥已写入 {path}；公钥如下。", f"The key is in {path}; its public half is:", to_stderr=True)
    typer.echo(held.signer.verifier.text)


@keys.command(name="list")
def show(
    *,
    plain: Annotated[bool, typer.Option("--plain", help="The vkeys alone, a line each. 只列公钥，每行一个")] = False,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Show the public halves of the keys on this machine, and of those they replaced. 列出日志公钥

    Beside them the SHA-256 of verify.sh, which whoever checks a bundle should not take from the bundle.
    """
    from hashlib import sha256
    from importlib.resources import files

    from mediation.domain.bundling import SCRIPT
    from mediation.gateway.logkeys import log_key

    settings = read_settings(database="demo" if demo else None)
    logs = {"events": _path(settings, access=False), "access": _path(settings, access=True)}
    held = {log: log_key(path, "") if path.exists() else None for log, path in logs.items()}
    if plain:
        typer.echo("".join(key.vkeys for key in held.values() if key), nl=False)
        return
    if as_json:
        answer(
            {
                log: key
                and {
                    "file": key.path,
                    "vkey": key.signer.verifier.text,
                    "retired": [verifier.text for verifier in key.retired],
                }
                for log, key in held.items()
            }
        )
        return
    titles = {"events": ("事件日志", "the log of events"), "access": ("访问日志", "the log of who read what")}
    for log, key in held.items():
        typer.echo(f"{pick(*titles[log])}  {logs[log]}")
        if key is None:
            typer.echo("  " + pick("尚无密钥，首次使用时生成", "no key yet: it is made at first use"))
            continue
        typer.echo(f"  {key.signer.verifier.text}")
        for verifier in key.retired:
            typer.echo(f"  {verifier.text}  " + pick("（已停用）", "(retired)"))
    script = sha256((files("mediation") / "data" / SCRIPT).read_bytes()).hexdigest()
    typer.echo(pick("卷宗包校验程序的 SHA-256", "SHA-256 of the script that checks bundles"))
    typer.echo(f"  {script}  {SCRIPT}")


def _path(settings: "Settings", *, access: bool) -> Path:
    return settings.access_log_key if access else settings.log_key
