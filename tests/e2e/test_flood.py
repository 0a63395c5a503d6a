"""A script that asks without end, over HTTP, from many connections at once: approvers see a few of its requests."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from support.program import Program

CATALOG = """
principals:
  - {name: alice}
  - {name: alice-admin, alias_of: alice}
  - {name: bob}
  - {name: bot, kind: agent, sponsor: alice}
resources:
  - name: pg-prod
    connector: postgresql
    entitlements:
      - {role: reader, native: {role: reader, mode: ephemeral}}
      - {role: metrics, native: {role: metrics, mode: ephemeral}}
"""
POLICY = """
version: 1
offers:
  - {name: readers, entitlements: pg-prod/reader, to: anyone, max_duration: 4h, approvals: [{from: bob}]}
  - name: metrics
    entitlements: pg-prod/metrics
    to: anyone
    max_duration: 1h
    auto_approve: {most: 3, per: 1d}
"""
LIMIT = "limits:\n  - {name: few, quota: {pending: 5, most: 20, per: 1h}}\n"
THREADS, CALLS = 8, 120


@pytest.fixture
def office(tmp_path):
    def start(policy):
        program = Program(tmp_path / "home")
        program.run("init")
        program.furnish(CATALOG, policy)
        program.run("target", "add", "pg-prod", stdin="postgresql://lapse:hunter2@127.0.0.1:1/app\n")
        return program

    return start


def token_of(program, name):
    return program.run("token", "create", name, "--scope", "request").out.strip()


def flood(url, tokens, role):
    """Every answer to many requests at once, by status, and the details of refusals."""

    def ask(number):
        headers = {"Authorization": f"Bearer {tokens[number % len(tokens)]}"}
        body = {"entitlement": f"pg-prod/{role}", "duration": f"{number % 50 + 1}m", "justification": f"loop {number}"}
        answer = httpx.post(f"{url}/api/v1/requests", json=body, headers=headers, timeout=60, trust_env=False)
        return answer.status_code, answer.json().get("detail", "")

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(ask, range(CALLS)))


@pytest.mark.parametrize(("limit", "most"), [(LIMIT, 5), ("", 100)], ids=["with a quota", "without any"])
def test_requests_wait_up_to_the_quota_and_no_further_whatever_name_is_used(office, limit, most):
    program = office(POLICY + limit)
    tokens = [token_of(program, name) for name in ("alice", "alice-admin")]
    with program.serve() as server:
        statuses = Counter(status for status, _ in flood(server.url, tokens, "reader"))
        assert statuses == {201: most, 403: CALLS - most}
        assert len(program.data("request", "list", "--state", "pending", "--limit", "500")) == most
        bot = flood(server.url, [token_of(program, "bot")], "reader")
        assert {status for status, _ in bot} == {403}


def test_automatic_approval_stops_at_its_rate(office):
    program = office(POLICY)
    tokens = [token_of(program, name) for name in ("alice", "alice-admin")]
    with program.serve() as server:
        answers = flood(server.url, tokens, "metrics")
        assert Counter(status for status, _ in answers) == {201: 3, 403: CALLS - 3}
        assert all(
            "3 times in any 1d for one person (3 so far)" in detail for status, detail in answers if status == 403
        )
