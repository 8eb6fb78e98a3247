"""A log, and a witness of it."""

import pytest
from tests.service.town import anyio_backend, opened, populate
from tests.witness.bystanders import Book, standing

from mediation.domain.notes import SignatureKind, new_signer

__all__ = ["anyio_backend"]


@pytest.fixture
async def town(database_urls):
    """The town with a log of its own: what is done to it here no other test may meet."""
    await populate(database_urls)
    async with opened(database_urls) as made:
        yield made


@pytest.fixture
def book():
    return Book()


@pytest.fixture
def witness(tmp_path, book):
    with standing(tmp_path / "w1", book.signer.verifier.text) as made:
        yield made


@pytest.fixture
def cosigner():
    return new_signer("witness.example/w1", b"w" * 32, SignatureKind.COSIGNATURE)
