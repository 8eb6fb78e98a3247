"""What `mediation doctor --production` looks at besides: settings that will do for a trial, not for real disputes."""

import asyncio
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from mediation.commandline.diagnosis import Check
from mediation.gateway.keyring import Keyring, ProviderAway
from mediation.gateway.keys import BadKeyFile
from mediation.gateway.logkeys import log_key
from mediation.settings import BadSetting, Settings, key_file_mode, loopback
from mediation.store.database import parameters

LONGEST_S = 3600
"""A token may live so long: for that time a person whom the provider has shut out still gets in."""

_PROXIES = "FORWARDED_ALLOW_IPS"  # uvicorn's own: whose X-Forwarded-For is believed


class _Rule(NamedTuple):
    """A finding: its name, whether all is well, what was found, and what to do where it is not, in both languages."""

    name: str
    ok: bool
    found: tuple[str, str]
    remedy: tuple[str, str]


def inspect(database: str | None = None) -> Iterator[Check]:
    """Every finding about the settings, then whether the provider gives its keys. `database`: another than theirs."""
    try:
        settings = Settings.load(**({"database": database} if database else {}))
    except BadSetting:
        return  # `examine` has said so
    yield from unsafe(settings, os.environ)
    if settings.issuer is not None:
        yield asyncio.run(_provider(settings, settings.issuer))


def unsafe(settings: Settings, environ: Mapping[str, str]) -> Iterator[Check]:
    """What these settings say about each thing that must be safe; `environ` holds what no setting of ours does."""
    stored = (*_storage(settings, environ), *_logs(settings))
    for rules in (_identity(settings), _door(settings, environ), _house(settings), stored):
        for rule in rules:
            remedy = ("", "") if rule.ok and rule.name != "client_cert_header" else rule.remedy
            yield Check(rule.name, rule.ok, *rule.found, *remedy)


def _identity(settings: Settings) -> Iterator[_Rule]:
    named = settings.issuer or "–"
    yield _Rule(
        "issuer",
        settings.issuer is not None,
        (f"身份提供方：{named}", f"identity provider: {named}"),
        (
            "设置 MEDIATION_ISSUER 为身份提供方的 https 地址；没有它，只有开发令牌，谁能登录本机谁就能签发。",
            (
                "set MEDIATION_ISSUER to the https address of a provider; without one there are development "
                "tokens alone, which anybody on this machine can make."
            ),
        ),
    )
    plain = [url for url in (settings.issuer, settings.jwks_url) if url and not url.lower().startswith("https://")]
    yield _Rule(
        "issuer_https",
        not plain,
        (
            f"身份提供方的地址：{', '.join(plain) or 'https'}",
            f"addresses of the provider: {', '.join(plain) or 'https'}",
        ),
        (
            "MEDIATION_ISSUER 与 MEDIATION_JWKS_URL 应为 https：公钥若在途中被换，谁都可以签发令牌。",
            "MEDIATION_ISSUER and MEDIATION_JWKS_URL are to be https: who can change keys on their way makes tokens.",
        ),
    )
    yield _Rule(
        "token_lifetime",
        settings.token_lifetime <= LONGEST_S,
        (f"令牌最长有效 {settings.token_lifetime} 秒", f"tokens live for at most {settings.token_lifetime} s"),
        (
            f"MEDIATION_TOKEN_LIFETIME 不超过 {LONGEST_S}：被停用的账号在此期间仍能进入。",
            f"MEDIATION_TOKEN_LIFETIME at most {LONGEST_S}: for so long an account that was closed still gets in.",
        ),
    )
    yield _Rule(
        "token_algorithms",
        True,  # noqa: FBT003  # the settings let nothing weak in
        (f"签名算法：{', '.join(settings.token_algorithms)}", f"signatures: {', '.join(settings.token_algorithms)}"),
        ("", ""),
    )


