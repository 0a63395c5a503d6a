"""The demo's acts up to the review. Each shows one promise on the real database and returns what it measured."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import sql

from lapse.domain.errors import Unavailable
from lapse.domain.times import parse_time
from lapse.entrypoints.demo import company
from lapse.entrypoints.demo.stage import Stage
from lapse.entrypoints.demo.watching import Watch, dsn_of, lateness_ms

READER, SUPPORT = f"{company.RESOURCE}/reader", f"{company.RESOURCE}/support"
OVER = ("ended", "revoke_failed")
SHORT, LONGER = "6s", "9s"
_BY_HAND = sql.SQL("GRANT shop_support TO dave")


def describe(stage: Stage) -> None:
    """Tell lapse who works here, what is protected, and which rules hold."""
    stage.narrator.act(
        "Three files say it all",
        "Who works here and what is protected (catalog.yaml), and which rules hold (policy.yaml). lapse reaches the "
        "database as an ordinary login; `target check` proves that its few rights suffice.",
    )
    stage.cli("catalog", "apply", str(stage.out / "catalog.yaml"), "--yes")
    stage.cli("policy", "apply", str(stage.out / "policy.yaml"))
    stage.cli("target", "add", company.RESOURCE, "--dsn-env", "PG_SHOP_DSN")
    stage.cli("target", "check", company.RESOURCE)


def denied(stage: Stage) -> dict[str, Any]:
    """A request that the policy denies, with the reason."""
    stage.narrator.act("Too much is refused, with the reason", "Alice asks for a whole day in production.")
    refusal = stage.cli(
        "request", "create", READER, "--for", "1d", "--because", "looking around", who="alice", expect=3
    )
    stage.narrator.result("refused by policy; nothing was changed, and the ledger has the question and the answer")
    return {"denied_with": refusal.strip().splitlines()[0]}


def approved_and_ended(stage: Stage) -> dict[str, Any]:
    """Asked, approved by another person, really used, and gone at the deadline."""
    stage.narrator.act(
        "Asked, approved by a second person, used",
        f"Now she asks for what the task needs ({SHORT}, so that you see the end). She cannot approve it herself.",
    )
    request = _ask(stage, "alice", SHORT, "refund of order 17, customer is waiting")
    stage.cli("approve", request, who="alice", expect=3)
    stage.cli("approve", request, who="bob")
    grant = stage.grant_in_state(request, "active")
    dsn = _credential(stage, grant["id"])
    rows = _read_orders(dsn)
    stage.narrator.result(f"`{grant['account']}` is a real login: it read {rows} orders")
    return {"rows_read": rows, **_watch_the_end(stage, grant, dsn)}


def killed(stage: Stage) -> dict[str, Any]:
    """Kill -9 while access is live: PostgreSQL's own fence holds the deadline, and the next start clears away."""
    stage.narrator.act(
        "kill -9 in the middle",
        "A new grant is active when lapse is killed, and it stays dead beyond the deadline. New logins are refused by "
        "PostgreSQL itself (VALID UNTIL is the same instant); the next start cuts what is still open.",
    )
    request = _ask(stage, "alice", LONGER, "checking the refund of order 17")
    stage.cli("approve", request, who="carol")
    grant = stage.grant_in_state(request, "active")
    promised, dsn = parse_time(grant["ends_at"]), _credential(stage, grant["id"])
    stage.kill_lapse()
    stage.narrator.result(
        f"lapse is dead (SIGKILL), {(promised - datetime.now(UTC)).total_seconds():.1f} s before the end"
    )
    watch = Watch(dsn)
    watch.start()
    _sleep_until(promised, 1.0)
    late = lateness_ms(promised, watch.refused_at)
    stage.narrator.result(
        f"with lapse dead: new login refused {late or -1:.0f} ms after the deadline", good=late is not None
    )
    back = stage.start_lapse()
    restarted = datetime.now(UTC)
    over = stage.grant_in_state(request, *OVER)
    watch.finish()
    cut_after = lateness_ms(restarted, watch.cut_at)
    stage.narrator.result(
        f"lapse was back after {back:.1f} s; the open session was cut and the role is gone "
        f"({'ended' if over['state'] == 'ended' else over['state']})"
    )
    return {
        "login_refused_ms": late,
        "restart_seconds": round(back, 3),
        "session_cut_ms_after_restart": cut_after,
        "state": over["state"],
        "ended_at": over["ended_at"],
    }


