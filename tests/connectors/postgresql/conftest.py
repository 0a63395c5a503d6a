"""A connector to a fresh protected target, and short ways to say what it is asked to do."""

from __future__ import annotations

import re

import pytest

from lapse.connectors.postgresql import Limits, PostgresConnector
from support.asked import Asked

QUICK = Limits(connect=2, statement=5, lock=2, dying_session=3, call=10, observe=20)


@pytest.fixture
def asked(postgres_target):
    return Asked(postgres_target)


@pytest.fixture
async def connect_as():
    """A function from a DSN to a connector with short patience; all are closed at the end."""
    made = []

    def connect(dsn, limits=QUICK):
        made.append(PostgresConnector("pg-test", dsn, limits=limits))
        return made[-1]

    yield connect
    for connector in made:
        await connector.close()


@pytest.fixture
def connector(connect_as, postgres_target):
    return connect_as(postgres_target.lapse_dsn)


@pytest.fixture
def through():
    """A DSN that goes to another port."""
    return lambda dsn, port: re.sub(r":\d+/", f":{port}/", dsn)
