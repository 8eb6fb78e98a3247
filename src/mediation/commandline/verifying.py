"""The command `verify`: the stored histories and the signed logs, the bundle of a case, or an exported log."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from mediation.commandline.speech import AsJson, Demo, answer, pick, read_settings, say

if TYPE_CHECKING:  # `--help` does not need them
    from mediation.domain.notes import Verifier
    from mediation.gateway.logkeys import LogKeys
    from mediation.gateway.vault import Vault
    from mediation.service.findings import Failure, Reading, Trust
    from mediation.service.verification import Report
    from mediation.settings import Settings

app = typer.Typer()

_MOST_FILE_BYTES = 1024 * 1024
_GIVEN, _OURS, _INSIDE = "given", "settings", "inside"


@app.command()
def verify(
    *,
    bundle: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="The bundle of a case. 卷宗包")
    ] = None,
    tiles: Annotated[
        Path | None, typer.Option(exists=True, file_okay=False, help="An exported log. 导出的日志目录")
    ] = None,
    key: Annotated[
        list[str] | None, typer.Option(metavar="VKEY|FILE", help="Key of the log, or a file of them. 日志公钥")
    ] = None,
    witness: Annotated[
        list[str] | None, typer.Option(metavar="VKEY|FILE", help="Key of a witness that must cosign. 见证方公钥")
    ] = None,
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option(exists=True, dir_okay=False, help="A checkpoint you have from elsewhere. 你另存的检查点"),
    ] = None,
    hashes_only: Annotated[
        bool, typer.Option("--hashes-only", help="Of a log exported without entries. 只校验哈希分块")
    ] = False,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Verify that nothing was changed, taken away or put in: of the database, or offline of what was exported.

    校验历史未被改动、删去或添加：数据库，或脱机校验导出的卷宗包、日志。

    Names the first event that fails and how; ends with 1 if anything does. Without --key it goes by the key of this
    machine; for a bundle or an exported log that is not of this machine by the key inside, which then must be compared
    with the one its operator has published. 未给 --key 时用本机日志公钥；否则用包内公钥，须与公布的核对。
    """
    if bundle and tiles:
        say("--bundle 与 --tiles 只能选一个。", "Give --bundle or --tiles, not both.", to_stderr=True)
        raise typer.Exit(2)
    if hashes_only and not tiles:
        say("--hashes-only 只与 --tiles 同用。", "--hashes-only goes with --tiles.", to_stderr=True)
        raise typer.Exit(2)
    settings = read_settings(database="demo" if demo else None)
    asked = _Asked(
        tuple(_keys(key or ())),
        tuple(_keys(witness or ())),
        tuple(_text(file) for file in checkpoint or ()),
    )
    if bundle or tiles:
        _offline(settings, asked, bundle, tiles, hashes_only=hashes_only, as_json=as_json)
    _database(settings, asked, as_json=as_json)


class _Asked(NamedTuple):
    """What the auditor brings."""

    keys: "tuple[Verifier, ...]"
    witnesses: "tuple[Verifier, ...]"
    notes: tuple[str, ...]


def _database(settings: "Settings", asked: _Asked, *, as_json: bool) -> None:
    from mediation.commandline.readiness import something_there
    from mediation.gateway.embedded import database_ready
    from mediation.service.verification import verify_database

    with database_ready(settings, "reader") as urls:
        something_there(urls.reader)
        trust, vault = _trust_here(settings, asked), _vault_here(settings)
        if not trust.verifiers:
            _warn_keyless(settings)
        with (
            _bar("校验案件", "verifying cases") as cases,
            _bar("校验日志", "verifying the logs") as leaves,
        ):
            report = asyncio.run(verify_database(urls.reader, cases, trust=trust, vault=vault, growing=leaves))
    _tell(report, as_json=as_json, keys=trust.verifiers, keys_from=_GIVEN if asked.keys else _OURS)
    if not as_json and report.sound:
        say(
            f"{report.cases}件案件、{report.events}个事件、管理日志{report.entries}条：历史完整，状态相符。",
            f"{report.cases} cases, {report.events} events, {report.entries} entries of administration: whole, "
            "as stored.",
        )
        say(
            f"签名日志{report.leaves}条、访问日志{report.accesses}条，"
            f"检查点{report.checkpoints}个、副署{report.cosignatures}个：均相符。",
            f"The signed logs of {report.leaves} events and {report.accesses} reads: {report.checkpoints} checkpoints"
            f" and {report.cosignatures} cosignatures hold.",
        )
    elif not as_json:
        say(f"{report.failed}项未通过校验。", f"{report.failed} failures.", to_stderr=True)
    raise typer.Exit(0 if report.sound else 1)