def drift(stage: Stage) -> dict[str, Any]:
    """A colleague grants a role by hand, and reconciliation finds it."""
    stage.narrator.act(
        "Access behind lapse's back is found",
        "Somebody with superuser rights gives dave a role by hand. lapse never adopts that as wanted: it is drift.",
    )
    stage.api("POST", f"/targets/{company.RESOURCE}/reconciliation")
    with stage.superuser() as admin:
        admin.execute(_BY_HAND)
    stage.narrator.command(["psql", "-c", "GRANT shop_support TO dave"], "GRANT ROLE")
    stage.cli("reconcile", "plan", company.RESOURCE)
    found = stage.api("POST", f"/targets/{company.RESOURCE}/reconciliation")["found"]
    mine = [one for one in found if (one["account"], one["role"]) == ("dave", "shop_support")]
    stage.narrator.result("found as unknown access, recorded, and waiting for a decision", good=bool(mine))
    return {"found": [f"{one['account']} holds {one['role']}" for one in mine]}


def _ask(stage: Stage, who: str, how_long: str, why: str) -> str:
    known = {one["id"] for one in stage.api("GET", "/requests")["items"]}
    stage.cli("request", "create", READER, "--for", how_long, "--because", why, who=who)
    new = [one["id"] for one in stage.api("GET", "/requests")["items"] if one["id"] not in known]
    if len(new) != 1:
        raise Unavailable("the request is not in the listing")
    return str(new[0])


def _credential(stage: Stage, grant_id: str) -> str:
    credential = stage.api("POST", f"/grants/{grant_id}/credential", who="alice")
    stage.narrator.command(
        ["lapse", "--as", "alice", "grant", "credential", grant_id],
        f"user {credential['user']}, password (shown once, kept nowhere) ********",
    )
    return dsn_of(credential)


def _read_orders(dsn: str) -> int:
    with psycopg.connect(dsn) as connection:
        row = connection.execute("SELECT count(*) FROM orders").fetchone()
    return int(row[0]) if row else 0


def _watch_the_end(stage: Stage, grant: dict[str, Any], dsn: str) -> dict[str, Any]:
    promised = parse_time(grant["ends_at"])
    stage.narrator.act(
        "The deadline passes",
        "Two watchers that are not lapse look on: one keeps logging in, one keeps a session open.",
    )
    watch = Watch(dsn)
    watch.start()
    watch.finish()
    over = stage.grant_in_state(grant["request_id"], *OVER)
    refused, cut = lateness_ms(promised, watch.refused_at), lateness_ms(promised, watch.cut_at)
    proved = lateness_ms(promised, parse_time(over["ended_at"])) if over["ended_at"] else None
    stage.narrator.result(
        f"the login is refused {refused or -1:.0f} ms after the deadline ({watch.refusal})", good=refused is not None
    )
    stage.narrator.result(f"the live session is cut {cut or -1:.0f} ms after the deadline", good=cut is not None)
    stage.narrator.result(
        f"lapse proved the end {proved or -1:.0f} ms after it (catalog and a refused login)", good=proved is not None
    )
    return {"login_refused_ms": refused, "session_cut_ms": cut, "proved_ms": proved, "state": over["state"]}


def _sleep_until(at: datetime, more_seconds: float) -> None:
    time.sleep(max(0.0, (at - datetime.now(UTC)).total_seconds() + more_seconds))
