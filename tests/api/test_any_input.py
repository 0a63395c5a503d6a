"""Whatever a call brings, the answer is a success or a problem of the caller's, never a failure of lapse."""

from __future__ import annotations

import asyncio
import re
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lapse.entrypoints.api.routes import OPERATIONS
from support.api import open_office

WORDS = st.sampled_from(
    [
        "",
        "alice",
        "pg-prod",
        "pg-prod/reader",
        "2h",
        "PT0S",
        "everything",
        "revoke",
        "all",
        "2026-Q3",
        "'; DROP",
        "\x00",
        "…",
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | WORDS | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)


def bodies(operation):
    """Bodies with the operation's own members, and whatever in them."""
    names = operation.body.__struct_fields__ if operation.body else ()
    return st.fixed_dictionaries({}, optional=dict.fromkeys((*names, "surprise"), VALUES))


CALLS = st.sampled_from(OPERATIONS).flatmap(lambda one: st.tuples(st.just(one), st.text(max_size=12), bodies(one)))


@given(call=CALLS)
@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_no_input_is_a_failure_of_lapse(call):
    operation, part, body = call
    asyncio.run(_call(operation, part, body))


async def _call(operation, part, body):
    with tempfile.TemporaryDirectory() as folder:
        async with open_office(Path(folder)) as office:
            path = re.sub(r"\{\w+\}", lambda _: _quoted(part), operation.path)
            client = office.client(token=office.tokens["root"], base_url="http://127.0.0.1:7380")
            answer = await client.request(operation.method, path, json=body if operation.writes else None)
            assert answer.status_code < 500, answer.text


def _quoted(part):
    from urllib.parse import quote

    return quote(part, safe="") or "x"
