"""`mediation doctor --production`: each unsafe setting is found, alone, and what to do about it is said in two languages."""

import json
from pathlib import Path

import pytest
from tests.gateway.provider import provider

from mediation.commandline.production import unsafe
from mediation.domain.notes import SignatureKind, new_signer
from mediation.gateway.logkeys import log_key
from mediation.settings import Settings

DATABASE = "postgresql://mediation_{role}:x@db.example/mediation?sslmode=verify-full"
COURT = new_signer("court.example/witness", b"c" * 32, SignatureKind.COSIGNATURE).verifier.text
DOORS = {"database_url": "app", "owner_url": "owner", "reader_url": "reader", "log_url": "log"}


@pytest.fixture
def safe(tmp_path: Path) -> dict[str, object]:
    """Settings with which nothing is wrong."""
    (tmp_path / "keys").mkdir(mode=0o700)
    (tmp_path / "logs").mkdir(mode=0o700)
    logs = {name: tmp_path / "logs" / name for name in ("log_key", "access_log_key")}
    for name, path in logs.items():
        log_key(path, f"county.example/{name}")
    urls = {name: DATABASE.format(role=role) for name, role in DOORS.items()}
    return {
        **urls,
        "issuer": "https://id.example/realms/one",
        "data_dir": tmp_path / "data",
        "key_file": tmp_path / "keys" / "vault.key",
        **logs,
        "witnesses": f"{COURT} https://court.example/witness",
        "quorum": 1,
    }


def found(said: dict[str, object], **environ: str) -> set[str]:
    checks = list(unsafe(Settings.load(**said), environ))
    for check in checks:
        assert bool(check.remedy_zh) is bool(check.remedy_en)
        assert check.ok or check.remedy_zh, f"{check.name} does not say what to do"
        assert check.zh
        assert check.en
    return {check.name for check in checks if not check.ok}


def test_with_safe_settings_nothing_is_wrong(safe):
    assert found(safe) == set()


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("issuer", {"issuer": None}),
        ("issuer_https", {"issuer": "http://127.0.0.1:8080/realms/one"}),
        ("issuer_https", {"jwks_url": "http://localhost/keys"}),
        ("token_lifetime", {"token_lifetime": 3601}),
        ("proxy", {"host": "0.0.0.0"}),  # noqa: S104  # what is tested
        ("proxy", {"host": "::"}),
        ("proxy", {"host": "10.0.0.7"}),
        ("rate_per_minute", {"rate_per_minute": 0}),
        ("failed_logins_per_minute", {"failed_logins_per_minute": 0}),
        ("cors_origins", {"cors_origins": "*"}),
        ("cors_origins", {"cors_origins": "https://desk.example, http://desk.example"}),
        ("cors_origins", {"cors_origins": "https://*.example"}),
        ("cors_origins", {"cors_origins": "null"}),
        ("quorum", {"quorum": 0}),
        ("log_key", {"log_key": "/nowhere/log.key"}),
        ("sandbox_clock", {"sandbox_clock": True}),
        ("debug", {"debug": True}),
        ("log_level", {"log_level": "debug"}),
        ("given_database", dict.fromkeys(DOORS) | {"erasures": Path("keys/erasures.jsonl")}),
        ("database_tls", {"database_url": "postgresql://mediation_app:x@db.example/mediation"}),
        ("database_tls", {"log_url": "postgresql://mediation_log:x@db.example/mediation?sslmode=require"}),
        ("database_tls", {"reader_url": "postgresql://mediation_reader:x@/mediation?host=db.example"}),
        ("database_tls", {"reader_url": "postgresql://mediation_reader:x@127.0.0.1,db.example/mediation"}),
        ("database_roles", {"database_url": DATABASE.format(role="owner")}),
        ("database_roles", {"log_url": DATABASE.format(role="reader")}),
    ],
)
def test_an_unsafe_setting_is_found_and_nothing_else(safe, name, changes):
    assert found(safe | changes) == {name}


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://mediation_app:x@127.0.0.1/mediation",
        "postgresql://mediation_app:x@[::1]:5432/mediation",
        "postgresql://mediation_app:x@localhost/mediation",
        "postgresql://mediation_app:x@/mediation?host=/run/postgresql",
        "postgresql://mediation_app:x@%2Frun%2Fpostgresql/mediation",
        "postgresql://mediation_app@/mediation",
    ],
)
def test_a_database_on_this_machine_needs_no_tls(safe, url):
    assert found(safe | {"database_url": url}) == set()


def test_tls_may_be_asked_for_by_the_environment_and_a_remote_host_named_there(safe):
    url = {"database_url": "postgresql://mediation_app:x@db.example/mediation"}
    assert found(safe | url, PGSSLMODE="verify-full") == set()
    assert found(safe | url, PGSSLMODE="require") == {"database_tls"}
    assert found(safe | {"database_url": "postgresql://mediation_app@/x"}, PGHOST="db.example") == {"database_tls"}


