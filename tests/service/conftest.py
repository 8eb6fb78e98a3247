"""The town of these tests."""

from tests.service.town import anyio_backend, populated, town

__all__ = ["anyio_backend", "populated", "town"]