def _offline(
    settings: "Settings",
    asked: _Asked,
    bundle: Path | None,
    tiles: Path | None,
    *,
    hashes_only: bool,
    as_json: bool,
) -> None:
    from mediation.domain.bundling import VKEYS
    from mediation.service.findings import Trust
    from mediation.service.following import verify_tiles
    from mediation.service.proofreading import keys_inside, verify_bundle

    inside = keys_inside(bundle) if bundle else _text(tiles / VKEYS) if tiles and (tiles / VKEYS).exists() else ""
    keys, source = _keys_offline(settings, asked, inside)
    trust = Trust((*keys, *asked.witnesses), asked.notes)
    with _bar("校验", "verifying") as done:
        reading = (
            verify_bundle(bundle, trust, done)
            if bundle
            else verify_tiles(_given(tiles), trust, done, hashes_only=hashes_only)
        )
    _tell(reading, as_json=as_json, keys=trust.verifiers, keys_from=source)
    if not as_json:
        _tell_offline(reading, own=source == _INSIDE, whole=bool(bundle))
    raise typer.Exit(0 if reading.sound else 1)


def _tell_offline(reading: "Reading", *, own: bool, whole: bool) -> None:
    if not reading.sound:
        say(f"{reading.failed}项未通过校验。", f"{reading.failed} failures.", to_stderr=True)
    elif whole:
        say(
            f"{reading.entries}个事件：齐全、有序、未经改动；明文{reading.disclosures}份；"
            f"日志 {reading.origin} 共{reading.size}条，副署{len(reading.witnesses)}个。",
            f"{reading.entries} events: whole, in order, unaltered; {reading.disclosures} disclosures; the log "
            f"{reading.origin} of {reading.size} leaves, {len(reading.witnesses)} cosignatures.",
        )
    else:
        say(
            f"日志 {reading.origin} 共{reading.size}条，{reading.entries}条内容、{reading.cases}件案件的链："
            f"均与签名相符；副署{len(reading.witnesses)}个。",
            f"The log {reading.origin} of {reading.size} leaves: {reading.entries} entries and the chains of "
            f"{reading.cases} cases are as signed; {len(reading.witnesses)} cosignatures.",
        )
    _tell_foreign(reading.foreign)
    for size in reading.unproven:
        say(
            f"! 你持有的{size}条的检查点较早，包内没有它与本检查点相容的证明：请在线核对，或校验导出的日志。",
            f"! Your checkpoint of {size} leaves is older, and nothing here relates the two: verify an exported log.",
            to_stderr=True,
        )
    if own:
        say(
            "! 所用公钥取自其自身：请与日志运营方公布的核对，或以 --key 给出。",
            "! The key is its own: compare it with the one that the operator has published, or give that by --key.",
            to_stderr=True,
        )


def _tell_foreign(names: "Sequence[str]") -> None:
    """Say what nothing vouches for, before anybody runs or believes it."""
    from mediation.domain.bundling import MANUAL, SCRIPT

    for name in names:
        shown = name if name.isprintable() else repr(name)
        if name in {SCRIPT, MANUAL}:
            say(
                f"! 包内的 {shown} 与本机安装的不同：可能出自另一版本，也可能被人替换；请勿执行或照办，应另行取得。",
                f"! Its {shown} is not the one installed here: of another version, or somebody else's. Do not run or "
                "follow it; take one from elsewhere.",
                to_stderr=True,
            )
        else:
            say(
                f"! {shown} 不属于卷宗包，未经校验。",
                f"! {shown} is no part of the bundle, and was not verified.",
                to_stderr=True,
            )


def _tell(report: "Report | Reading", *, as_json: bool, keys: "Sequence[Verifier]", keys_from: str) -> None:
    if as_json:
        failures = [{**failure._asdict(), "reason": failure.reason._asdict()} for failure in report.failures]
        shown: dict[str, Any] = {**report._asdict(), "failures": failures, "sound": report.sound}
        answer({**shown, "keys": [one.text for one in keys], "keys_from": keys_from})
        return
    for failure in report.failures:
        place = _place(failure)
        typer.echo(f"✗ {place}{': ' if place else ''}{pick(failure.reason.zh, failure.reason.en)}")


