"""`make bench`: run every benchmark of this folder, or the one or group that is named, each in its own process.

A benchmark is a file here with a `main()` (async or not) that ends by calling `_bench.report`.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
OUT = Path("bench-out")


def names() -> list[str]:
    """Every benchmark, by file name."""
    files = sorted(HERE.glob("*.py"))
    return [file.stem for file in files if not file.stem.startswith("_") and file.stem != "run"]


def named(word: str) -> list[str]:
    """The benchmark called `word` or `bench_word`, or those of its group: `gateway` is all of `gateway_….py`."""
    return [name for name in names() if name in {word, f"bench_{word}"} or name.startswith(f"{word}_")]


def run_here(name: str) -> None:
    """Run one benchmark in this process. Fakes and private servers are shared with the tests."""
    sys.path[:0] = [str(HERE), str(HERE.parent / "tests")]
    outcome = importlib.import_module(name).main()
    if inspect.iscoroutine(outcome):
        asyncio.run(outcome)


def run_all(wanted: list[str]) -> int:
    """Run each in its own process; how many failed."""
    failed = 0
    for name in wanted:
        print(f"bench: {name}", flush=True)
        done = subprocess.run([sys.executable, __file__, "--here", name], check=False)
        failed += done.returncode != 0
    return failed


def missed(wanted: list[str]) -> list[str]:
    """Goals that were not met, as `benchmark: row`."""
    found = []
    for name in wanted:
        file = OUT / f"{name}.json"
        rows = json.loads(file.read_text(encoding="utf-8")) if file.exists() else []
        found += [f"{name}: {row['name']}" for row in rows if row["met"] is False]
    return found


def main(args: list[str]) -> int:
    """Exit code: 0 if every benchmark ran to its end (goals that were missed are named, and in the JSON)."""
    if args[:1] == ["--here"]:
        run_here(args[1])
        return 0
    if unknown := [word for word in args if not named(word)]:
        print(f"bench: there is no `{unknown[0]}`; there are: {', '.join(names())}", file=sys.stderr)
        return 2
    wanted = [name for word in args for name in named(word)] or names()
    failed = run_all(wanted)
    for goal in missed(wanted):
        print(f"bench: goal missed: {goal}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
