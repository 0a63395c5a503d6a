"""What do guards and masks cost? pgbench through the gateway: with a guard of each kind, and with none."""

from __future__ import annotations

import re
from dataclasses import replace

import uvloop
from _bench import Rounds, report

from lapse.domain.guards import Guard, Mask, MaskKind, StatementClass
from lapse.entrypoints.demo.private_postgres import PrivatePostgres, installations
from support.postgres import protected_target
from support.postgres_front import LOGIN, Front, front_of, run_program

SECONDS, ROUNDS, CLIENTS = 2, 3, 4
SCRIPTS = {
    "one row": "\\set id random(1, 1000)\nSELECT id, email, note FROM people WHERE id = :id;\n",
    "1,000 rows": "SELECT id, email, note FROM people;\n",
}
GUARDS = {
    "no guard": Guard(),
    "classes and tables": Guard(
        read_only=True, statements=(StatementClass.READ, StatementClass.TRANSACTION), tables_denied=("*.secrets",)
    ),
    "patterns": Guard(denied_patterns=(r"(?i)\bpg_sleep\b",)),
    "approvals": Guard(approval_statements=(StatementClass.UPDATE,)),
    "masks of other columns": Guard(masks=(Mask(name="pay", columns=("salary",)),)),
    "mask of a column": Guard(masks=(Mask(name="mail", columns=("email",)),)),
    "mask of a pattern": Guard(masks=(Mask(name="mail", kind=MaskKind.EMAIL),)),
}
TABLE = """
CREATE TABLE public.people (id int PRIMARY KEY, email text, note text);
INSERT INTO public.people SELECT n, 'user' || n || '@example.com', repeat('x', 40) FROM generate_series(1, 1000) n;
GRANT SELECT ON public.people TO PUBLIC;
"""


def main() -> None:
    """Take turns, so that every guard meets the same machine."""
    with PrivatePostgres(installations()[0]) as server, protected_target(server) as target:
        target.admin(TABLE)
        measured = uvloop.run(_run(target))
    rows = []
    for name in SCRIPTS:
        rounds = Rounds({guard: measured[name, guard] for guard in GUARDS})
        rows += [rounds.row(f"{name}: {guard}", guard, "no guard") for guard in GUARDS if guard != "no guard"]
    report("gateway_guards", rows)


async def _run(target: object) -> dict[tuple[str, str], list[float]]:
    """Seconds per transaction, as its client sees them."""
    measured: dict[tuple[str, str], list[float]] = {}
    async with front_of(target) as front:
        front.allow(target)
        for _ in range(ROUNDS):
            for name, script in SCRIPTS.items():
                for called, guard in GUARDS.items():
                    front.plane.allowed[LOGIN] = replace(front.plane.allowed[LOGIN], guard=guard)
                    measured.setdefault((name, called), []).append(await _latency(front, script))
    return measured


async def _latency(front: Front, script: str) -> float:
    options = ["-n", "-f", "-", "-M", "prepared", "-T", str(SECONDS), "-c", str(CLIENTS)]
    done = await run_program("pgbench", *options, front.dsn(), stdin=script)
    found = re.search(r"latency average = ([0-9.]+) ms", done.stdout)
    if found is None:
        raise RuntimeError(done.stderr)
    return float(found[1]) / 1_000


if __name__ == "__main__":
    main()
