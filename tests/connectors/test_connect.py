from __future__ import annotations

import pytest

from lapse.connectors import connect
from lapse.connectors.postgresql import PostgresConnector
from lapse.domain.errors import InvalidInput


async def test_a_kind_gives_its_connector_and_nothing_is_contacted():
    connector = connect("postgresql", "pg", "postgresql://lapse:x@192.0.2.1/db")
    assert isinstance(connector, PostgresConnector)
    await connector.close()


def test_an_unknown_kind_is_named_with_what_there_is():
    with pytest.raises(InvalidInput, match="`oracle` is not a kind of target") as caught:
        connect("oracle", "x", "y")
    assert "postgresql" in caught.value.hint


@pytest.mark.parametrize(
    "dsn", ["postgresql://u:hush-hush@[::1/db", "host=x hush-hush", "postgresql://u:hush-hush%zz@h/d", "hush-hush"]
)
def test_a_dsn_that_cannot_be_read_is_not_repeated(dsn):
    with pytest.raises(InvalidInput, match="the DSN of `pg` cannot be read") as caught:
        connect("postgresql", "pg", dsn)
    assert "hush" not in str(caught.value) + caught.value.hint
    assert caught.value.__cause__ is None
