"""A small company to ask questions in: people, groups, resources, and short ways to write policies and questions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from textwrap import dedent, indent

from lapse.domain.catalog import Catalog
from lapse.domain.principals import Group, Principal, PrincipalKind
from lapse.domain.resources import Entitlement, Resource
from lapse.policy import Ask, History, Policy, ask_for, parse

TUESDAY = datetime(2026, 3, 3, 10, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
NOTHING = History(since=TUESDAY - 10_000 * HOUR)

PEOPLE = (
    Principal(name="alice", email="alice@example.com", department="payments", title="engineer", manager="lea"),
    Principal(name="bob", department="platform", manager="lea"),
    Principal(name="carl", department="payments", manager="lea"),
    Principal(name="carl-admin", alias_of="carl"),
    Principal(name="dora"),
    Principal(name="lea"),
    Principal(name="sam"),
    Principal(name="tim"),
    Principal(name="gone", active=False),
    Principal(name="lost", alias_of="nobody"),
    Principal(name="bot", kind=PrincipalKind.AGENT, sponsor="alice"),
    Principal(name="carlbot", kind=PrincipalKind.AGENT, sponsor="carl"),
    Principal(name="orphan", kind=PrincipalKind.AGENT, sponsor="gone"),
    Principal(name="ci", kind=PrincipalKind.SERVICE, owner="bob"),
)
GROUPS = (
    Group(name="developers", members=("alice", "bob", "carl", "bot", "carlbot", "gone")),
    Group(name="support", members=("sam",)),
    Group(name="dba", members=("dora", "bob", "carl-admin")),
    Group(name="leads", members=("lea",)),
    Group(name="security", members=("sam", "tim")),
    Group(name="contractors", members=("carl",)),
)


def _resource(name: str, owner: str = "", **tags: str) -> Resource:
    roles = tuple(Entitlement(resource=name, role=role) for role in ("reader", "writer", "admin"))
    return Resource(name=name, connector="postgresql", owner=owner, tags=tags, entitlements=roles)


RESOURCES = (
    _resource("pg-prod", owner="lea", env="prod"),
    _resource("pg-people", owner="group:dba", env="prod", data="personal"),
    _resource("pg-dev", env="dev"),
    _resource("mysql-shop", owner="tim", env="prod"),
    _resource("wiki"),
)
CATALOG = Catalog(
    principals={p.name: p for p in PEOPLE},
    groups={g.name: g for g in GROUPS},
    resources={r.name: r for r in RESOURCES},
)


def ask(who: str = "alice", what: str = "pg-prod/reader", hours: float = 1, **facts: object) -> Ask:
    """A question in this company, on a Tuesday at 10:00 UTC and with nothing before it unless said otherwise."""
    given = {
        "requester": who,
        "entitlement": what,
        "duration": timedelta(hours=hours),
        "at": TUESDAY,
        "history": NOTHING,
    }
    return ask_for(CATALOG, **{**given, "history": NOTHING, **facts})


def policy(text: str) -> Policy:
    """The policy of one file called `p.yaml`; `version: 1` is put before it."""
    return parse({"p.yaml": "version: 1\n" + dedent(text)})


def offer(extra: str = "", name: str = "read", *, approved_by: str = "owner") -> str:
    """One offer of `pg-*/*` to developers for 2h, with more lines in `extra`."""
    approval = f"approvals: [{{from: [{approved_by}]}}]" if approved_by else "auto_approve: true"
    lines = f'name: {name}\nto: group:developers\nentitlements: "pg-*/*"\nmax_duration: 2h\n{approval}\n{dedent(extra)}'
    return "offers:\n" + _item(lines)


def limit(extra: str, name: str = "limit") -> str:
    """One limit with the lines in `extra`."""
    return "limits:\n" + _item(f"name: {name}\n{dedent(extra)}")


def _item(lines: str) -> str:
    return "  -" + indent(lines.strip("\n"), "    ")[3:] + "\n"