def test_beyond_loopback_the_proxy_has_a_name(safe):
    everywhere = safe | {"host": "0.0.0.0"}  # noqa: S104  # what is tested
    assert found(everywhere, FORWARDED_ALLOW_IPS="10.0.0.2") == set()
    assert found(everywhere, FORWARDED_ALLOW_IPS="*") == {"proxy"}


def test_a_header_for_certificates_on_an_open_port_is_warned_of(safe):
    def remedy(**changes: object) -> str:
        checks = unsafe(Settings.load(**(safe | changes)), {"FORWARDED_ALLOW_IPS": "10.0.0.2"})
        return next(check.remedy_en for check in checks if check.name == "client_cert_header")

    assert "Client-Cert" in remedy(client_cert_header="Client-Cert", host="0.0.0.0")  # noqa: S104  # what is tested
    assert remedy(client_cert_header="Client-Cert") == ""
    assert remedy(host="0.0.0.0") == ""  # noqa: S104  # what is tested


def test_a_key_lies_neither_with_the_data_it_opens_nor_where_others_may_replace_it(safe, tmp_path):
    data = tmp_path / "postgres"
    (data / "keys").mkdir(parents=True, mode=0o700)
    assert found(safe | {"key_file": data / "keys" / "vault.key"}) == set()
    (data / "PG_VERSION").write_text("18\n")
    assert found(safe | {"key_file": data / "keys" / "vault.key"}) == {"key_place"}
    (tmp_path / "keys").chmod(0o777)
    assert found(safe) == {"key_place"}
    beside = safe | dict.fromkeys(DOORS) | {"key_file": tmp_path / "data" / "vault.key"}
    assert found(beside | {"erasures": tmp_path / "apart" / "erasures.jsonl"}) == {"given_database", "key_place"}


def test_a_ledger_lies_neither_with_the_data_nor_where_others_may_read_or_replace_it(safe, tmp_path):
    data = tmp_path / "postgres"
    data.mkdir(mode=0o700)
    (data / "PG_VERSION").write_text("18\n")
    assert found(safe | {"erasures": data / "erasures.jsonl"}) == {"ledger_place"}
    beside = safe | dict.fromkeys(DOORS)
    assert found(beside) == {"given_database", "ledger_place"}
    ledger = tmp_path / "ledgers" / "erasures.jsonl"
    ledger.parent.mkdir(mode=0o700)
    ledger.touch(mode=0o644)
    assert found(safe | {"erasures": ledger}) == {"ledger_place"}
    ledger.chmod(0o600)
    assert found(safe | {"erasures": ledger}) == set()
    ledger.parent.chmod(0o777)
    assert found(safe | {"erasures": ledger}) == {"ledger_place"}


def test_the_command_fails_and_says_what_to_do_and_asks_the_provider(run):
    assert run("migrate").returncode == 0
    assert run("doctor").returncode == 0
    with provider() as p:
        good = {"MEDIATION_ISSUER": p.issuer, "MEDIATION_DEBUG": "1"}
        said = run("doctor", "--production", "--json", **good)
        assert said.returncode == 1
        checks = {check["name"]: check for check in json.loads(said.stdout)["checks"]}
        bad = {name for name, check in checks.items() if not check["ok"]}
        witnessed = {"witnesses", "quorum", "log_key", "access_log_key"}
        assert bad == {"issuer_https", "debug", "given_database", "key_place", "ledger_place"} | witnessed
        assert checks["provider"]["en"] == "the provider gives 3 usable keys"
        p.said["issuer"] = "https://elsewhere.example"
        said = run("--lang", "zh", "doctor", "--production", **good)
        assert said.returncode == 1
        assert "不要设置 MEDIATION_DEBUG" in said.stdout
        assert f"{p.issuer}/.well-known/openid-configuration" in said.stdout


def test_with_a_provider_there_are_no_development_tokens_and_the_command_says_so(run):
    assert run("migrate").returncode == 0
    said = run("token", "wang", MEDIATION_ISSUER="https://id.example")
    assert said.returncode == 1
    assert said.stderr.count("\n") == 1
    assert "https://id.example" in said.stderr
    assert "https://id.example" in run("--lang", "zh", "token", "wang", MEDIATION_ISSUER="https://id.example").stderr


def test_without_a_witness_and_a_name_of_its_own_the_log_is_found_wanting(safe, tmp_path):
    log_key(tmp_path / "keys" / "made.key", "mediation.local/0a1b2c3d")
    assert found(safe | {"witnesses": "", "quorum": 0}) == {"witnesses", "quorum"}
    assert found(safe | {"access_log_key": tmp_path / "keys" / "made.key"}) == {"access_log_key"}
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    log_key(tmp_path / "open" / "log.key", "county.example/log")
    assert found(safe | {"log_key": tmp_path / "open" / "log.key"}) == {"log_key"}
