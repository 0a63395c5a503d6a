import asyncio

import pytest
import uvloop

from lapse.gateway.pump import make_pump


def pytest_asyncio_loop_factories():
    """Both loops: they differ in when a connection is read."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(params=["twin", "native"])
async def pump(request):
    made = make_pump(prefer_native=request.param == "native")
    if made.native is not (request.param == "native"):
        pytest.skip("no compiled pump: there is no C compiler")
    yield made
    await made.close()


@pytest.fixture
async def session(pump):
    from support.pumping import attached

    opened = await attached(pump)
    yield opened
    opened.close()
