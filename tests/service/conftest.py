"""The town of these tests, and the bundles of two of its cases."""

from tests.service.parcels import bundle, made
from tests.service.town import anyio_backend, populated, town

__all__ = ["anyio_backend", "bundle", "made", "populated", "town"]
