"""Bad tokens, sent to a service that trusts a real provider: each is 401 and nothing more, and the good one beside it is let in."""

import asyncio
from collections.abc import Callable, Iterator

import httpx2
import psycopg
import pytest
from tests.gateway.provider import Provider, compact, provider, ps, rs
from tests.http.county import DISPUTE, NOBODY, bare, fresh, populate, running, settings_for
from tests.http.forgeries import BAD, COURT, OTHER, Headers, bearer, now, published, shown, thumbprint

from mediation.service.registry import person_id
from mediation.settings import Urls

PLACE = "/v1/glossary"


@pytest.fixture(scope="module")
def trusted() -> Iterator[Provider]:
    with provider() as made:
        made.keys += published(made)
        yield made


@pytest.fixture(scope="module")
def client(module_database_urls: Urls, tmp_path_factory, trusted: Provider) -> Iterator[httpx2.Client]:
    settings = settings_for(
        module_database_urls, tmp_path_factory.mktemp("keys"),
        issuer=trusted.issuer, client_cert_header="Client-Cert", second_factor_acr=("gold",),
    )  # fmt: skip
    with running(settings) as address, httpx2.Client(base_url=address) as made:
        yield made


@pytest.fixture(scope="module")
def refused(client: httpx2.Client) -> tuple:
    return bare(client.get(PLACE))


def test_there_are_bad_tokens_enough():
    assert len(BAD) >= 100


@pytest.mark.parametrize("name", BAD)
def test_a_bad_token_is_401_and_nothing_more_and_the_good_one_beside_it_is_let_in(client, trusted, refused, name):
    answer = client.get(PLACE, headers=BAD[name](trusted))
    assert answer.status_code == 401
    assert answer.headers.get_list("www-authenticate") == ["Bearer"]
    assert bare(answer) == refused
    assert answer.json() == {
        "type": "/problems/not_recognised",
        "title": "未认证",
        "status": 401,
        "code": "not_recognised",
    }
    assert client.get(PLACE, headers=bearer(trusted.token())).status_code == 200


def test_a_token_in_the_query_is_not_looked_at(client, trusted, refused):
    assert bare(client.get(PLACE, params={"access_token": trusted.token()})) == refused


