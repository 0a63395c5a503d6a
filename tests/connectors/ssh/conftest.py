from __future__ import annotations

import pytest

from fakes.authority import FakeAuthority
from lapse.connectors import connect
from lapse.protocols.ssh.canary import CHECK_SERIAL
from lapse.protocols.ssh.krl import Krl, write_krl
from support.sshd import Sshd


@pytest.fixture
def authority():
    return FakeAuthority()


@pytest.fixture
def listed(authority):
    """The revocation list's bytes, with `CHECK_SERIAL` as every list has it."""

    def _listed(*serials):
        from datetime import UTC, datetime

        named = frozenset({CHECK_SERIAL, *serials})
        krl = Krl(ca=authority.ssh_public_key, version=1, generated_at=datetime.now(UTC), serials=named)
        return write_krl(krl)

    return _listed


@pytest.fixture
def sshd_with(tmp_path):
    """An sshd that is configured as asked, ended with the test."""
    started = []

    def _start(**config):
        started.append(Sshd.start(tmp_path / f"sshd{len(started)}", **config))
        return started[-1]

    yield _start
    for one in started:
        one.end_sessions()
        one.stop()


@pytest.fixture
def sshd(sshd_with, authority, listed):
    """One as the docs say."""
    return sshd_with(ca=authority.ssh_public_key, principals="web-1/%u", krl=listed())


@pytest.fixture
async def connector(sshd, authority):
    made = connect("ssh", "web-1", sshd.dsn, authority=authority)
    yield made
    await made.close()
