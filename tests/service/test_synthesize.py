"""Synthesised cases: truly decided, verified to the last leaf, the same of one seed, and at home in the service."""

import asyncio
from datetime import date

import psycopg
import pytest
from tests.whole import keys_of

from mediation.domain.tiles import WIDTH
from mediation.domain.vocabulary import Category
from mediation.gateway.vault import Vault
from mediation.service.findings import Trust
from mediation.service.imagined import counties
from mediation.service.imagined.plots import plots
from mediation.service.synthesize import Synthesized, Wanted, synthesize
from mediation.service.verification import verify_database
from mediation.settings import Urls
from mediation.store.loading import CasesThere

KEY = b"k" * 32
WANTED = Wanted(cases=90, counties=2, years=1, until=date(2026, 11, 21), seed="1")


@pytest.fixture(scope="module")
def told() -> list[tuple[int, int]]:
    """What the progress bar was told."""
    return []


@pytest.fixture(scope="module")
def made(module_database_urls: Urls, told) -> Synthesized:
    say = lambda done, total: told.append((done, total))  # noqa: E731  # it is two words long
    keys = keys_of(module_database_urls)
    return asyncio.run(synthesize(module_database_urls, KEY, keys, WANTED, processes=2, progress=say))


def rows(urls: Urls, query: str, *said: object) -> list[tuple]:
    with psycopg.connect(urls.reader) as connection:
        return connection.execute(query, said).fetchall()


def test_what_was_synthesised_verifies_to_the_last_leaf_and_opens_to_the_last_value(made, module_database_urls: Urls):
    keys = keys_of(module_database_urls)
    trust = Trust(tuple(verifier for key in keys for verifier in key.verifiers))
    report = asyncio.run(verify_database(module_database_urls.reader, trust=trust, vault=Vault(KEY)))
    assert report.sound, report.failures
    assert (report.cases, report.events) == (made.cases, made.events) == (90, report.leaves - report.entries)
    assert report.leaves > 2 * WIDTH
