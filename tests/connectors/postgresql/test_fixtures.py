from __future__ import annotations

import psycopg
import pytest

from support.postgres import run


def test_a_store_database_is_empty_and_not_owned_by_a_superuser(postgres_url):
    rows = run(postgres_url, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
    assert rows == [(False,)]
    run(postgres_url, "CREATE TABLE here (x int)")


def test_a_target_has_logins_that_may_do_nothing_yet(postgres_target):
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        run(postgres_target.dsn("alice"), "SELECT * FROM orders")
    assert not postgres_target.holds(postgres_target.role("alice"), postgres_target.role("reader"))
    assert postgres_target.exists(postgres_target.role("lapse"))
