"""A whole lapse against real PostgreSQL: see `Company`."""

from __future__ import annotations

import pytest

from lapse.entrypoints.demo.private_postgres import PrivatePostgres
from support.company import company_on
from support.postgres import protected_target
from support.stores import opened


@pytest.fixture
async def company(tmp_path, postgres_target):
    """On a SQLite store, protecting one real database."""
    async with opened("sqlite", tmp_path) as store, company_on(store, {"pg": postgres_target}) as made:
        yield made


@pytest.fixture(scope="module")
def own_server():
    """A server that only one module's tests use, and may stop."""
    with PrivatePostgres() as server:
        yield server


@pytest.fixture
def own_target(own_server):
    """A protected target on a server that a test may stop and start."""
    with protected_target(own_server.start()) as target:
        yield target
        own_server.start()


@pytest.fixture
async def shaky_company(tmp_path, own_target):
    """A company whose only target may be stopped."""
    async with opened("sqlite", tmp_path) as store, company_on(store, {"pg": own_target}) as made:
        yield made
