"""The demonstration: the whole way once, on a private PostgreSQL. `make demo` and `lapse demo` run it."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

OUT = Path("demo-out")


def run_demo(*, keep: bool = False, out: Path = OUT) -> int:
    """Play every act; returns 0 if every promise was seen to be kept. `keep` leaves everything running."""
    from lapse.entrypoints.demo.narrator import Narrator
    from lapse.entrypoints.demo.private_postgres import PrivatePostgres
    from lapse.entrypoints.demo.stage import Stage

    folder = out.absolute()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    stage = Stage(out=folder, narrator=Narrator(), server=PrivatePostgres())
    kept = False
    try:
        summary = _play(stage)
        kept = keep
        return 0 if summary["ok"] else 1
    finally:
        if kept:
            _leave_running(stage)
        else:
            stage.close()


def _play(stage: Any) -> dict[str, Any]:
    from lapse.entrypoints.demo import acts, review_act

    say = stage.narrator
    say.act(
        "A database worth protecting", "A private PostgreSQL with customers and orders, and lapse with an empty store."
    )
    asyncio.run(stage.prepare())
    seconds = stage.start_lapse()
    say.result(f"PostgreSQL {stage.server.version} on port {stage.server.port}; lapse answers after {seconds:.1f} s")
    acts.describe(stage)
    summary: dict[str, Any] = {
        "postgresql": stage.server.version,
        "denied": acts.denied(stage),
        "deadline": acts.approved_and_ended(stage),
        "kill": acts.killed(stage),
        "drift": acts.drift(stage),
        "review": review_act.live_review(stage),
        "year": review_act.year_review(stage),
    }
    summary["ledger"] = _ledger(stage)
    summary["seconds"] = round(say.seconds, 1)
    summary["ok"] = _kept(summary)
    review_act.write_summary(stage.out / "summary.json", summary)
    _farewell(stage, summary)
    return summary


def _ledger(stage: Any) -> dict[str, Any]:
    stage.narrator.act(
        "Every change is on record", "The ledger is a signed Merkle tree: nothing can be changed unseen."
    )
    stage.cli("ledger", "verify")
    verdict: dict[str, Any] = stage.api("POST", "/ledger/verify", {"checkpoints": []})
    return {"ok": verdict["ok"], "entries": verdict["size"]}


def _kept(summary: dict[str, Any]) -> bool:
    ended = all(summary[act]["state"] == "ended" for act in ("deadline", "kill"))
    seen = summary["deadline"]["login_refused_ms"] is not None and summary["kill"]["login_refused_ms"] is not None
    year = summary["year"]
    return bool(
        ended
        and seen
        and summary["drift"]["found"]
        and summary["ledger"]["ok"]
        and year["pack_verified"]
        and not year["missed"]
        and not year["besides"]
    )


def _farewell(stage: Any, summary: dict[str, Any]) -> None:
    say = stage.narrator
    say.act("What to look at next")
    say.place("report of four months", summary["year"]["report"])
    say.place("its sealed pack", summary["year"]["pack"])
    say.place("what was measured", stage.out / "summary.json")
    say.place("review your own database", "lapse review run --target postgresql://… --people people.csv")
    say.place("keep it running", "make demo KEEP=1")


def _leave_running(stage: Any) -> None:
    """Nothing ends with this process; the reader is told where everything is and how to end it."""
    stage.server.leave_running()
    say = stage.narrator
    say.say("")
    say.say(f"lapse still runs at {stage.url} (process {stage.process.pid}); PostgreSQL is process {stage.server.pid}.")
    say.say(f"Try:  .venv/bin/lapse --home {stage.home.path} --as alice request create pg-shop/reader --for 5m")
    say.say(f"End:  kill {stage.process.pid} {stage.server.pid}")