def _door(settings: Settings, environ: Mapping[str, str]) -> Iterator[_Rule]:
    near, proxies = loopback(settings.host), environ.get(_PROXIES, "")
    yield _Rule(
        "proxy",
        near or bool(proxies and "*" not in proxies),
        (
            f"监听 {settings.host}，可信代理：{proxies or '未设置'}",
            f"listens on {settings.host}, trusted proxies: {proxies or 'not set'}",
        ),
        (
            (
                f"本服务只讲 HTTP：请监听 127.0.0.1，由同机代理提供 TLS；代理在别处时，用 {_PROXIES} 写明其地址"
                "（不能是 *），并只让它连到本端口；否则传输未加密，失败登录也会都算在代理头上。"
            ),
            (
                f"the service speaks HTTP alone: listen on 127.0.0.1 behind a TLS proxy on this machine; or name "
                f"the proxy elsewhere in {_PROXIES} (not *) and let nobody else reach this port. Else what is said is "
                "not encrypted, and failed logins are all counted as the proxy's."
            ),
        ),
    )
    header = settings.client_cert_header
    yield _Rule(
        "client_cert_header",
        True,  # noqa: FBT003  # whether others reach the port cannot be seen from here
        (f"客户端证书头：{header or '–'}", f"header of client certificates: {header or '–'}"),
        (
            f"确保只有代理能连到本端口，且它删去客户端自带的 {header}：谁能直接连上，谁就能冒充证书。",
            (
                f"see to it that the proxy alone reaches this port and drops a {header} that a client sends: "
                "who gets past it can claim any certificate."
            ),
        )
        if header and not near
        else ("", ""),
    )
    for name, limit in (
        ("rate_per_minute", settings.rate_per_minute),
        ("failed_logins_per_minute", settings.failed_logins_per_minute),
    ):
        variable = f"MEDIATION_{name.upper()}"
        yield _Rule(
            name,
            limit > 0,
            (f"{variable} 为 {limit}", f"{variable} is {limit}"),
            (f"给 {variable} 一个上限（0 是不限）", f"give {variable} a limit: 0 is none"),
        )
    wrong = [origin for origin in settings.cors_origins if not origin.startswith("https://") or "*" in origin]
    yield _Rule(
        "cors_origins",
        not wrong,
        (
            f"可跨域的来源：{', '.join(settings.cors_origins) or '无'}",
            f"origins: {', '.join(settings.cors_origins) or 'none'}",
        ),
        (
            f"从 MEDIATION_CORS_ORIGINS 删去 {', '.join(wrong)}：逐个写明 https 来源。",
            f"take {', '.join(wrong)} out of MEDIATION_CORS_ORIGINS: name each https origin.",
        ),
    )


def _house(settings: Settings) -> Iterator[_Rule]:
    time = "调用者可以自定时间，期限形同虚设", "callers could choose the time, and no deadline would hold"
    inside = "出错信息会带出程序内部", "a failure would show what is inside"
    for name, on, (zh, en) in (("sandbox_clock", settings.sandbox_clock, time), ("debug", settings.debug, inside)):
        variable = f"MEDIATION_{name.upper()}"
        yield _Rule(
            name,
            not on,
            (f"{variable}：{'开' if on else '关'}", f"{variable}: {'on' if on else 'off'}"),
            (f"不要设置 {variable}：{zh}。", f"do not set {variable}: {en}."),
        )
    yield _Rule(
        "log_level",
        settings.log_level != "debug",
        (f"日志级别 {settings.log_level}", f"log level {settings.log_level}"),
        (
            "MEDIATION_LOG_LEVEL 设为 info：debug 比正式运行所需记得更多。",
            "set MEDIATION_LOG_LEVEL to info: at debug more is written down than running it needs.",
        ),
    )


