"""What `mediation doctor` looks at, one finding after the other, each with what to do about it."""

import asyncio
import sys
import time
from collections.abc import Iterator
from datetime import date, datetime
from typing import NamedTuple

from mediation.commandline.readiness import check_key
from mediation.domain.calendar import SHANGHAI
from mediation.domain.errors import MediationError
from mediation.gateway.embedded import ROLES, Server, database_ready, role_statements
from mediation.gateway.ledger import Ledger
from mediation.gateway.logkeys import known_keys
from mediation.gateway.programs import find_programs
from mediation.gateway.vault import BadKeyFile, key_from
from mediation.service.cosigning import cosigners_of
from mediation.service.erasing import compare
from mediation.service.lawbook import BadLaws, Lawbook
from mediation.service.recovery import Standing, standings
from mediation.settings import Settings, Urls, key_file_mode, unknown_variables
from mediation.store.database import (
    Condition,
    condition,
    connect,
    current_revision,
    dangers,
    engine,
    head_revision,
    marks,
    role_powers,
)

_PYTHON = (3, 11)
_NOTICE_MONTH = 11  # the notice of a year is published in November or December before it


class Check(NamedTuple):
    """One finding, and where it is bad what to do."""

    name: str
    ok: bool
    zh: str
    en: str
    remedy_zh: str = ""
    remedy_en: str = ""


def examine(database: str | None = None) -> Iterator[Check]:
    """Look at everything; what cannot be looked at is a finding too. `database`: another than the settings name."""
    version = "{}.{}.{}".format(*sys.version_info)
    yield Check("python", sys.version_info >= _PYTHON, f"Python {version}", f"Python {version}")
    yield _environment()
    try:
        settings = Settings.load(**({"database": database} if database else {}))
    except MediationError as error:
        yield Check("settings", ok=False, zh=error.zh, en=error.en)
        return
    yield _key(settings)
    yield from _laws(settings, datetime.now(SHANGHAI).date())
    try:
        if settings.embedded:
            yield from _programs(settings)
        begun = time.monotonic()
        with database_ready(settings) as urls:
            taken = f"{time.monotonic() - begun:.2f} s"
            if settings.embedded:
                yield Check(
                    "start", ok=True, zh=f"内置数据库就绪（{taken}）", en=f"the embedded database is ready ({taken})"
                )
            yield from asyncio.run(_database(settings, urls))
    except MediationError as error:
        yield Check("database", ok=False, zh=error.zh, en=error.en)


def _environment() -> Check:
    unknown = list(unknown_variables())
    if not unknown:
        return Check("environment", ok=True, zh="没有无法识别的环境变量", en="no unknown environment variables")
    names = ", ".join(unknown)
    return Check(
        "environment",
        ok=False,
        zh=f"无法识别的环境变量：{names}",
        en=f"unknown environment variables: {names}",
        remedy_zh=f"可用的变量：{', '.join(known())}",
        remedy_en=f"those there are: {', '.join(known())}",
    )


def known() -> list[str]:
    """Every environment variable that is read."""
    return sorted(f"MEDIATION_{name.upper()}" for name in Settings.model_fields)


def _key(settings: Settings) -> Check:
    mode = key_file_mode(settings.key_file)
    if mode is None:
        text = f"{settings.key_file}"
        return Check("key_file", ok=True, zh=f"密钥文件尚未生成：{text}", en=f"no key file yet: {text}")
    shown = f"{settings.key_file} ({mode:04o})"
    command = f"chmod 600 {settings.key_file}"
    if mode & 0o077:
        bad = (f"密钥文件可被他人读取：{shown}", f"others may read the key file {shown}")
        return Check("key_file", ok=False, zh=bad[0], en=bad[1], remedy_zh=command, remedy_en=command)
    try:
        key_from(settings.key_file)
    except BadKeyFile as error:
        return Check("key_file", ok=False, zh=error.zh, en=error.en)
    return Check("key_file", ok=True, zh=f"密钥文件 {shown}", en=f"key file {shown}")


