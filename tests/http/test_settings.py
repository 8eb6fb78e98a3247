"""What the settings change: the sandbox clock, other origins, how often; and where nothing is served at all."""

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from tests.http.county import DISPUTE, County, file_one, fresh, populate, running, settings_for

from mediation.gateway.embedded import Server
from mediation.http.app import create_app
from mediation.http.gate import Gate
from mediation.settings import BadSetting, Settings, Urls

PROGRAM = str(Path(sys.executable).parent / "mediation")


@pytest.fixture(scope="module")
def urls(module_database_urls: Urls) -> Urls:
    asyncio.run(populate(module_database_urls))
    return module_database_urls


@pytest.mark.parametrize("host", ["::", "192.0.2.1", "county.example"])
@pytest.mark.parametrize("more", [{}, {"workers": 4}, {"sandbox_clock": True}, {"jwks_url": "https://id.example/keys"}])
def test_nothing_is_served_beyond_loopback_with_development_tokens(host, more):
    with pytest.raises(BadSetting, match="MEDIATION_ISSUER"):
        create_app(Settings(host=host, **more))


def test_with_a_provider_it_is_but_not_with_the_sandbox_clock():
    assert create_app(Settings(host="192.0.2.1", issuer="https://id.example"))
    with pytest.raises(BadSetting, match="MEDIATION_SANDBOX_CLOCK"):
        create_app(Settings(host="192.0.2.1", issuer="https://id.example", sandbox_clock=True))


@pytest.mark.parametrize(
    ("settings", "local"),
    [
        (Settings(), True),
        (Settings(issuer="https://id.example"), False),
        (Settings(issuer="https://id.example", sandbox_clock=True), True),
    ],
)
def test_however_it_is_started_development_tokens_and_the_sandbox_clock_need_the_loopback_interface(settings, local):
    gate = next(found for found in create_app(settings).user_middleware if found.cls is Gate)
    assert gate.kwargs["local"] is local


@pytest.mark.parametrize(
    "setting",
    [
        {"issuer": "http://id.example"},
        {"issuer": "https://id.example/?tenant=1"},
        {"issuer": "https://id.example/#x"},
        {"issuer": "https://user:word@id.example"},
        {"issuer": "id.example"},
        {"issuer": "https://"},
        {"jwks_url": "http://id.example/keys"},
        {"jwks_url": "file:///etc/passwd"},
        {"token_algorithms": "none"},
        {"token_algorithms": "HS256"},
        {"token_algorithms": "ES256,HS512"},
        {"token_algorithms": "es256"},
        {"token_algorithms": ","},
        {"token_lifetime": 0},
        {"token_lifetime": 86_401},
        {"audience": ""},
        {"client_cert_header": "Client Cert"},
        {"client_cert_header": "client_cert:"},
    ],
)
def test_what_would_let_forged_tokens_in_cannot_be_set(setting):
    with pytest.raises(BadSetting) as refused:
        Settings.load(**setting)
    assert "不可用" in refused.value.zh
    assert "word" not in refused.value.zh + refused.value.en


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.8.8.8"])
def test_loopback_has_many_names(host):
    assert create_app(Settings(host=host))


def test_without_the_sandbox_clock_nobody_says_when(urls, tmp_path):
    settings = settings_for(urls, tmp_path)
    with (
        running(settings) as address,
        County(address, settings).client("wang", X_Sandbox_At="2026-03-02T09:00:00Z") as wang,
    ):
        answer = file_one(wang)
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_sandbox_at")


def test_origins_that_are_named_may_call_and_others_may_not(urls, tmp_path):
    settings = settings_for(urls, tmp_path, cors_origins=("https://desk.example",))
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "if-match,idempotency-key"}
    with running(settings) as address, httpx2.Client(base_url=address) as browser:
        good = browser.options("/v1/cases", headers={"Origin": "https://desk.example", **asked})
        assert good.headers["access-control-allow-origin"] == "https://desk.example"
        bad = browser.options("/v1/cases", headers={"Origin": "https://elsewhere.example", **asked})
        assert "access-control-allow-origin" not in bad.headers