GOOD: dict[str, Callable[[Provider], Headers]] = {
    "ES256": lambda p: bearer(p.token()),
    "RS256": lambda p: bearer(compact(p.header(alg="RS256", kid="rs"), p.claims(), rs(p.rsa))),
    "PS256": lambda p: bearer(compact(p.header(alg="PS256", kid="rs"), p.claims(), ps(p.rsa))),
    "PS256 by a key for it alone": lambda p: bearer(compact(p.header(alg="PS256", kid="ps only"), p.claims(), ps(p.rsa))),
    "EdDSA": lambda p: bearer(compact(p.header(alg="EdDSA", kid="ed"), p.claims(), p.ed.sign)),
    "Ed25519, its newer name": lambda p: bearer(compact(p.header(alg="Ed25519", kid="ed"), p.claims(), p.ed.sign)),
    "no kid where one key alone would do": lambda p: bearer(p.token({"kid": None})),
    "the whole name of the type": lambda p: bearer(p.token({"typ": "application/AT+JWT"})),
    "scheme in another case": lambda p: {"Authorization": f"bEaReR {p.token()}"},
    "several audiences": lambda p: bearer(p.token(aud=["account", "mediation"])),
    "instants with fractions": lambda p: bearer(p.token(iat=now() - 0.5, exp=now() + 60.25)),
    "a clock a little ahead": lambda p: bearer(p.token(iat=now() + 5, nbf=now() + 5)),
    "what we do not know": lambda p: bearer(p.token({"x5t": "AAAA", "nonce": "1"}, realm_access={"roles": ["x"]})),
    "bound to the certificate shown": lambda p: bearer(p.token(cnf=thumbprint(COURT))) | {"Client-Cert": shown(COURT)},
    "a certificate nobody asked for": lambda p: bearer(p.token()) | {"Client-Cert": shown(OTHER)},
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_what_a_provider_may_well_send_is_let_in(client, trusted, name):
    assert client.get(PLACE, headers=GOOD[name](trusted)).status_code == 200


def test_a_bound_token_that_is_remembered_still_needs_its_certificate(client, trusted, refused):
    token = bearer(trusted.token(cnf=thumbprint(COURT)))
    assert client.get(PLACE, headers=token | {"Client-Cert": shown(COURT)}).status_code == 200
    assert bare(client.get(PLACE, headers=token | {"Client-Cert": shown(OTHER)})) == refused
    assert bare(client.get(PLACE, headers=token)) == refused
    assert client.get(PLACE, headers=token | {"Client-Cert": shown(COURT)}).status_code == 200


def test_the_answer_is_the_same_to_every_method_and_at_every_place(client, refused):
    for method, place in (("POST", "/v1/cases"), ("GET", "/v1/nowhere"), ("DELETE", PLACE), ("GET", "/v1/cases/x")):
        assert bare(client.request(method, place, headers=bearer("x.y.z"))) == refused


def test_a_token_for_reading_reads_and_one_for_writing_writes(client, trusted):
    def asked(method: str, scope: str) -> tuple[int, str, str | None]:
        body = {"json": {}, "headers": bearer(trusted.token(scope=scope))}
        answer = client.request(method, PLACE, **(body if method == "POST" else {"headers": body["headers"]}))
        return answer.status_code, answer.json().get("code", ""), answer.headers.get("www-authenticate")

    narrow = (403, "insufficient_scope", 'Bearer error="insufficient_scope"')
    assert asked("GET", "openid mediation:read profile")[0] == 200
    assert asked("GET", "openid profile")[0] == 200
    assert asked("GET", "mediation:write") == narrow
    assert asked("GET", "mediation:administer mediation:disclose") == narrow
    assert asked("GET", "mediation:reed") == narrow, "a slip of the pen does not open everything"
    assert asked("POST", "mediation:read") == narrow
    assert asked("POST", "mediation:read mediation:write")[0] == 405, "let through to the route, which has no POST"


def test_whose_keys_cannot_be_had_is_told_to_come_back(module_database_urls, tmp_path):
    with provider() as gone:
        issuer, token = gone.issuer, gone.token()
    with running(settings_for(module_database_urls, tmp_path, issuer=issuer)) as address:
        answer = httpx2.get(address + PLACE, headers=bearer(token) | {"Accept-Language": "en"})
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert "identity provider" in answer.json()["detail"]
        assert int(answer.headers["retry-after"]) > 0
        assert httpx2.get(address + PLACE, headers=bearer("x.y.z")).status_code == 401


def test_nobody_tries_tokens_for_ever_and_nobody_shuts_out_a_neighbour(module_database_urls, tmp_path, trusted):
    settings = settings_for(module_database_urls, tmp_path, issuer=trusted.issuer, failed_logins_per_minute=3)
    with running(settings) as address, httpx2.Client(base_url=address) as caller:
        tried = [caller.get(PLACE, headers=bearer(trusted.token(aud="other"))) for _ in range(5)]
        assert [answer.status_code for answer in tried] == [401, 401, 401, 429, 429]
        assert int(tried[-1].headers["retry-after"]) > 0
        assert caller.get(PLACE, headers=bearer(trusted.token())).status_code == 200


def test_two_people_of_one_provider_do_not_use_up_each_others_requests(module_database_urls, tmp_path, trusted):
    settings = settings_for(module_database_urls, tmp_path, issuer=trusted.issuer, rate_per_minute=1)
    with running(settings) as address, httpx2.Client(base_url=address) as caller:
        codes = [caller.get(PLACE, headers=bearer(trusted.token(sub=sub))).status_code for sub in ("a", "a", "b")]
        assert codes == [200, 429, 200]


def test_who_is_known_by_issuer_and_subject_works_as_that_person_and_who_is_not_may_nothing(
    client, trusted, module_database_urls
):
    asyncio.run(populate(module_database_urls))
    with psycopg.connect(module_database_urls.owner) as connection:
        connection.execute("INSERT INTO identities VALUES (%s, %s, %s)", [trusted.issuer, "wang", person_id("wang")])
    wang, elsewhere = bearer(trusted.token(sub="wang")), bearer(trusted.token(sub="wang2"))
    filed = client.post("/v1/cases", json=DISPUTE, headers=wang | {"Idempotency-Key": fresh()})
    assert filed.status_code == 201
    assert [found["id"] for found in client.get("/v1/cases", headers=wang).json()["items"]] == [filed.json()["case"]]
    assert client.get("/v1/cases", headers=elsewhere).status_code == 403
    there, absent = (
        client.get(place, headers=elsewhere) for place in (filed.headers["location"], f"/v1/cases/{NOBODY}")
    )
    assert there.status_code == 403
    assert bare(there) == bare(absent)
