"""A token is taken for what it says only if we signed it, or a provider we trust: for us, for now."""

import asyncio
import base64
import gzip
import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwt
from joserfc.jwk import OctKey
from tests.gateway.provider import Provider, compact, ec_jwk, es, provider

from mediation.gateway.identity import (
    AUDIENCE,
    ISSUER,
    DevelopmentIssuer,
    Expected,
    Keyring,
    NotRecognised,
    Principal,
    ProviderAway,
    ResourceServer,
    narrowed,
)
from mediation.gateway.tokens import KEYS
from mediation.settings import ALGORITHMS

PERSON = "6217a688-5574-58cb-a2bc-2b5ee0ab303a"
NOW = 1_790_000_000


def issuer() -> DevelopmentIssuer:
    return DevelopmentIssuer(b"s" * 32)


def signed(header: dict | None = None, **changes: object) -> str:
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": PERSON, "iat": NOW, "nbf": NOW, "exp": NOW + 60} | changes
    kept = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode({"typ": "at+jwt", "alg": "Ed25519"} | (header or {}), kept, issuer()._key, ["Ed25519"])


async def test_a_token_names_the_person_it_was_issued_to():
    token = issuer().issue(PERSON, lifetime_s=60, now=NOW)
    assert await issuer().verify(token, now=NOW + 1) == Principal(PERSON, ISSUER, PERSON)
    assert (await issuer().verify(signed(aud=["other", AUDIENCE]), now=NOW + 1)).person == PERSON


async def test_a_token_is_good_to_the_second_and_no_longer_also_when_it_is_remembered():
    door = issuer()
    token = door.issue(PERSON, lifetime_s=60, now=NOW)
    assert (await door.verify(token, now=NOW + 59)).person == PERSON
    with pytest.raises(NotRecognised):
        await door.verify(token, now=NOW + 60)


@pytest.mark.parametrize(
    "token",
    [
        signed(exp=NOW - 1),
        signed(exp=None),
        signed(exp="tomorrow"),
        signed(nbf=NOW + 100),
        signed(iss="somebody"),
        signed(iss=None),
        signed(aud="somebody"),
        signed(aud=None),
        signed(sub="clock"),
        signed(sub="00000000-0000-0000-0000-000000000000"),
        signed(sub=None),
        signed(sub=["x"]),
        signed({"typ": "JWT"}),
        "",
        "a.b.c",
        "é.é.é",
        "\udc80",
        "x" * 9000,
    ],
)
async def test_anything_else_is_not_recognised(token: str):
    with pytest.raises(NotRecognised):
        await issuer().verify(token, now=NOW)


async def test_a_token_of_another_key_is_not_recognised():
    token = DevelopmentIssuer(b"o" * 32).issue(PERSON, now=NOW)
    with pytest.raises(NotRecognised):
        await issuer().verify(token, now=NOW)


async def test_neither_no_algorithm_nor_a_shared_secret_is_accepted():
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": PERSON, "nbf": NOW, "exp": NOW + 60}
    parts = [json.dumps(part).encode() for part in ({"typ": "at+jwt", "alg": "none"}, claims)]
    unsigned = ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts) + "."
    public = issuer()._key.as_dict(private=False)["x"]
    shared = jwt.encode({"typ": "at+jwt", "alg": "HS256"}, claims, OctKey.import_key(str(public)), ["HS256"])
    for token in (unsigned, shared):
        with pytest.raises(NotRecognised):
            await issuer().verify(token, now=NOW)


async def test_a_changed_token_is_not_taken_for_the_one_that_is_remembered():
    door = issuer()
    token = door.issue(PERSON, now=NOW)
    await door.verify(token, now=NOW)
    head, body, mark = token.split(".")
    changed = ("B" if mark[0] == "A" else "A") + mark[
        1:
    ]  # the last sign has bits that mean nothing, the first has none
    with pytest.raises(NotRecognised):
        await door.verify(f"{head}.{body}.{changed}", now=NOW)


async def test_a_development_token_says_its_scope_and_second_factor():
    door = issuer()
    told = await door.verify(door.issue(PERSON, now=NOW, scope="mediation:read openid", second_factor=True), now=NOW)
    assert told == Principal(PERSON, ISSUER, PERSON, frozenset({"mediation:read"}), second_factor=True)


