"""`lapse policy prove`: decide the claims of policy files, each with its counter-example if it is refuted."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lapse.domain.errors import InvalidInput, NotFound, Unavailable
from lapse.domain.names import shown
from lapse.entrypoints.cli.output import paragraph, plural, print_json, say
from lapse.entrypoints.cli.policy_files import PolicyFiles, read_policy
from lapse.entrypoints.cli.session import Session

if TYPE_CHECKING:
    from lapse.domain.catalog import Catalog
    from lapse.policy import Policy
    from lapse.policy.proof.results import Proof

Claims = Annotated[list[str] | None, typer.Option("--claim", metavar="NAME", help="Only this claim; may be repeated.")]
Real = Annotated[bool, typer.Option("--directory", help="For the people and things in the catalog only.")]
Timeout = Annotated[str, typer.Option("--timeout", metavar="TIME", help="How long each claim may take.")]

_FAILED = 1
_ORDER = ("proved", "refuted", "unknown")


def prove(
    session: Session,
    files: PolicyFiles,
    claim: Claims = None,
    directory: Real = False,
    timeout: Timeout = "10s",
) -> None:
    """Decide what files claim.

    For all principals, resources, times and sequences of requests there could be. Needs no home and no server, except
    with `--directory`. Ends with 0 only if every claim is proved.
    """
    from lapse.domain.durations import parse_duration
    from lapse.policy import parse

    policy, allowed = parse(read_policy(files)), parse_duration(timeout)
    names = claim or []
    _check_names(policy, names)
    if not policy.claims:
        if session.json:
            print_json({"version": policy.version, "ok": True, "claims": []})
        else:
            say("the files claim nothing; add `claims:` with what must never be possible")
        return
    proofs = _proofs(session, policy, names, (allowed, _catalog(session) if directory else None))
    _print(session, policy, proofs)
    if any(proof.outcome.value != "proved" for proof, _ in proofs):
        raise typer.Exit(_FAILED)


def _check_names(policy: Policy, names: Sequence[str]) -> None:
    known = [claim.name for claim in policy.claims]
    for name in names:
        if name not in known:
            from lapse.policy.problems import nearest

            raise NotFound(
                f"there is no claim `{shown(name)}`", hint=nearest(name, known) or "see `claims:` in the files"
            )


def _catalog(session: Session) -> Catalog:
    from lapse.domain.catalog import Catalog
    from lapse.domain.data import from_data

    with session.api() as api:
        catalog = from_data(Catalog, api.get("/catalog"))
    if not catalog.principals or not list(catalog.entitlements()):
        raise InvalidInput(
            "the catalog has nobody or nothing in it, so every claim would hold",
            hint="`lapse catalog apply FILE…` fills it",
        )
    return catalog


def _proofs(
    session: Session, policy: Policy, names: Sequence[str], how: tuple[Any, Catalog | None]
) -> list[tuple[Proof, float]]:
    """Each proof with the seconds it took."""
    import time

    from lapse.policy.proof.outcomes import HOW_TO_INSTALL, installed

    if not installed():
        raise Unavailable("proofs need the solver z3, which is not installed", hint=f"`{HOW_TO_INSTALL}` installs it")
    from lapse.policy.proof.decide import Prover

    found: list[tuple[Proof, float]] = []
    prover = Prover(policy, clock=time.monotonic, timeout=how[0], catalog=how[1])
    count = len(names) or len(policy.claims)
    with _progress(session, count) as advance:
        started = time.monotonic()
        for proof in prover.proofs(names):
            now = time.monotonic()
            found.append((proof, now - started))
            started = now
            advance()
    return found


def _print(session: Session, policy: Policy, proofs: Sequence[tuple[Proof, float]]) -> None:
    outcomes = [proof.outcome.value for proof, _ in proofs]
    if session.json:
        data = {"version": policy.version, "ok": set(outcomes) <= {"proved"}}
        print_json(data | {"claims": [_data(proof, seconds) for proof, seconds in proofs]})
        return
    for proof, _ in proofs:
        _print_proof(proof)
    counts = ", ".join(f"{outcomes.count(outcome)} {outcome}" for outcome in _ORDER if outcome in outcomes)
    say(f"{plural(len(proofs), 'claim')}: {counts}, in {sum(seconds for _, seconds in proofs):.1f} s")
    if "refuted" in outcomes:
        say("next: change the rules that allow it, or the claim if it says too much")


def _print_proof(proof: Proof) -> None:
    from lapse.policy.proof.render import lines_of

    say(f"{proof.outcome.value:9}{shown(proof.claim, longest=128)}")
    paragraph(proof.detail, first=" " * 9)
    if proof.counter_example is not None:
        for line in lines_of(proof.counter_example):
            number = len(line.partition(" ")[0]) + 1 if line[0].isdigit() else 0
            paragraph(line, first=" " * 11, rest=" " * (11 + number))
    for part in proof.unmodelled[1:]:
        paragraph(f"also: {part}", first=" " * 9)
    say()


def _data(proof: Proof, seconds: float) -> dict[str, Any]:
    from lapse.domain.data import to_data
    from lapse.policy.proof.render import lines_of

    example = proof.counter_example
    data = to_data(proof)
    if not isinstance(data, dict):  # pragma: no cover  a dataclass always becomes an object
        raise TypeError("a proof is an object")
    return data | {"seconds": round(seconds, 3), "lines": list(lines_of(example)) if example is not None else []}


@contextmanager
def _progress(session: Session, count: int) -> Iterator[Callable[[], None]]:
    """How many claims are decided, on a terminal."""
    if session.json or not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    words = (TextColumn("proving"), BarColumn(24), MofNCompleteColumn(), TextColumn("claims"), TimeElapsedColumn())
    with Progress(*words, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=count)
        yield lambda: bar.advance(task)
