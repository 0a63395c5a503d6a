"""A million recorded requests, with their whole lives, replayed from a SQLite ledger under a proposed policy.

`LAPSE_REPLAY_REQUESTS` makes it fewer. The proposal shortens, and demands other and more approvals. What a core does
in a second counts the threads of the process together: decoding and deciding, and the driver that reads from SQLite.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

from _bench import AtLeast, Row, in_child, report, row
from _recorded import FIRST, SPAN, company, fill, lives

from lapse.control.replays import replay_ledger
from lapse.policy import parse
from lapse.policy.replay import ReplayReport
from lapse.storage.opening import migrate, open_store

REQUESTS = int(os.environ.get("LAPSE_REPLAY_REQUESTS", "1000000"))
EXAMPLES = Path(__file__).parents[1] / "examples" / "policy"

_FURTHER = """
  - name: writing-takes-security
    entitlements: "*/writer"
    approvals: [{from: group:security}]
"""


def main() -> None:
    """Fill a ledger, replay it twice in fresh processes, and say what was found."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lapse.db"
        asyncio.run(migrate(f"sqlite:///{path}"))
        rng = random.Random(7)
        began = time.perf_counter()
        entries = fill(path, lives(parse(files()), company(), rng), REQUESTS, rng)
        size = path.stat().st_size
        print(
            f"replay: {REQUESTS:,} requests, {entries:,} entries, {size / 1e9:.1f} GB, "
            f"made in {time.perf_counter() - began:.0f} s",
            flush=True,
        )
        report("replay", [*_rows("same policy", path, entries, proposed=False),
                          *_rows("stricter policy", path, entries, proposed=True)])  # fmt: skip


def files(*, proposed: bool = False) -> dict[str, str]:
    """The example policy, or a change of it."""
    texts = {path.name: path.read_text(encoding="utf-8") for path in sorted(EXAMPLES.glob("*.yaml"))}
    if proposed:
        texts["offers.yaml"] = (
            texts["offers.yaml"]
            .replace("max_duration: 4h", "max_duration: 45m")
            .replace("from: manager", "from: owner")
        )
        texts["limits.yaml"] += _FURTHER
    return {name: text for name, text in texts.items() if not name.endswith(".test.yaml")}


def _rows(what: str, path: Path, entries: int, *, proposed: bool) -> list[Row]:
    seconds, memory, (found, inner, busy) = in_child(replay, str(path), proposed)
    for group in found.groups:
        print(f"  {group.effect}: {group.requests:,} requests, {group.persons:,} persons, {group.saved} saved")
    return [
        row(f"{what}: a second of one core", [found.requests / busy], "requests", goal=AtLeast(100_000)),
        row("  a second on the clock", [found.requests / inner], "requests"),
        row("  entries looked through, of one core", [entries / busy], "entries/s"),
        row("  peak memory", [memory / 1e6], "MB"),
        row("  whole process, with opening", [seconds], "s"),
    ]


def replay(path: str, proposed: bool) -> tuple[ReplayReport, float, float]:
    """Replay the ledger at `path`; the report, and the seconds it took on the clock and of one core."""
    return asyncio.run(_replay(path, proposed))


async def _replay(path: str, proposed: bool) -> tuple[ReplayReport, float, float]:
    store = await open_store(f"sqlite:///{path}")
    policy = parse(files(proposed=proposed))
    began, busy = time.perf_counter(), time.process_time()
    found = await replay_ledger(store.ledger, policy, FIRST - timedelta(days=1), FIRST + SPAN + timedelta(days=2))
    seconds, busy = time.perf_counter() - began, time.process_time() - busy
    await store.close()
    if found.unreadable or not found.requests:
        raise RuntimeError(f"the ledger could not be read: {found}")
    return found, seconds, busy


if __name__ == "__main__":
    sys.exit(main())
