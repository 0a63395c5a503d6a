"""Fixtures of several folders: a private PostgreSQL per test process, and fresh databases on it."""

from __future__ import annotations

import faulthandler
from contextlib import ExitStack

import pytest
from hypothesis import HealthCheck, settings

from lapse.entrypoints.demo.private_postgres import PrivatePostgres, installation, installations
from support.postgres import PASSWORD, fresh_database, name, protected_target, run
from support.spark import spark_kept

# How long an example takes says more about what else the machine does than about the test.
settings.register_profile("lapse", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("lapse")

HUNG_SECONDS = 300
"""A test that its own time limit could not end (it swallowed that, or hangs in what is not Python) ends its process."""
STDERR = 2


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item):
    """No test can hold the whole run up: the process says where it hangs and dies, and others do the rest."""
    faulthandler.dump_traceback_later(HUNG_SECONDS, exit=True, file=STDERR)
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


def pytest_configure(config):
    """Name each failure at once: a run that is ended from outside never comes to its summary."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(_NamesFailures(config), "names_failures")


class _NamesFailures:
    def __init__(self, config):
        self._config = config

    def pytest_runtest_logreport(self, report):
        terminal = self._config.pluginmanager.get_plugin("terminalreporter")
        if report.failed and terminal is not None:
            terminal.write_line("")
            terminal.write_line(f"failed ({report.when}): {report.nodeid}")


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


@pytest.fixture(scope="session")
def server_of_version(postgres_server):
    """A function from a name like `pg16` to a running cluster of that version; each is started once."""
    running = {f"pg{postgres_server.version}": postgres_server}
    with ExitStack() as stack:

        def start(wanted):
            if wanted not in running:
                running[wanted] = stack.enter_context(PrivatePostgres(installation(int(wanted[2:]))))
            return running[wanted]

        yield start


@pytest.fixture
def target_on(server_of_version):
    """A function from a name like `pg16` to a fresh protected target on that version."""
    with ExitStack() as stack:
        yield lambda wanted: stack.enter_context(protected_target(server_of_version(wanted)))


@pytest.fixture(params=[f"pg{one.version}" for one in installations()])
def every_target(request, target_on):
    """A fresh protected target on each version that this machine has."""
    return target_on(request.param)


@pytest.fixture(scope="session")
def spark():
    """Spark on this machine, up for the whole run of this test process."""
    with spark_kept():
        yield
