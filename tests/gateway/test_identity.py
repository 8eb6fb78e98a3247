"""A token is taken for what it says only if we signed it, for us, for now."""

import base64
import json

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from mediation.gateway.identity import AUDIENCE, ISSUER, DevelopmentIssuer, NotRecognised, Principal

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
