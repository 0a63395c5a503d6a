"""A server with people and a real PostgreSQL behind it, and a browser to meet it with."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from support.browser import chromium
from support.program import Program

CATALOG = """
principals:
  - name: alice
    accounts: [{{resource: pg-prod, login: {prefix}_alice}}]
  - name: bob
  - name: olga
groups:
  - name: dba
    members: [bob]
resources:
  - name: pg-prod
    connector: postgresql
    owner: olga
    title: Orders
    entitlements:
      - role: reader
        native: {{role: {prefix}_reader, mode: membership}}
"""
POLICY = """
version: 1
offers:
  - name: readers
    entitlements: [pg-prod/reader]
    to: [anyone]
    max_duration: 4h
    approvals:
      - from: [group:dba]
"""


@pytest.fixture
def program(tmp_path, postgres_target):
    """Set up in a thread of its own: the browser's driver has the event loop of this one."""
    program = Program(tmp_path / "home", {"PROD_DSN": postgres_target.lapse_dsn})

    def set_up():
        program.run("init")
        program.let_people_act_by_name()
        program.furnish(CATALOG.format(prefix=postgres_target.prefix), POLICY)
        program.run("target", "add", "pg-prod", "--dsn-env", "PROD_DSN")

    with ThreadPoolExecutor(1) as apart:
        apart.submit(set_up).result()
    return program


@pytest.fixture
def url(program):
    with program.serve() as server:
        yield server.url


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture
def meet(browser, url):
    """A function that opens a browser of somebody's own, signs them in by name, and gives their page."""
    contexts = []

    def meet(who="", **options):
        # axe is injected as a script, which the pages' own policy forbids.
        context = browser.new_context(base_url=url, bypass_csp=True, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.goto("/")
        if who:
            page.get_by_label("Who are you?").select_option(who)
            page.get_by_role("button", name="Continue").click()
            page.get_by_role("heading", name="Your access").wait_for()
        return page

    yield meet
    for context in contexts:
        context.close()
