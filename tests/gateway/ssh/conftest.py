"""A gateway in front of a real sshd that takes lapse's certificates."""

from __future__ import annotations

import pytest
import uvloop

from fakes.authority import FakeAuthority
from support.ssh_front import ssh_front
from support.sshd import Sshd


def pytest_asyncio_loop_factories():
    """The loop that servers run on."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="module")
def authority():
    return FakeAuthority()


@pytest.fixture(scope="module")
def sshd(tmp_path_factory, authority):
    made = Sshd.start(tmp_path_factory.mktemp("sshd"), ca=authority.ssh_public_key, principals="web-1/%u")
    yield made
    made.end_sessions()
    made.stop()


@pytest.fixture
async def front(tmp_path, sshd, authority):
    (tmp_path / "client").mkdir()
    async with ssh_front(tmp_path / "client", sshd, authority) as made:
        made.allow()
        yield made
