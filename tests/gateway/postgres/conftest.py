"""A gateway in front of a real PostgreSQL: Alice's login there is reached with a password of lapse's own."""

from __future__ import annotations

import pytest
import trustme
import uvloop

from lapse.gateway.tls import ServerTls
from support.postgres_front import front_of


def pytest_asyncio_loop_factories():
    """The loop that servers run on."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
def target(postgres_target):
    """Alice may read and write, as her grant says."""
    postgres_target.admin(f'GRANT "{postgres_target.role("writer")}" TO "{postgres_target.role("alice")}"')
    return postgres_target


@pytest.fixture
async def front(target):
    async with front_of(target) as made:
        made.allow(target)
        yield made


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """The gateway's certificate for 127.0.0.1, and the file of who signed it."""
    folder, authority = tmp_path_factory.mktemp("tls"), trustme.CA()
    issued = authority.issue_cert("127.0.0.1", "localhost")
    issued.private_key_pem.write_to_path(folder / "key.pem")
    for number, blob in enumerate(issued.cert_chain_pems):
        blob.write_to_path(folder / "cert.pem", append=number > 0)
    authority.cert_pem.write_to_path(folder / "roots.pem")
    return ServerTls(folder / "cert.pem", folder / "key.pem"), str(folder / "roots.pem")


@pytest.fixture
async def tls_front(target, certificate):
    tls, roots = certificate
    async with front_of(target, tls=tls) as made:
        made.allow(target)
        made.roots = roots
        yield made