def _place(failure: "Failure") -> str:
    """Where it fails: case, event, place in the log; as much as is known."""
    at, seq = failure.position, failure.seq
    parts = [failure.number or failure.case_id]
    if seq or failure.event_id:
        number = pick(f"第{seq}号事件", f"event {seq}") if seq else pick("事件", "event")
        parts.append(f"{number} {failure.event_id}".strip())
    elif failure.access:
        parts.append(pick(f"访问日志第{failure.access}条", f"entry {failure.access} of the access log"))
    elif failure.case_id and not failure.origin:
        parts.append(pick("案件记录", "the stored case"))
    elif failure.origin:
        parts.append(pick(f"日志 {failure.origin}", f"the log {failure.origin}"))
    if at:
        parts.append(pick(f"（位置 {at}）", f"(position {at})"))
    return " ".join(part for part in parts if part)


def _trust_here(settings: "Settings", asked: _Asked) -> "Trust":
    """The keys that were given, else those of this machine; with them the last checkpoints signed here."""
    from mediation.domain.notes import parse_verifier_key
    from mediation.service.findings import Trust

    ours = _ours(settings)
    mine = (ours.events, ours.access) if ours else ()
    keys = asked.keys or tuple(verifier for one in mine for verifier in one.verifiers)
    named = {verifier.name for verifier in keys}
    remembered = tuple(note for one in mine if one.origin in named and (note := one.remembered()))
    witnesses = asked.witnesses or tuple(parse_verifier_key(vkey) for vkey, _ in settings.witnesses)
    return Trust((*keys, *witnesses), (*asked.notes, *remembered))


def _keys_offline(settings: "Settings", asked: _Asked, inside: str) -> "tuple[Sequence[Verifier], str]":
    """The keys that were given, else those of this machine if it is its log, else those inside; and which of these."""
    from mediation.domain.notes import parse_verifier_key

    if asked.keys:
        return asked.keys, _GIVEN
    told = [parse_verifier_key(line) for line in inside.splitlines()]
    ours = _ours(settings)
    known = [verifier for one in (ours.events, ours.access) for verifier in one.verifiers] if ours else []
    if any(one in known for one in told):
        return known, _OURS
    return told, _INSIDE


def _ours(settings: "Settings") -> "LogKeys | None":
    from mediation.gateway.keys import BadKeyFile
    from mediation.gateway.logkeys import known_keys

    try:
        return known_keys(settings)
    except BadKeyFile as found:
        say(found.zh, found.en, to_stderr=True)
        return None


def _vault_here(settings: "Settings") -> "Vault | None":
    """With the key that is on this machine; without one nothing that is sealed is opened, and that is said."""
    from mediation.gateway.vault import BadKeyFile, Vault, key_from
    from mediation.settings import key_file_mode

    try:
        if key_file_mode(settings.key_file) is not None:
            return Vault(key_from(settings.key_file))
        found = BadKeyFile(
            zh=f"没有保险库密钥（{settings.key_file}）：封存的内容未打开核对。",
            en=f"There is no key of the vault ({settings.key_file}): what is sealed is not opened.",
        )
    except BadKeyFile as bad:
        found = bad
    say(found.zh, found.en, to_stderr=True)
    return None


def _warn_keyless(settings: "Settings") -> None:
    say(
        f"没有日志公钥（{settings.log_key}）：签名无从核对，请以 --key 给出。",
        f"There is no key of the log ({settings.log_key}): no signature can be checked; give it by --key.",
        to_stderr=True,
    )


def _keys(given: Sequence[str]) -> "Iterator[Verifier]":
    """Each a vkey, or a file with one a line."""
    from mediation.domain.errors import BadNote
    from mediation.domain.notes import parse_verifier_key

    for one in given:
        lines = _text(Path(one)).split() if Path(one).is_file() else [one]
        for line in lines:
            try:
                yield parse_verifier_key(line)
            except BadNote as bad:
                shown = line if line == one else f"{one}: {line}"
                zh, en = f"{shown}：{bad.zh}，也不是文件", f"{shown}: {bad.en}, nor a file of keys"
                raise BadNote(*bad.reasons, zh=zh, en=en) from bad


def _text(file: Path) -> str:
    with file.open("rb") as source:
        return source.read(_MOST_FILE_BYTES).decode("utf-8", "replace")


def _given(folder: Path | None) -> Path:
    assert folder is not None  # noqa: S101  # whoever calls has looked
    return folder


@contextmanager
def _bar(zh: str, en: str) -> Iterator[Callable[[int, int], None]]:
    """A bar that is told what is done and how much there is; shown once something is."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from mediation.commandline.timeline import console

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=console(stderr=True), transient=True)
    task = bar.add_task(pick(zh, en), total=None)

    def told(done: int, total: int) -> None:
        bar.start()
        bar.update(task, completed=done, total=total)
        if done >= total:
            bar.stop()

    try:
        yield told
    finally:
        bar.stop()
