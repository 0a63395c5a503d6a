"""Fixtures of several folders: a private PostgreSQL per test process, and fresh databases on it."""

from __future__ import annotations

import pytest

from lapse.entrypoints.demo.private_postgres import PrivatePostgres
from support.postgres import PASSWORD, fresh_database, name, protected_target, run


@pytest.fixture(scope="session")
def postgres_server():
    """One running cluster for this test process (each xdist worker has its own)."""
    with PrivatePostgres() as server:
        yield server


@pytest.fixture(scope="session")
def _store_owner(postgres_server):
    run(postgres_server.dsn(), f"CREATE ROLE {name('store_owner')} LOGIN PASSWORD '{PASSWORD}'")
    return "store_owner"


@pytest.fixture
def postgres_url(postgres_server, _store_owner):
    """`postgresql://…` of a fresh empty database, as its owner, who is no superuser."""
    with fresh_database(postgres_server, _store_owner) as dbname:
        yield postgres_server.dsn(dbname, _store_owner, PASSWORD)


@pytest.fixture
def postgres_target(postgres_server):
    """A fresh protected target: see `TargetDatabase`."""
    with protected_target(postgres_server) as target:
        yield target