def _storage(settings: Settings, environ: Mapping[str, str]) -> Iterator[_Rule]:
    yield _Rule(
        "given_database",
        not settings.embedded,
        ("数据库：内置", "database: the embedded one")
        if settings.embedded
        else ("数据库：外部", "database: a given one"),
        (
            "内置数据库供试用：请用有备份、有人看管的 PostgreSQL，设置 MEDIATION_DATABASE_URL 等。",
            (
                "the embedded database is for trials: give a PostgreSQL that is backed up and looked after, "
                "by MEDIATION_DATABASE_URL and the others."
            ),
        ),
    )
    urls = {
        "MEDIATION_DATABASE_URL": settings.database_url,
        "MEDIATION_OWNER_URL": settings.owner_url,
        "MEDIATION_READER_URL": settings.reader_url,
        "MEDIATION_LOG_URL": settings.log_url,
    }
    given = {name: url for name, url in urls.items() if url}
    plain = [name for name, url in given.items() if not _private(url, environ)]
    yield _Rule(
        "database_tls",
        not plain,
        (f"到数据库的连接未验证对方：{', '.join(plain)}", f"whom these reach is not verified: {', '.join(plain)}")
        if plain
        else ("到数据库的连接：TLS 已验证或不出本机", "connections to the database: verified TLS, or on this machine"),
        (
            f"在 {'、'.join(plain)} 中加上 sslmode=verify-full（及 sslrootcert）。",
            f"add sslmode=verify-full (and sslrootcert) to {', '.join(plain)}.",
        ),
    )
    roles = {name: parameters(url).get("user", "") for name, url in given.items()}
    shared = sorted(name for name, role in roles.items() if list(roles.values()).count(role) > 1)
    yield _Rule(
        "database_roles",
        not shared,
        (f"共用一个角色：{', '.join(shared)}", f"one role for several doors: {', '.join(shared)}")
        if shared
        else ("每个入口各有角色", "each door has a role of its own"),
        (
            "每个入口用自己的角色：mediation_app、mediation_owner、mediation_reader、mediation_log。",
            "give each door its role: mediation_app, mediation_owner, mediation_reader, mediation_log.",
        ),
    )
    wrong = _exposed(settings, settings.key_file)
    yield _Rule(
        "key_place",
        not wrong,
        (
            f"密钥文件 {settings.key_file}{'：' + wrong[0] if wrong else ''}",
            f"key file {settings.key_file}{': ' + wrong[1] if wrong else ''}",
        ),
        (
            "把 MEDIATION_KEY_FILE 放到数据库目录和备份之外、只有服务账号可进（chmod 700）的目录中。",
            (
                "put MEDIATION_KEY_FILE apart from the database and its backups, in a folder that the service's "
                "account alone may enter (chmod 700)."
            ),
        ),
    )
    yield _ledger(settings)


def _logs(settings: Settings) -> Iterator[_Rule]:
    names = ", ".join(vkey.partition("+")[0] for vkey, _ in settings.witnesses)
    yield _Rule(
        "witnesses",
        bool(settings.witnesses),
        (f"日志见证方：{names or '无'}", f"witnesses of the logs: {names or 'none'}"),
        (
            (
                "请法院或审计机关运行 mediation witness（docs/witness.md），写入 MEDIATION_WITNESSES：没有见证方，"
                "掌握数据库和日志密钥的人可以重写历史而不被发现。"
            ),
            (
                "let a court or an auditor run `mediation witness` (docs/witness.md), and name it in "
                "MEDIATION_WITNESSES: without one, who has the database and the logs' keys can rewrite history unseen."
            ),
        ),
    )
    yield _Rule(
        "quorum",
        settings.quorum > 0,
        (f"公布检查点所需副署：{settings.quorum}", f"cosignatures before a checkpoint is shown: {settings.quorum}"),
        (
            "MEDIATION_QUORUM 至少为 1：否则见证方未见过的检查点也会公布，恢复旧备份也可能不被发现。",
            (
                "set MEDIATION_QUORUM to 1 or more: else checkpoints are shown that no witness has seen, and a log "
                "that was set back may go on."
            ),
        ),
    )
    for name, path in (("log_key", settings.log_key), ("access_log_key", settings.access_log_key)):
        option = " --access" if name == "access_log_key" else ""
        wrong = _unnamed(path) or _exposed(settings, path)
        yield _Rule(
            name,
            not wrong,
            (f"日志密钥 {path}{'：' + wrong[0] if wrong else ''}", f"log key {path}{': ' + wrong[1] if wrong else ''}"),
            (
                (
                    f"在首次使用之前执行 mediation keys new --name 本单位域名/名称{option}，文件放在数据库和备份之外、"
                    "只有服务账号可进的目录中。"
                ),
                (
                    f"before first use: `mediation keys new --name YOUR.DOMAIN/NAME{option}`, in a folder apart from "
                    "the database and its backups that the service's account alone may enter."
                ),
            ),
        )