def _laws(settings: Settings, today: date) -> Iterator[Check]:
    try:
        laws = Lawbook(settings.laws).laws
    except BadLaws as error:
        yield Check("laws", ok=False, zh=error.zh, en=error.en)
        return
    directory = f"{settings.laws}{'' if settings.laws.is_dir() else ' –'}"
    yield Check(
        "laws",
        ok=True,
        zh=f"规则集 {laws.digest[:16]}…：{len(laws.rules)}条规则、{len(laws.procedures)}种程序（目录 {directory}）",
        en=f"law set {laws.digest[:16]}…: {len(laws.rules)} rules, {len(laws.procedures)} procedures (in {directory})",
    )
    years = laws.calendar.years
    due = [today.year, today.year + 1] if today.month >= _NOTICE_MONTH else [today.year]
    missing = "、".join(str(year) for year in due if year not in years)
    latest = max(years, default=0)
    yield Check(
        "calendar",
        ok=today.year in years,
        zh=f"放假安排公布至{latest}年" + (f"；尚无{missing}年的安排" if missing else ""),
        en=f"working days are published up to {latest}" + (f"; no notice yet for {missing}" if missing else ""),
        remedy_zh="公布后执行 mediation calendar import 文件.csv；此前该年日期为暂定。" if missing else "",
        remedy_en="once it is published: `mediation calendar import FILE.csv`; until then its days are provisional."
        if missing
        else "",
    )


def _programs(settings: Settings) -> Iterator[Check]:
    programs = find_programs()
    shown = f"PostgreSQL {programs.version}: {programs.folder}"
    yield Check("programs", ok=True, zh=shown, en=shown)
    data = Server(settings.data_dir).cluster.data
    older = [path.parent.name for path in settings.data_dir.glob("pg*/PG_VERSION") if path.parent != data]
    if older and not data.exists():
        names = ", ".join(sorted(older))
        yield Check(
            "older_data",
            ok=False,
            zh=f"{settings.data_dir} 中有旧版本 PostgreSQL 的数据：{names}；新版本将从空库开始",
            en=f"{settings.data_dir} has data of another PostgreSQL: {names}; this one starts empty",
            remedy_zh="用旧版本程序执行 mediation backup，再用新版本执行 mediation restore。",
            remedy_en="run `mediation backup` with the old programs, then `mediation restore` with the new.",
        )


async def _database(settings: Settings, urls: Urls) -> list[Check]:
    found: list[Check] = []
    for door, url in (("app", urls.app), ("owner", urls.owner), ("reader", urls.reader), ("log", urls.log)):
        variable = "MEDIATION_DATABASE_URL" if door == "app" else f"MEDIATION_{door.upper()}_URL"
        if not url:
            found.append(Check(f"door_{door}", ok=True, zh=f"未设置 {variable}", en=f"{variable} is not set"))
            continue
        try:
            async with await connect(url) as connection:
                seen = await condition(connection)
                shown = f"{door}: {seen.role}, PostgreSQL {seen.version // 10000}.{seen.version % 10000}"
                found.append(Check(f"door_{door}", ok=True, zh=shown, en=shown))
                if door == "log" and await current_revision(connection) == head_revision():
                    found += await _logs(settings, urls)
                if door == "app":
                    found += [Check(danger.code, ok=False, zh=danger.zh, en=danger.en) for danger in dangers(seen)]
                    found += [_durability(seen), _roles(await role_powers(connection))]
                    found.append(_revision(await current_revision(connection), settings))
                    found.append(_vault(settings, await marks(connection)))
                    found.append(await _erasures(settings, urls, await current_revision(connection)))
        except MediationError as error:
            found.append(Check(f"door_{door}", ok=False, zh=f"{door}：{error.zh}", en=f"{door}: {error.en}"))
    return found


async def _logs(settings: Settings, urls: Urls) -> list[Check]:
    """How each signed log stands, where its key is here."""
    keys = known_keys(settings)
    if keys is None:
        zh, en = "日志密钥尚未生成，或不在本机", "the logs' keys were not made yet, or are not here"
        return [Check("log_keys", ok=True, zh=zh, en=en)]
    cosigners = cosigners_of(settings, urls.log, keys)
    try:
        stood = await standings(urls.log, keys, cosigners)
    finally:
        await cosigners.close()
    return [_log(settings, one) for one in stood]


def _log(settings: Settings, one: Standing) -> Check:
    """How a signed log stands, and whether enough witnesses answer for its checkpoints to be published."""
    silent = "、".join(one.silent)
    away = len(settings.witnesses) - len(one.silent) < settings.quorum
    zh = (one.wrong.zh if one.wrong else "") or (f"见证方没有应答：{silent}" if silent else "")
    en = (one.wrong.en if one.wrong else "") or (f"no answer from {silent}" if silent else "")
    signed, count = one.own.size, len(one.cosigners)
    remedy_zh, remedy_en = "详见 mediation log status。", "`mediation log status` says more."
    if away:
        remedy_zh = "应答的见证方不足 MEDIATION_QUORUM，新的检查点不会公布：请联系见证方。"
        remedy_en = "fewer witnesses answer than MEDIATION_QUORUM, so no new checkpoint is published: ask them."
    bad = one.wrong is not None or away
    return Check(
        f"log_{one.log}",
        ok=not bad,
        zh=f"日志 {one.own.origin}：已签{signed}，待入{one.waiting}，副署{count}" + (f"；{zh}" if zh else ""),
        en=f"log {one.own.origin}: {signed} signed, {one.waiting} waiting, {count} cosignatures"
        + (f"; {en}" if en else ""),
        remedy_zh=remedy_zh if bad else "",
        remedy_en=remedy_en if bad else "",
    )


