from __future__ import annotations

import pytest

from support.api import open_office


@pytest.fixture
async def office(tmp_path):
    """The API on a fake store and target: alice asks, bob and carol approve, olga owns, root administers."""
    async with open_office(tmp_path) as office:
        yield office
