"""`lapse review pack` and `lapse review verify`: a sealed pack saved, and verified offline, whole or one item of it.

Verifying needs neither a home folder nor a server.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lapse.domain.errors import InvalidInput, NotFound
from lapse.entrypoints.cli.commands import command
from lapse.entrypoints.cli.output import print_json, say
from lapse.entrypoints.cli.review_options import ReviewId, review_of
from lapse.entrypoints.cli.session import Session, quoted

if TYPE_CHECKING:
    from lapse.review.pack import Verification


def register(review: typer.Typer) -> None:
    """Add these commands."""
    command(review, "pack")(pack)
    command(review, "verify")(verify)


def pack(
    session: Session,
    review: ReviewId = "",
    to: Annotated[Path | None, typer.Option("--to", metavar="FILE", help="Where to save it.")] = None,
    pseudonymised: Annotated[
        bool, typer.Option("--pseudonymised", help="Without names and free texts; their key stays with the review.")
    ] = False,
) -> None:
    """Save the sealed pack of a review."""
    with session.api() as api:
        found = review_of(api, review)
        content = api.download(f"/reviews/{quoted(found['id'])}/pack", pseudonymised=pseudonymised)
    path = to or Path(f"review-{found['id']}{'-pseudonymised' if pseudonymised else ''}.zip")
    if path.exists():
        raise InvalidInput(f"`{path}` exists", hint="name another file with --to")
    path.write_bytes(content)
    if session.json:
        print_json({"pack": str(path)})
        return
    say(f"saved {path} ({len(content):,} bytes)")
    say(f"next: `lapse review verify {path}`")


def verify(
    session: Session,
    path: Annotated[Path, typer.Argument(metavar="PACK", help="The zip file, or the unpacked folder.")],
    key: Annotated[str, typer.Option(metavar="VKEY", help="The key that must have signed it.")] = "",
    item: Annotated[str, typer.Option(metavar="ID", help="Prove this item alone, without reading the others.")] = "",
    roots: Annotated[
        Path | None, typer.Option("--timestamp-roots", metavar="FILE", help="Check the time stamp against these (PEM).")
    ] = None,
) -> None:
    """Verify a sealed pack offline.

    Checks its signature, every file, and the ledger's proofs. Needs no home and no server.
    """
    from lapse.review.pack import report_lines, verify_pack

    if not path.exists():
        raise NotFound(f"there is no `{path}`", hint="name the zip file or the folder of a pack")
    if item:
        _prove_item(session, path, item, key)
        return
    outcome = verify_pack(str(path), key or None)
    if roots is not None:
        _check_time_stamp(path, outcome, roots)
    if session.json:
        problems = [{"file": p.file, "problem": p.problem} for p in outcome.problems]
        print_json({"ok": outcome.ok, "problems": problems, "manifest_sha256": outcome.manifest_sha256})
    else:
        for line in report_lines(outcome):
            say(line)
    if not outcome.ok:
        raise typer.Exit(1)


def _check_time_stamp(path: Path, outcome: Verification, roots: Path) -> None:
    """Check the authority's signature too, and blame the stamp if it does not hold."""
    import zipfile

    from lapse.review.pack.stamping import check_stamp
    from lapse.review.pack.standalone_timestamp import STAMP

    if not outcome.ok or not roots.is_file():
        if outcome.ok:
            raise NotFound(f"there is no `{roots}`", hint="name a PEM file with the authority's root")
        return
    if not outcome.stamped_at:
        outcome.blame(STAMP, "is missing: there is no time stamp in this pack")
        return

    def read(name: str) -> bytes:
        if path.is_dir():
            return (path / name).read_bytes()
        with zipfile.ZipFile(path) as archive:
            return archive.read(f"{outcome.manifest['pack']}/{name}")

    try:
        check_stamp(read(STAMP), read("manifest.json"), roots.read_bytes())
    except InvalidInput as error:
        outcome.blame(STAMP, error.message)


def _prove_item(session: Session, path: Path, item: str, key: str) -> None:
    from lapse.review.pack.standalone_main import item_lines
    from lapse.review.pack.standalone_one import item_status, verify_item

    proof = verify_item(str(path), item, key or None)
    if session.json:
        problems = [{"file": p.file, "problem": p.problem} for p in proof.problems]
        print_json({"ok": proof.ok, "problems": problems, "item": proof.item or None, "absent": proof.absent})
    else:
        for line in item_lines(proof):
            say(line)
    if status := item_status(proof):
        raise typer.Exit(status)