def _durability(seen: Condition) -> Check:
    names = ("fsync", "synchronous_commit", "full_page_writes")
    values = ", ".join(f"{name} {getattr(seen, name)}" for name in names)
    return Check("durable", ok="off" not in {getattr(seen, name) for name in names}, zh=values, en=values)


def _roles(there: dict[str, tuple[bool, bool]]) -> Check:
    wrong = [role for role, power in ROLES.items() if there.get(role) != (False, power == "BYPASSRLS")]
    if not wrong:
        return Check("roles", ok=True, zh=f"角色：{'、'.join(ROLES)}", en=f"roles: {', '.join(ROLES)}")
    made = "\n".join(f"{line};" for role in wrong if role not in there for line in role_statements(role, "…"))
    changed = "\n".join(f"ALTER ROLE {role} NOSUPERUSER {ROLES[role]};" for role in wrong if role in there)
    remedy = "\n".join(part for part in (made, changed) if part)
    return Check(
        "roles",
        ok=False,
        zh=f"角色缺失或权限不对：{'、'.join(wrong)}",
        en=f"roles that are missing, or may too much or too little: {', '.join(wrong)}",
        remedy_zh=f"由数据库超级用户执行（换上自己的口令）：\n{remedy}",
        remedy_en=f"as a superuser of the database, with passwords of your own:\n{remedy}",
    )


def _vault(settings: Settings, noted: frozenset[bytes]) -> Check:
    try:
        check_key(settings, noted)
    except BadKeyFile as error:
        return Check("vault", ok=False, zh=error.zh, en=error.en)
    if not noted:
        return Check("vault", ok=True, zh="保险库是空的", en="the vault is empty")
    return Check("vault", ok=True, zh="密钥能打开保险库", en="the key opens the vault")


async def _erasures(settings: Settings, urls: Urls, revision: str | None) -> Check:
    """Whether all is gone that the ledger of erasures says is gone, and whether it names all that is."""
    shown, ledger = str(settings.erasures), Ledger(settings.erasures)
    made = engine(urls.app, 1, pooled=urls.pooled)
    try:
        found = await compare(made, ledger) if revision == head_revision() else None
        damaged = found.damaged if found else ledger.lines().damaged
    except MediationError as error:
        return Check("erasures", ok=False, zh=error.zh, en=error.en)
    finally:
        await made.dispose()
    left, unnamed = (len(found.pending), len(found.unnamed)) if found else (0, 0)
    zh, en = f"删除台账 {shown}：待再次删除{left}项", f"ledger of erasures {shown}: {left} to be erased again"
    if not settings.erasures.exists():
        zh, en = f"尚无删除台账：{shown}", f"no ledger of erasures yet: {shown}"
    if damaged:
        zh, en = f"{zh}，{damaged}行无法读取", f"{en}, {damaged} lines cannot be read"
    if unnamed:
        zh, en = f"{zh}，{unnamed}项已删除而台账未载", f"{en}, {unnamed} were erased that it does not name"
    if damaged or unnamed:
        remedy = (
            (
                "恢复备份会使台账未载的人重新出现：请把最新的台账放回原处（MEDIATION_ERASURES）；"
                "台账已丢失的，不得再恢复早于删除的备份。"
            ),
            (
                "a restore would bring back whom it does not name: bring the right and newest ledger back "
                "(MEDIATION_ERASURES); where it is lost, restore no backup older than the erasures."
            ),
        )
        return Check("erasures", False, zh, en, *remedy)  # noqa: FBT003  # its fields are named above
    remedy = (
        "启动 mediation serve 或 worker 时会再次删除。",
        "`mediation serve` or `worker` erases them when it starts.",
    )
    return Check("erasures", not left, zh, en, *(remedy if left else ("", "")))


def _revision(current: str | None, settings: Settings) -> Check:
    head = head_revision()
    command = "mediation migrate --demo" if settings.embedded and settings.database == "demo" else "mediation migrate"
    if current == head:
        return Check(
            "migrations", ok=True, zh=f"数据库结构为最新版本 {head}", en=f"the schema is at its newest revision, {head}"
        )
    return Check(
        "migrations",
        ok=False,
        zh=f"数据库结构为 {current or '空'}，应为 {head}",
        en=f"the schema is at {current or 'nothing'}, not at {head}",
        remedy_zh=command,
        remedy_en=command,
    )
