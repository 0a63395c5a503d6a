"""Draws the state diagrams in docs/architecture.md from the transition tables. `--check` only compares.

Each diagram stands between `<!-- diagram: NAME -->` and `<!-- end -->`. Run by `make format`; the comparison
is part of `make check` and of the tests.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from lapse.domain.grants import GRANT_LIFE
from lapse.domain.requests import REQUEST_LIFE
from lapse.domain.reviews import REVIEW_LIFE

PAGE = Path(__file__).parent.parent / "docs" / "architecture.md"
DIAGRAMS = {life.what: life.mermaid() for life in (REQUEST_LIFE, GRANT_LIFE, REVIEW_LIFE)}
_BLOCK = re.compile(r"(<!-- diagram: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def redrawn(page: str) -> str:
    """`page` with every marked diagram drawn anew.

    Raises:
        ValueError: a diagram has no place in the page, or a marker names none.
    """
    marked = [name for _, name, _ in _BLOCK.findall(page)]
    if sorted(marked) != sorted(DIAGRAMS):
        raise ValueError(f"diagrams are {sorted(DIAGRAMS)}, places are {sorted(marked)}")
    return _BLOCK.sub(lambda m: f"{m[1]}\n```mermaid\n{DIAGRAMS[m[2]]}\n```\n\n{m[3]}", page)


def main(args: list[str]) -> int:
    """Redraw, or with `--check` say whether that would change anything (exit code 1)."""
    page = PAGE.read_text(encoding="utf-8")
    new = redrawn(page)
    if new == page:
        return 0
    if "--check" in args:
        print(f"{PAGE.name}: the diagrams are not those of the tables; run `make format`", file=sys.stderr)
        return 1
    PAGE.write_text(new, encoding="utf-8")
    print(f"{PAGE.name}: diagrams redrawn")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