def _unnamed(path: Path) -> tuple[str, str] | None:
    """Why a log has no name of its own, known beforehand."""
    if key_file_mode(path) is None:
        return "尚未生成，首次使用时会得到随机名称", "not there: at first use it gets a random name"
    try:
        origin = log_key(path, "").origin
    except BadKeyFile as error:
        return error.zh, error.en
    if origin.partition("/")[0].endswith(".local"):
        return f"名称 {origin} 不属于任何人", f"its name, {origin}, is nobody's"
    return None


def _ledger(settings: Settings) -> _Rule:
    path = settings.erasures
    wrong, mode = _exposed(settings, path), key_file_mode(path)
    if mode is not None and mode & 0o077:
        wrong = f"权限 {mode:04o}", f"its mode is {mode:04o}"
    return _Rule(
        "ledger_place",
        not wrong,
        (
            f"删除台账 {path}{'：' + wrong[0] if wrong else ''}",
            f"ledger of erasures {path}{': ' + wrong[1] if wrong else ''}",
        ),
        (
            "把 MEDIATION_ERASURES 与密钥文件放在一起（chmod 600）：与数据库一起恢复的旧台账，会让已删除的人重新出现。",
            (
                "put MEDIATION_ERASURES with the key file (chmod 600): an old ledger that is restored along with the "
                "database lets back whoever was erased since."
            ),
        ),
    )


def _private(url: str, environ: Mapping[str, str]) -> bool:
    """Whether nobody can listen in or stand between: a socket, loopback, or TLS that verifies the other's name."""
    said = parameters(url)
    if said.get("sslmode", environ.get("PGSSLMODE")) == "verify-full":
        return True
    hosts = (said.get("hostaddr") or said.get("host") or environ.get("PGHOST", "")).split(",")
    return bool(said) and all(not host or host.startswith(("/", "@")) or loopback(host) for host in hosts)


def _exposed(settings: Settings, path: Path) -> tuple[str, str] | None:
    """Why key file or ledger does not lie well: with the data, or where others may put another in its place."""
    folder = path.parent
    if any((place / "PG_VERSION").exists() for place in (folder, *folder.parents)):
        return "在数据库的数据目录中", "inside the data directory of a database"
    if settings.embedded and folder.is_relative_to(settings.data_dir):
        return "与内置数据库在同一目录", "in one folder with the embedded database"
    if folder.is_dir() and _open_to_others(folder):
        return f"他人可改写目录 {folder}", f"others may write to the folder {folder}"
    return None


def _open_to_others(folder: Path) -> bool:
    return bool(folder.stat().st_mode & 0o022)


async def _provider(settings: Settings, issuer: str) -> Check:
    keyring = Keyring(issuer, settings.jwks_url or "")
    try:
        keys = await keyring.look()
    except ProviderAway as away:
        return Check(
            "provider",
            ok=False,
            zh=away.zh,
            en=away.en,
            remedy_zh=f"从本机检查 {issuer}/.well-known/openid-configuration：证书、网络、其中的 issuer 与 jwks_uri。",
            remedy_en=f"look from here at {issuer}/.well-known/openid-configuration: its certificate, the way there, "
            "and its issuer and jwks_uri.",
        )
    finally:
        await keyring.close()
    return Check(
        "provider", ok=True, zh=f"身份提供方给出 {keys} 把可用公钥", en=f"the provider gives {keys} usable keys"
    )