@pytest.mark.parametrize(
    ("claims", "two"),
    [
        ({}, False),
        ({"amr": ["mfa"]}, True),
        ({"amr": ["pwd"]}, False),
        ({"amr": ["otp"]}, False),
        ({"amr": ["pwd", "otp"]}, True),
        ({"amr": ["pwd", "hwk"]}, True),
        ({"amr": ["pin", "sc"]}, True),
        ({"amr": ["fpt", "swk"]}, True),
        ({"amr": ["pwd", "pin", "kba"]}, False),
        ({"amr": ["hwk", "otp"]}, False),
        ({"amr": ["pwd", "sms"]}, False),
        ({"amr": ["pwd", "geo", "user", "rba"]}, False),
        ({"amr": "mfa"}, False),
        ({"amr": [["mfa"], {"mfa": 1}, None]}, False),
        ({"acr": "gold"}, True),
        ({"acr": "silver"}, False),
        ({"acr": ["gold"]}, False),
    ],
)
async def test_two_factors_are_two_kinds_or_what_the_provider_is_known_to_mean_by_them(claims, two):
    with provider() as p:
        server = serving(p, second_factor=frozenset({"gold"}))
        assert (await server.verify(p.token(**claims))).second_factor is two
        await server.close()


@pytest.mark.parametrize(
    ("scopes", "allowed"),
    [
        ((), {"read", "write", "disclose", "administer"}),
        (("read",), {"read"}),
        (("read", "disclose"), {"read", "disclose"}),
        (("administer",), {"administer"}),
        (("something",), set()),
    ],
)
def test_scopes_only_narrow(scopes, allowed):
    who = Principal("", "https://issuer.example", "x", frozenset(f"mediation:{scope}" for scope in scopes))
    assert {s for s in ("read", "write", "disclose", "administer") if not narrowed(who, f"mediation:{s}")} == allowed


def test_what_can_be_allowed_in_the_settings_is_what_can_be_verified():
    assert set(ALGORITHMS) == set(KEYS)


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


def serving(p: Provider, clock: Clock | None = None, url: str = "", **more: object) -> ResourceServer:
    expected = Expected(p.issuer, "mediation", frozenset({"ES256", "RS256"}), 3600, **more)
    return ResourceServer(expected, Keyring(p.issuer, url, clock=clock or Clock()))


async def settle() -> None:
    """Let what was begun in the background come to its end."""
    for _ in range(200):
        await asyncio.sleep(0.005)
        if len(asyncio.all_tasks()) == 1:
            return


async def test_keys_are_fetched_once_for_all_who_ask_at_the_same_time_and_then_remembered():
    with provider() as p:
        server = serving(p)
        found = await asyncio.gather(*(server.verify(p.token(sub=f"s{number}")) for number in range(20)))
        assert {who.subject for who in found} == {f"s{number}" for number in range(20)}
        assert all((who.issuer, who.person) == (p.issuer, "") for who in found)
        assert p.asked == 1
        await server.close()


async def test_an_unknown_kid_makes_us_look_once_a_minute_and_no_oftener():
    with provider() as p:
        clock = Clock()
        server = serving(p, clock)
        await server.verify(p.token())
        later = ec.generate_private_key(ec.SECP256R1())
        token = compact(p.header(kid="later"), p.claims(), es(later))

        async def refused() -> None:
            with pytest.raises(NotRecognised):
                await server.verify(token)

        await asyncio.gather(*(refused() for _ in range(20)))
        assert p.asked == 1, "they were fetched this minute"
        clock.at = 61
        await asyncio.gather(*(refused() for _ in range(20)))
        assert p.asked == 2
        p.keys.append(ec_jwk(later, kid="later"))
        clock.at = 100
        await refused()
        assert p.asked == 2
        clock.at = 122
        assert (await server.verify(token)).subject == "f:1:wang"
        assert p.asked == 3
        await server.close()


async def test_a_key_that_was_withdrawn_is_no_longer_accepted_once_the_keys_are_ten_minutes_old():
    with provider() as p:
        clock = Clock()
        server, token = serving(p, clock), p.token()
        await server.verify(token)
        p.keys = [key for key in p.keys if key["kid"] != "es"]
        clock.at = 599
        await server.verify(token)
        assert p.asked == 1
        clock.at = 601
        await server.verify(token)
        await settle()
        assert p.asked == 2
        with pytest.raises(NotRecognised):
            await server.verify(token)
        await server.close()