def test_who_comes_too_often_is_told_when_to_come_back(urls, tmp_path):
    settings = settings_for(urls, tmp_path, rate_per_minute=2)
    with running(settings) as address:
        county = County(address, settings)
        with county.client("wang") as wang, county.client("li") as other:
            codes = [wang.get("/v1/glossary").status_code for _ in range(3)]
            assert codes == [200, 200, 429]
            assert other.get("/v1/glossary").status_code == 200


def test_an_answer_given_before_a_restart_is_given_again_after_it(urls, tmp_path):
    settings, key = settings_for(urls, tmp_path), {"Idempotency-Key": fresh()}
    answers = []
    for _ in range(2):
        with running(settings) as address, County(address, settings).client("wang") as wang:
            answers.append(wang.post("/v1/cases", json=DISPUTE, headers=key))
    assert answers[0].status_code == 201
    assert answers[0].content == answers[1].content


def environment(**more: str) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("MEDIATION_")} | more


def test_serve_refuses_a_database_that_could_lose_what_it_has_confirmed(urls, tmp_path):
    said = environment(MEDIATION_DATABASE_URL=urls.app, MEDIATION_DATA_DIR=str(tmp_path), MEDIATION_LANG="en")
    done = subprocess.run([PROGRAM, "serve", "--port", "1"], env=said, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "fsync is off" in done.stderr


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A folder in which the embedded server can run, as whoever."""
    folder = Path(tempfile.mkdtemp(prefix="mediation-serve-"))
    folder.chmod(0o711)
    yield folder / "data"
    shutil.rmtree(folder)


@pytest.mark.parametrize("workers", [1, 2])
def test_serve_brings_its_database_keeps_it_alive_takes_tokens_and_logs_no_person(place, tmp_path, workers):
    port = str(20000 + os.getpid() % 20000 + workers)
    said = environment(MEDIATION_DATA_DIR=str(place))
    words = [PROGRAM, "serve", "--port", port, "--workers", str(workers)]
    with (tmp_path / "log").open("w+") as log, subprocess.Popen(words, env=said, stderr=log) as served:
        try:
            with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
                wait_for(client)
                server = Server(place)
                asyncio.run(populate(server.urls("mediation")))
                words = [PROGRAM, "token", "wang", "--json"]
                made = json.loads(subprocess.run(words, env=said, capture_output=True, check=True).stdout)
                assert made["organisations"][0]["code"] == "V1"
                client.headers["Authorization"] = f"Bearer {made['token']}"
                assert file_one(client).status_code == 201
                assert client.get("/v1/cases?q=secret").status_code == 200
                assert 'route="/v1/cases"' in client.get("/metrics").text
                os.kill(server.cluster.postmaster(), signal.SIGKILL)
                answers = []
                while answers[-1:] != [201]:
                    answers.append(file_one(client).status_code)
                    assert set(answers) <= {201, 503}
                    assert len(answers) < 200
                    time.sleep(0.05)
        finally:
            served.terminate()
            served.wait(20)
        log.seek(0)
        shown = log.read()
    assert Server(place).status().running is False
    lines = [json.loads(line) for line in shown.splitlines() if line.startswith("{")]
    filed = [line for line in lines if line.get("status") == 201]
    assert {(line["method"], line["route"]) for line in filed} == {("POST", "/v1/cases")}
    assert all(line["request_id"] for line in filed)
    for secret in ("secret", "张三丰", made["token"], made["person"]):
        assert secret not in shown


def wait_for(client: httpx2.Client) -> None:
    for _ in range(200):
        try:
            if client.get("/readyz").status_code == 200:
                return
        except httpx2.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError("not ready within twenty seconds")


def test_the_page_about_identity_names_each_setting_with_its_default():
    page = (Path(__file__).parents[2] / "docs" / "identity.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| `MEDIATION_(\w+)` \| (\S+) \|", page, flags=re.MULTILINE))
    defaults = {name: Settings.model_fields[name.lower()].default for name in rows}
    said = {name: ",".join(value) if isinstance(value, tuple) else value for name, value in defaults.items()}
    assert rows == {name: f"`{value}`" if value else "none" for name, value in said.items()}
    assert len(rows) == 9
