"""A small office in which the examples of a page are run, as the people named before the `$`.

Time stands still on Monday 2026-03-02 at 09:00 UTC, identifiers are counted, and the target is a fake one.
"""

from __future__ import annotations

import io
import os
import re
import shlex
import sys
import time
from collections import Counter
from contextlib import asynccontextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from fakes.connector import FakeConnector
from lapse.__main__ import _Embedded
from lapse.bootstrap import app as app_module
from lapse.bootstrap.app import open_app
from lapse.entrypoints.api.app import create_api
from lapse.entrypoints.cli import output
from lapse.entrypoints.cli.main import run
from lapse.entrypoints.cli.session import Parts
from support.clock import START, HandClock

FENCE = re.compile(r"^```console office\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PROMPT = re.compile(r"^(?=[a-z]+\$ )", re.MULTILINE)
ADMINISTRATORS = {"root", "mary"}

CATALOG = """
principals:
  - {name: alice, accounts: [{resource: pg-prod, login: alice_login}]}
  - {name: bob}
  - {name: carol}
  - {name: dave, accounts: [{resource: pg-prod, login: dave_login}]}
  - {name: olga}
  - {name: root}
  - {name: mary}
  - {name: bot, kind: agent, sponsor: alice, accounts: [{resource: pg-prod, login: bot_login}]}
groups:
  - {name: dba, members: [bob, carol]}
resources:
  - name: pg-prod
    connector: postgresql
    owner: olga
    entitlements:
      - {role: reader, native: {role: app_reader, mode: membership}}
      - {role: writer, native: {role: app_writer, mode: membership}}
      - {role: metrics, native: {role: app_metrics, mode: membership}}
"""
POLICY = """
version: 1
offers:
  - name: readers
    entitlements: pg-prod/reader
    to: anyone
    max_duration: 4h
    max_total: 8h
    approvals: [{from: group:dba}]
  - name: agents
    entitlements: pg-prod/reader
    to: anyone
    kinds: agent
    purpose: support of customers
    max_duration: 30m
    approvals: [{from: group:dba}]
  - {name: writers, entitlements: pg-prod/writer, to: anyone, max_duration: 1h, approvals: [{from: owner}]}
  - {name: metrics, entitlements: pg-prod/metrics, to: anyone, max_duration: 1h, auto_approve: true}
  - name: emergency
    entitlements: pg-prod/writer
    to: anyone
    max_duration: 1h
    justification: {min_length: 20, real: true}
    break_glass: {review_within: 24h, reviewers: [group:dba]}
"""


@dataclass(frozen=True)
class Shown:
    """One command of a page, who gives it, and what the page says it prints."""

    who: str
    command: str
    output: str


def shown_in(page: Path) -> list[Shown]:
    """Every command of the page that an office runs, in order."""
    found = []
    for block in FENCE.findall(page.read_text(encoding="utf-8")):
        for part in PROMPT.split(block)[1:] if not PROMPT.match(block) else PROMPT.split(block):
            if part.strip():
                line, _, printed = part.partition("\n")
                who, _, command = line.partition("$ ")
                found.append(Shown(who, command, printed))
    return found


class _Still(datetime):
    """A clock on the wall that stands."""

    @classmethod
    def now(cls, tz=None):
        return START.astimezone(tz) if tz else START.replace(tzinfo=None)


class Office:
    """Runs commands one after the other on one home folder."""

    def __init__(self, home: Path, monkeypatch) -> None:
        self.home, self.counts = home, Counter()
        self.clock = HandClock()
        self.target = FakeConnector(clock=self.clock)
        self.tokens: dict[str, str] = {}
        for name in [name for name in os.environ if name.startswith("LAPSE_")]:
            monkeypatch.delenv(name)
        for name, value in {
            "LAPSE_HOME": str(home),
            "NO_COLOR": "1",
            "COLUMNS": "200",
            "TZ": "UTC",
            "PG_PROD": "x",
        }.items():
            monkeypatch.setenv(name, value)
        time.tzset()
        monkeypatch.setattr(output, "datetime", _Still)
        monkeypatch.setattr(app_module, "Ids", lambda _now: self.new_id)

    def new_id(self, prefix: str) -> str:
        self.counts[prefix] += 1
        return f"{prefix}_{self.counts[prefix]}"

    @asynccontextmanager
    async def embedded(self, home):
        async with open_app(home, clock=self.clock, connect=lambda *_: self.target) as app:
            yield _Embedded(app, create_api(app))

    def set_up(self) -> None:
        self.say("init")
        settings = self.home / "lapse.toml"
        settings.write_text(settings.read_text().replace("local_users = false", "local_users = true"))
        for name, text in (("catalog", CATALOG), ("policy", POLICY)):
            (self.home / f"{name}.yaml").write_text(text)
        self.say("catalog", "apply", str(self.home / "catalog.yaml"), "--yes")
        self.say("policy", "apply", str(self.home / "policy.yaml"))
        self.say("target", "add", "pg-prod", "--dsn-env", "PG_PROD")
        for name in sorted(ADMINISTRATORS):
            self.tokens[name] = self.say("token", "create", name, "--scope", "admin").splitlines()[0]

    def say(self, *words: str) -> str:
        out = io.StringIO()
        before, sys.stdin = sys.stdin, io.StringIO()
        try:
            with redirect_stdout(out), redirect_stderr(out):
                run(words, Parts(embedded=self.embedded, serve=_never, gateway=_never, demo=_never))
        finally:
            sys.stdin = before
        return out.getvalue()

    def run(self, one: Shown) -> str:
        """What the command prints, without the remark that no server runs here."""
        words = shlex.split(one.command)
        assert words[0] == "lapse", one.command
        acting = ["--token", self.tokens[one.who]] if one.who in ADMINISTRATORS else ["--as", one.who]
        printed = self.say(*acting, *words[1:])
        return "".join(line for line in printed.splitlines(keepends=True) if "no server runs here" not in line)


def _never(*_):
    raise AssertionError("the examples start no server")