async def test_keys_that_cannot_be_fetched_anew_are_relied_on_for_an_hour():
    with provider() as p:
        clock = Clock()
        server = serving(p, clock)
        await server.verify(p.token())
        p.answers["/realms/one/keys"] = (500, b"", {})
        for clock.at in (700, 1400, 3599):
            await server.verify(p.token(sub=str(clock.at)))
            await settle()
        assert p.asked == 4
        clock.at = 3700
        with pytest.raises(ProviderAway):
            await server.verify(p.token(sub="late"))
        del p.answers["/realms/one/keys"]
        clock.at = 3706
        assert (await server.verify(p.token(sub="late"))).subject == "late"
        await server.close()


async def test_while_a_provider_does_not_answer_who_is_known_does_not_wait():
    with provider() as p:
        clock = Clock()
        server = serving(p, clock)
        await server.verify(p.token())
        p.open.clear()
        clock.at = 700
        assert (await server.verify(p.token(sub="new"))).subject == "new"
        p.open.set()
        await settle()
        await server.close()


async def test_a_remembered_token_is_not_good_for_longer_than_the_keys_it_was_verified_with():
    with provider() as p:
        clock = Clock()
        server, token = serving(p, clock), p.token()
        await server.verify(token)
        p.answers["/realms/one/keys"] = (500, b"", {})
        clock.at = 3599
        assert (await server.verify(token)).subject == "f:1:wang"
        await settle()
        clock.at = 3700
        with pytest.raises(ProviderAway):
            await server.verify(token)
        await server.close()


CONFIGURATION, KEYS_AT = "/realms/one/.well-known/openid-configuration", "/realms/one/keys"


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        (KEYS_AT, (404, b"{}", {})),
        (KEYS_AT, (200, b"", {})),
        (KEYS_AT, (200, b"[]", {})),
        (KEYS_AT, (200, b'{"keys": {}}', {})),
        (KEYS_AT, (200, b'{"keys": []}', {})),
        (KEYS_AT, (200, b'{"keys": [1, null, {"kty": "EC"}, {"kty": ["EC"], "alg": {}}]}', {})),
        (KEYS_AT, (200, b'{"keys": [' + b" " * 300_000 + b"]}", {})),
        (KEYS_AT, (200, b"[" * 100_000, {})),
        (KEYS_AT, (302, b"", {"Location": "/elsewhere"})),
        (KEYS_AT, (200, gzip.compress(b" " * 10**7), {"Content-Encoding": "gzip"})),
        (CONFIGURATION, (404, b"{}", {})),
        (CONFIGURATION, (302, b"", {"Location": "/elsewhere"})),
        (CONFIGURATION, (200, b'{"issuer": "https://issuer.example"}', {})),
    ],
    ids=range(13),
)
async def test_whatever_else_a_provider_answers_is_no_key(path, answer):
    with provider() as p:
        p.answers = {"/elsewhere": p.answer(path), path: answer}
        server = serving(p)
        with pytest.raises(ProviderAway):
            await server.verify(p.token())
        await server.close()


@pytest.mark.parametrize(
    "change",
    [
        {"issuer": "https://issuer.example"},
        {"issuer": None},
        {"jwks_uri": "http://issuer.example/keys"},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": None},
    ],
)
async def test_a_configuration_of_another_issuer_or_an_open_line_is_not_followed(change):
    with provider() as p:
        p.said |= change
        server = serving(p)
        with pytest.raises(ProviderAway):
            await server.verify(p.token())
        assert p.asked == 0
        await server.close()


async def test_an_address_of_the_keys_that_is_set_needs_no_configuration():
    with provider() as p:
        p.answers[CONFIGURATION] = (404, b"", {})
        server = serving(p, url=p.issuer + "/keys")
        assert (await server.verify(p.token())).subject == "f:1:wang"
        await server.close()


async def test_a_token_that_is_remembered_costs_no_wait_and_is_forgotten_when_it_expires():
    with provider() as p:
        now = [float(p.claims()["iat"])]
        server = ResourceServer(
            Expected(p.issuer, "mediation", frozenset({"ES256"}), 3600), Keyring(p.issuer, ""), lambda: now[0]
        )
        token = p.token(exp=int(now[0]) + 60)
        await server.verify(token)
        with pytest.raises(StopIteration) as done:
            server.verify(token).send(None)
        assert done.value.value.subject == "f:1:wang"
        now[0] += 60
        with pytest.raises(NotRecognised):
            await server.verify(token)
        await server.close()
