"""The command line of a pack's verifier: `python verify.py [PACK] [--key VKEY] [--item ID]`, offline.

Exit status: 0 verified, or the item is proved; 1 not verified; 2 misused; 3 it is proved that there is no such item.
This source is also part of the `verify.py` inside a pack: Python 3.8 and its standard library only.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from lapse.review.pack.standalone_container import printable
from lapse.review.pack.standalone_one import ItemProof, item_status, verify_item
from lapse.review.pack.standalone_verify import report_lines, verify_pack

VERIFIED, NOT_VERIFIED = 0, 1


def item_lines(outcome: ItemProof) -> list[str]:
    """The outcome for one item for a person, a line each; the last line is the verdict."""
    facts = report_lines(outcome)[:-1]
    facts = [line for line in facts if not line.startswith(("  files ", "  ledger "))]
    name, pack = printable(outcome.item_id), printable(outcome.pack)
    if not outcome.ok:
        return [*facts, "NOT PROVED   " + pack + ": " + name]
    facts.append(f"  read       {outcome.bytes:,} bytes in {outcome.pieces:,} pieces; only this item was looked at")
    if outcome.absent:
        return [*facts, f"NOT THERE   {pack}: none of its {outcome.count:,} items is {name}"]
    shown = json.dumps(outcome.item, indent=2, ensure_ascii=True).splitlines()
    facts += ["  " + line for line in shown]
    return [*facts, f"PROVED   {pack}: {name}, number {outcome.place:,} of {outcome.count:,} items"]


def main(arguments: list[str] | None = None) -> int:
    """Verify what the arguments say, and print the outcome."""
    parser = argparse.ArgumentParser(description="Verify a sealed review pack, offline.")
    here = str(Path(__file__).resolve().parent)
    parser.add_argument("pack", nargs="?", default=here, help="the folder or the .zip (default: where this file is)")
    parser.add_argument("--key", metavar="VKEY", help="the signer's public key, got from a source you trust")
    parser.add_argument("--item", metavar="ID", help="prove this one item only, without reading the others")
    options = parser.parse_args(arguments)
    if options.item is not None:
        proof = verify_item(options.pack, options.item, options.key)
        sys.stdout.write("\n".join(item_lines(proof)) + "\n")
        return item_status(proof)
    outcome = verify_pack(options.pack, options.key)
    sys.stdout.write("\n".join(report_lines(outcome)) + "\n")
    return VERIFIED if outcome.ok else NOT_VERIFIED


if __name__ == "__main__":
    sys.exit(main())
