"""A pack of a million items: proving one of them beside verifying everything, in turns on the same sealed zip.

Both run the code of the pack's own `verify.py`. The whole is read and hashed, byte by byte; one item needs the signed
manifest, a search over the index and a path of hashes. `LAPSE_BENCH_ITEMS` sets another number of items.
"""

from __future__ import annotations

import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from _bench import AtMost, alternate, in_child, report, row

from lapse.domain.reviews import Item
from lapse.review.pack import verify_pack
from lapse.review.pack.standalone_one import verify_item
from lapse.review.seal import seal
from support.sample_review import ITEMS, SampleSigner, sample_contents

ROUNDS, ITEMS_A_ROUND = 3, 20


def main() -> None:
    """Seal once, then take turns."""
    count = int(os.environ.get("LAPSE_BENCH_ITEMS", "1000000"))
    with tempfile.TemporaryDirectory() as folder:
        seconds, memory, size = in_child(_seal, folder, count)
        archive, key = str(next(Path(folder, "sealed").glob("*.zip"))), SampleSigner().vkey
        drawn = random.Random(4)
        read: list[float] = []
        each: list[float] = []
        computing: list[float] = []

        def item() -> float:
            for _ in range(ITEMS_A_ROUND):
                started, cpu = time.perf_counter(), time.process_time()
                outcome = verify_item(archive, _name(drawn.randrange(count)), key)
                each.append(1000 * (time.perf_counter() - started))
                computing.append(1000 * (time.process_time() - cpu))
                if not outcome.ok or not outcome.item:
                    raise RuntimeError(f"an item was not proved: {outcome.problems}")
                read.append(outcome.bytes / 1024)
            return statistics.median(each[-ITEMS_A_ROUND:]) / 1000

        def whole() -> None:
            if not verify_pack(archive, key).ok:
                raise RuntimeError("the pack does not verify")

        rounds = alternate(ROUNDS, item=item, whole=whole)
        commands = [_command(archive, _name(drawn.randrange(count)), key) for _ in range(ITEMS_A_ROUND)]
        starts = [_started() for _ in range(ITEMS_A_ROUND)]
    report(
        "bench_pack",
        [
            rounds.row(f"prove one of {count:,} items", "item", "whole", goal=AtMost(0.01)),
            row("the same", each, "ms", goal=AtMost(50)),
            row("of which computing", computing, "ms"),
            row("read for it", read, "KiB", goal=AtMost(400)),
            row("`verify.py --item` as a command", commands, "ms"),
            row("of which Python alone", starts, "ms"),
            row(f"seal {count:,} items", [seconds], "s"),
            row("memory of sealing", [memory / 2**20], "MiB"),
            row("the sealed zip", [size / 2**20], "MiB"),
        ],
    )


def _seal(folder: str, count: int) -> int:
    """Seal a review of so many items; the size of its zip."""
    signer = SampleSigner()
    contents = sample_contents(Path(folder, "snapshot"), signer)
    result = replace(contents.result, items=tuple(_item(number) for number in range(count)))
    sealed = seal(replace(contents, result=result), signer=signer, into=Path(folder, "sealed"))
    return sealed.archive.stat().st_size


def _item(number: int) -> Item:
    kind = ITEMS[number % len(ITEMS)]
    return replace(kind, id=_name(number), account=f"account-{number}", principal=f"person-{number // 8}")


def _name(number: int) -> str:
    return f"it_{number:09}"


def _command(archive: str, name: str, key: str) -> float:
    """Milliseconds of the whole command, Python's start included."""
    script = Path(archive).parent / Path(archive).stem / "verify.py"
    command = [_python(), "-I", "-S", str(script), archive, "--key", key, "--item", name]
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return 1000 * (time.perf_counter() - started)


def _started() -> float:
    started = time.perf_counter()
    subprocess.run([_python(), "-I", "-S", "-c", "pass"], check=True)
    return 1000 * (time.perf_counter() - started)


def _python() -> str:
    return str(Path(sys.executable).resolve())


if __name__ == "__main__":
    main()
