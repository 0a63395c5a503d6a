"""How long `lapse --help` takes, beside Python that does nothing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

from _bench import AtMost, alternate, report, row

ROUNDS = 15


def main() -> None:
    """Alternate the two; the goal is about the seconds a person waits."""
    rounds = alternate(ROUNDS, help=_run("-m", "lapse", "--help"), bare=_run("-c", "pass"))
    report(
        "start",
        [
            row("lapse --help", rounds.measured["help"], "s", goal=AtMost(0.2)),
            rounds.row("lapse --help, beside Python", "help", "bare"),
        ],
    )


def _run(*arguments: str) -> Callable[[], None]:
    def run() -> None:
        subprocess.run([sys.executable, *arguments], capture_output=True, check=True)

    return run


if __name__ == "__main__":
    main()
