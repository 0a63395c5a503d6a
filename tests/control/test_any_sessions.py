"""Any history of credentials, sessions, holds, gateways that vanish and writes that fail keeps what sessions promise.

The histories, and what is checked after each step, are in `support.session_story`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lapse.control.sessions import open_session
from lapse.domain.errors import Refused
from lapse.domain.guards import GatewayRules
from lapse.ports import Attempt
from support.planes import GATEWAY, gateway_world
from support.session_story import tell
from support.stores import opened


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**32).map(Random), st.integers(10, 60))
def test_any_history_keeps_what_sessions_promise(chance, count):
    asyncio.run(tell(chance, count))


def test_histories_have_everything_in_them():
    """What never happens is not tested by the histories above."""
    happened = Counter()
    for seed in range(16):
        happened += asyncio.run(tell(Random(seed), 80)).happened  # noqa: S311  a story, not a secret
    wanted = {
        "session.opened", "session.ended", "session.found", "session.killed", "credential.revoked", "hold.allowed",
        "hold.refused", "hold.expired", "hold.dropped", "gateway.began", "gateway.lost", "admit: Refused",
        "admit: Conflict", "admit: Unavailable", "finish: Unavailable", "decide: Refused",
    }  # fmt: skip
    assert wanted <= {name for name, times in happened.items() if times}, wanted - set(happened)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_limits_and_single_use_hold_for_those_who_come_at_once(kind, request, tmp_path):
    url = request.getfixturevalue("postgres_url") if kind == "postgresql" else None
    async with opened(kind, tmp_path, url) as store:
        lapse = await gateway_world(store, GatewayRules(sessions=5))
        one, many = await lapse.credential(single_use=True), await lapse.credential()

        async def come(credential, number):
            attempt = Attempt(
                credential_id=credential.id, protocol="postgresql", client="192.0.2.7:5", session_id=f"ses_{number:02}"
            )
            return (await open_session(lapse.world.control, GATEWAY, attempt))[0]

        asked = [come(one, n) for n in range(4)], [come(many, n) for n in range(4, 16)]
        for coming, admitted in zip(asked, (1, 4), strict=True):
            answers = await asyncio.gather(*coming, return_exceptions=True)
            refused = [answer for answer in answers if isinstance(answer, BaseException)]
            assert len(answers) - len(refused) == admitted
            assert all(isinstance(answer, Refused) for answer in refused), refused
