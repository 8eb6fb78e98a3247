"""Everything that is set from outside: environment variables named `MEDIATION_…`, each with a default that works."""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_core import ErrorDetails, PydanticCustomError, Url
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from mediation.domain.errors import BadNote, MediationError, Reason
from mediation.domain.notes import SignatureKind, parse_verifier_key
from mediation.domain.witnessing import Quorum

PREFIX = "MEDIATION_"

KNOWN_POSTGRES = range(15, 19)
"""The major versions of PostgreSQL that the service is known to work on."""

ALGORITHMS = ("ES256", "ES384", "ES512", "EdDSA", "Ed25519", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512")
"""The signatures of tokens that can be allowed: each by a key pair, so that who can verify one cannot make one."""

APP_LIMITS = {
    "statement_timeout": "10s",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "30s",
    "timezone": "UTC",
    "jit": "off",
}
"""The limits of a session of the application: no request waits longer than this for the database, it is better told so.

Each session asks for them; behind a pooler in transaction mode none can, and the role brings them.
"""

_ADDRESS = "^postgres(ql)?://"
# Why pydantic refuses a value, in Chinese; filled with what it knows of the limit.
_REFUSALS = {
    "int_parsing": "应为整数",
    "int_from_float": "应为整数",
    "bool_parsing": "应为 true 或 false",
    "greater_than_equal": "应不小于 {ge}",
    "less_than_equal": "应不大于 {le}",
    "literal_error": "应为其中之一：{expected}",
    "string_pattern_mismatch": "应符合 {pattern}",
    "not_secure": "应为 https 地址（本机回环地址可用 http），且不含用户名、查询参数和片段",
    "not_an_algorithm": "只能是 {allowed}",
    "not_witnesses": "应为以逗号分隔的“公钥 网址”：{zh}",
    "no_quorum": "不得超过见证方数（{most}）",
}

Door = Literal["app", "owner", "reader", "log"]


class BadSetting(MediationError):
    """An environment variable has a value that cannot be used, or one that is needed is missing."""

    code = "bad_setting"
    zh = "环境变量设置有误"
    en = "A setting is wrong"


@dataclass(frozen=True, slots=True)
class Urls:
    """The four doors into one database, as libpq URLs; an empty one was not given. They carry passwords: not shown."""

    app: str = field(repr=False)
    owner: str = field(default="", repr=False)
    reader: str = field(default="", repr=False)
    log: str = field(default="", repr=False)
    pooled: bool = False  # the application's leads to a pooler in transaction mode


def default_data_dir() -> Path:
    """`/var/lib/mediation` for root, else `$XDG_DATA_HOME/mediation`, else `~/.local/share/mediation`."""
    if os.geteuid() == 0:
        return Path("/var/lib/mediation")
    named = Path(os.environ.get("XDG_DATA_HOME", ""))
    return (named if named.is_absolute() else Path.home() / ".local" / "share") / "mediation"


def default_lang() -> Literal["zh", "en"]:
    """The language of the environment: `zh` where `LC_ALL`, `LC_MESSAGES` or `LANG`, the first that is set, says so."""
    spoken = next((os.environ[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if os.environ.get(name)), "")
    return "zh" if spoken.lower().startswith("zh") else "en"


def loopback(host: str) -> bool:
    """Whether an address, or the name `localhost`, is reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def secure(url: str) -> bool:
    """Whether an address is https, or http on this machine, and names nobody's account."""
    try:
        read = Url(url)
    except ValueError:
        return False
    plain = url.isascii() and url.isprintable() and " " not in url and "#" not in url and read.username is None
    host = (read.host or "").strip("[]")
    return plain and bool(host) and (read.scheme == "https" or (read.scheme == "http" and loopback(host)))


class Settings(BaseSettings):
    """What the service is told by its environment; with nothing set it runs on a database of its own."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="ignore")

    database_url: str | None = Field(default=None, pattern=_ADDRESS, repr=False)
    """The application's door (role `mediation_app`); with none of these four the embedded server is used."""
    owner_url: str | None = Field(default=None, pattern=_ADDRESS, repr=False)
    """The migrations' door (role `mediation_owner`)."""
    reader_url: str | None = Field(default=None, pattern=_ADDRESS, repr=False)
    """The door of verify and backup (role `mediation_reader`)."""
    log_url: str | None = Field(default=None, pattern=_ADDRESS, repr=False)
    """The door of the integrating task (role `mediation_log`)."""
    transaction_pooling: bool = False
    """The application's door leads to a pooler in transaction mode, such as PgBouncer; no other door may."""

    data_dir: Path = Field(default_factory=default_data_dir)
    """Where the embedded server and the vault's key live."""
    database: str = Field(default="mediation", pattern=r"^[a-z][a-z0-9_]{0,50}$")
    """The embedded database to use: `mediation`, or `demo` for the demo."""
    key_file: Path = Field(default_factory=lambda data: data["data_dir"] / "vault.key")
    """The key that wraps every data key of the vault; mode 0600, kept apart from database and backups."""
    erasures: Path = Field(default_factory=lambda data: data["data_dir"] / "erasures.jsonl")
    """The ledger of erasures, which outlives the database: kept with the key file, and never restored from a backup."""
    log_key: Path = Field(default_factory=lambda data: data["data_dir"] / f"{data['database']}.log.key")
    """The key that signs the log of events; mode 0600, kept apart from the database and its backups."""
    access_log_key: Path = Field(default_factory=lambda data: data["data_dir"] / f"{data['database']}.access.key")
    """The key that signs the log of who was shown what is personal; likewise."""
    laws: Path = Field(default_factory=lambda data: data["data_dir"] / "laws")
    """A directory of rule packs (`*.toml`) and notices (`*.csv`) beside the package's; it need not be there."""

    host: str = "127.0.0.1"
    """The address to listen on; without an issuer, and with the sandbox clock, it must be loopback."""
    port: int = Field(default=8000, ge=0, le=65535)
    workers: int = Field(default=1, ge=1, le=64)
    """Processes that answer requests."""
    worker: bool = True
    """Let `mediation serve` run the clock too, on the embedded database; beside a given one `mediation worker` does."""
    pool_size: int = Field(default=16, ge=1, le=200)
    """Database connections of the hot path, per worker."""
    sandbox_clock: bool = False
    """Let a request on loopback carry `X-Sandbox-At`."""
    cors_origins: Annotated[tuple[str, ...], NoDecode] = ()
    """Origins of browsers that may call, separated by commas; none by default."""
    rate_per_minute: int = Field(default=1200, ge=0, le=10**6)
    """Requests a caller may send a minute, per worker; 0 is no limit."""
    failed_logins_per_minute: int = Field(default=60, ge=0, le=10**6)
    """Requests without a good token that are answered a minute for an address, per worker; 0 is no limit."""

    issuer: str | None = Field(default=None, max_length=255)
    """The OpenID Connect provider whose tokens are accepted; with none the development issuer's are, on loopback."""
    audience: str = Field(default="mediation", pattern=r"^[\x21-\x7e]{1,255}$")
    """What a provider's token must name as its `aud`."""
    jwks_url: str | None = Field(default=None, max_length=2000)
    """Where the provider's keys are; by default where its configuration says."""
    token_algorithms: Annotated[tuple[str, ...], NoDecode] = ("ES256", "EdDSA", "Ed25519", "PS256", "RS256")
    """How a provider's token may be signed, separated by commas."""
    token_lifetime: int = Field(default=3600, ge=60, le=86_400)
    """Seconds for which a provider's token may be issued; a longer one is refused."""
    client_cert_header: str | None = Field(default=None, pattern=r"^[A-Za-z][A-Za-z0-9-]{0,63}$")
    """The header in which the TLS proxy gives the client's certificate (RFC 9440); none: bound tokens are refused."""
    second_factor_acr: Annotated[tuple[str, ...], NoDecode] = ()
    """The `acr` of a provider that mean a second factor, separated by commas; `amr` is understood without."""

    witnesses: Annotated[tuple[tuple[str, str], ...], NoDecode] = ()
    """Who cosigns our logs: `<vkey> <url>`, separated by commas; https, or http on loopback."""
    quorum: int = Field(default=0, ge=0, le=64)
    """Cosignatures that a checkpoint needs before it is published; 0 is none."""

    idempotency_days: int = Field(default=30, ge=1, le=366)
    """Days an idempotency key is kept at least; they go by the month."""

    lang: Literal["zh", "en"] = Field(default_factory=default_lang)
    """The language of the command line."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    debug: bool = False
    """Let a command that fails show its traceback instead of a sentence."""

    @field_validator("cors_origins", "token_algorithms", "second_factor_acr", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("issuer", "jwks_url")
    @classmethod
    def _at_a_secure_place(cls, value: str | None) -> str | None:
        if value is not None and (not secure(value) or "?" in value):  # OpenID Connect Discovery 1.0 §3, of an issuer
            raise PydanticCustomError(
                "not_secure", "an https address (http on loopback), with no user name, query or fragment"
            )
        return value

    @field_validator("token_algorithms")
    @classmethod
    def _by_key_pairs(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or not set(value) <= set(ALGORITHMS):
            raise PydanticCustomError("not_an_algorithm", "they are of {allowed}", {"allowed": ", ".join(ALGORITHMS)})
        return value

    @field_validator("witnesses", mode="before")
    @classmethod
    def _pairs(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        pairs = [tuple(part.split()) for part in value.split(",") if part.strip()]
        if any(len(pair) != 2 for pair in pairs):  # noqa: PLR2004  # a pair
            raise _not_witnesses("每项是公钥、空格、网址", "each is a vkey, a space and an address")
        return tuple(pairs)

    @field_validator("witnesses")
    @classmethod
    def _each_a_witness(cls, value: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
        names, keys = set(), set()
        for vkey, url in value:
            try:
                verifier = parse_verifier_key(vkey)
            except BadNote as found:
                raise _not_witnesses(f"{vkey}：{found.zh}", f"{vkey}: {found.en}") from found
            if verifier.kind is not SignatureKind.COSIGNATURE:
                raise _not_witnesses(f"{vkey} 是日志的公钥", f"{vkey} is a log's, not a witness's")
            if not secure(url) or "?" in url:
                raise _not_witnesses(
                    f"{url} 不是 https 地址，也不是本机的 http", f"{url} is no https address, nor http on loopback"
                )
            names.add(verifier.name)
            keys.add(verifier.public)
        if min(len(names), len(keys)) < len(value):  # tlog-policy: one key counts once, whatever its name
            raise _not_witnesses("两方名称或公钥相同", "two have one name or key")
        return value

    @field_validator("quorum")
    @classmethod
    def _reachable(cls, value: int, said: ValidationInfo) -> int:
        most = len(said.data.get("witnesses", ()))
        if value > most and "witnesses" in said.data:
            raise PydanticCustomError("no_quorum", "it is at most the number of witnesses, {most}", {"most": most})
        return value

    @field_validator("data_dir", "key_file", "erasures", "log_key", "access_log_key", "laws")
    @classmethod
    def _whole(cls, value: Path) -> Path:
        return value.expanduser().resolve()

    @property
    def published_by(self) -> Quorum:
        """Which witnesses count, and how many of them a checkpoint needs."""
        return Quorum(self.quorum, tuple(parse_verifier_key(vkey).name for vkey, _ in self.witnesses))

    @property
    def embedded(self) -> bool:
        """Whether the service starts a database of its own: nobody has given it one."""
        return not any((self.database_url, self.owner_url, self.reader_url, self.log_url))

    def given_urls(self, *need: Door) -> Urls:
        """The doors given from outside. Raises: BadSetting, if one of those in `need` is not given."""
        given = {"app": self.database_url, "owner": self.owner_url, "reader": self.reader_url, "log": self.log_url}
        variables = {"app": "DATABASE_URL", "owner": "OWNER_URL", "reader": "READER_URL", "log": "LOG_URL"}
        missing = [PREFIX + variables[door] for door in need if not given[door]]
        if missing:
            names = ", ".join(missing)
            raise BadSetting(zh=f"需要设置 {names}", en=f"This needs {names}")
        return Urls(**{door: url or "" for door, url in given.items()}, pooled=self.transaction_pooling)

    @classmethod
    def load(cls, **changes: object) -> Self:
        """Read the environment; `changes` (from the command line) go first.

        Raises: BadSetting, naming every variable, or option of the command line, that cannot be used.
        """
        try:
            return cls(**changes)  # type: ignore[arg-type]  # the fields check what they are given
        except ValidationError as error:
            reasons = [
                Reason("bad_setting", zh=f"{name} 不可用：{zh}", en=f"{name} cannot be used: {en}")
                for name, zh, en in (
                    (_called(str(problem["loc"][0]), changes), _refusal(problem), problem["msg"])
                    for problem in error.errors(include_url=False, include_input=False)
                )
            ]
            raise BadSetting(
                *reasons, zh="；".join(reason.zh for reason in reasons), en="; ".join(reason.en for reason in reasons)
            ) from None


def _called(name: str, changes: Mapping[str, object]) -> str:
    """A setting by the name under which it was given: an option, or an environment variable."""
    return "--" + name.replace("_", "-") if name in changes else PREFIX + name.upper()


def _not_witnesses(zh: str, en: str) -> PydanticCustomError:
    return PydanticCustomError(
        "not_witnesses", "they are `<vkey> <url>`, separated by commas: {en}", {"zh": zh, "en": en}
    )


def _refusal(problem: ErrorDetails) -> str:
    words = _REFUSALS.get(problem["type"], problem["msg"])
    return words.format(**problem.get("ctx", {})).replace("' or '", "' 或 '").replace("', '", "'、'")


def unknown_variables(environ: Mapping[str, str] = os.environ) -> Iterator[str]:
    """The variables with our prefix that no setting has: most often a slip of the pen."""
    for name in sorted(environ):
        if name.startswith(PREFIX) and name.removeprefix(PREFIX).lower() not in Settings.model_fields:
            yield name


def key_file_mode(path: Path) -> int | None:
    """The permission bits of a key file, None where there is none (yet)."""
    with suppress(FileNotFoundError):
        return path.stat().st_mode & 0o777
    return None
