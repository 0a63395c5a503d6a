"""What ruff does not check: docstrings of modules, links, leftovers, the index of decisions, drawn diagrams.

Prints one line a problem, as `file:line: what is wrong`, and ends with 1 if there is any.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import gen_diagrams

ROOT = Path(__file__).parent.parent
# Written so that this file does not find itself.
LEFTOVERS = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|X" r"XX)\b")
LINK = re.compile(r"!?\[[^\]]*\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)")
HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)
FENCE = re.compile(r"^(`{3,}|~{3,}).*?^\1\s*$", re.MULTILINE | re.DOTALL)
TEXT = {".py", ".md", ".sql", ".toml", ".yaml", ".yml", ".sh", ".html", ".css", ".js", ".txt", ""}


def ours() -> list[Path]:
    """Every file that git knows or would take."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)  # noqa: S603  a constant
    listed = done.stdout
    return [path for name in listed.splitlines() if (path := ROOT / name).is_file()]


def check_docstring(path: Path, text: str) -> Iterator[str]:
    """A module of the product opens with what it guarantees and who calls it."""
    if path.suffix == ".py" and path.is_relative_to(ROOT / "src") and not ast.get_docstring(ast.parse(text)):
        yield "1: the module does not open with a docstring"


def check_leftovers(_: Path, text: str) -> Iterator[str]:
    """Nothing is left to be done in what is shipped."""
    for number, line in enumerate(text.splitlines(), start=1):
        if found := LEFTOVERS.search(line):
            yield f"{number}: `{found[0]}` is left"


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    titles = HEADING.findall(FENCE.sub("", text))
    plain = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title) for title in titles]
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in plain}


def check_links(path: Path, text: str) -> Iterator[str]:
    """A link inside the project leads to a file, and its anchor to a heading there."""
    if path.suffix != ".md":
        return
    for found in LINK.finditer(FENCE.sub(lambda m: "\n" * m[0].count("\n"), text)):
        target = found[1]
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = unquote(target).partition("#")
        page = (path.parent / name).resolve() if name else path
        number = text.count("\n", 0, text.find(found[0])) + 1
        if not page.exists():
            yield f"{number}: the link to `{target}` leads nowhere"
        elif anchor and page.suffix == ".md" and anchor not in anchors(page.read_text(encoding="utf-8")):
            yield f"{number}: `{name or path.name}` has no heading `#{anchor}`"


def check_adr_index() -> Iterator[str]:
    """Every decision is in the index, and numbers are not used twice."""
    folder = ROOT / "docs" / "adr"
    index = (folder / "README.md").read_text(encoding="utf-8")
    numbers: dict[str, str] = {}
    for page in sorted(folder.glob("[0-9]*.md")):
        if f"({page.name})" not in index:
            yield f"docs/adr/README.md:1: `{page.name}` is not in the index"
        number = page.name[:4]
        if number in numbers:
            yield f"docs/adr/{page.name}:1: number {number} belongs to `{numbers[number]}`"
        numbers[number] = page.name


def problems() -> Iterator[str]:
    """Everything that is wrong."""
    for path in ours():
        if path.suffix not in TEXT or path.name == "uv.lock":
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        for check in (check_docstring, check_leftovers, check_links):
            for problem in check(path, text):
                yield f"{path.relative_to(ROOT)}:{problem}"
    yield from check_adr_index()


def main() -> int:
    """Exit code 1 if anything is wrong."""
    found = list(problems())
    for problem in found:
        print(problem)
    return 1 if found or gen_diagrams.main(["--check"]) else 0


if __name__ == "__main__":
    sys.exit(main())
