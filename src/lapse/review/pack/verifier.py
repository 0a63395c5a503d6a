"""The `verify.py` of a pack, made from the modules that verify packs here: one source, equal behaviour."""

from __future__ import annotations

import ast
from importlib.resources import files

_PARTS = (
    ("lapse.ledger", "standalone.py"),
    ("lapse.review.pack", "standalone_container.py"),
    ("lapse.review.pack", "standalone_manifest.py"),
    ("lapse.review.pack", "standalone_items.py"),
    ("lapse.review.pack", "standalone_timestamp.py"),
    ("lapse.review.pack", "standalone_verify.py"),
    ("lapse.review.pack", "standalone_one.py"),
    ("lapse.review.pack", "standalone_main.py"),
)
_HEADER = '''\
#!/usr/bin/env python3
"""Verify this review pack: `python3 verify.py`, in the unpacked folder, or `python3 verify.py PACK.zip`.

`--item ID` proves one item only, without reading the others.
Needs Python 3.8 or later and nothing else: no network, no installed packages. Give the signer's public key,
which you got from somewhere else than this pack, with `--key`: only then is the origin checked too.
Somebody who can change a pack can change this file in it: where that matters, take it from lapse itself,
or use `lapse review verify`.
"""

from __future__ import annotations

'''


def verifier_source() -> str:
    """The text of `verify.py`: the modules one after the other, without the imports among them."""
    parts = [_without_own_imports(files(package).joinpath(name).read_text("utf-8")) for package, name in _PARTS]
    return _HEADER + "\n\n".join(f"# ---- {name}\n\n{part}" for (_, name), part in zip(_PARTS, parts, strict=True))


def _without_own_imports(source: str) -> str:
    """`source` without its imports of `lapse` and of `__future__`, which must stand first in a file."""
    lines = source.splitlines(keepends=True)
    for node in ast.parse(source).body:
        if isinstance(node, ast.ImportFrom) and _is_own(node.module or ""):
            last = node.end_lineno or node.lineno
            lines[node.lineno - 1 : last] = [""] * (last - node.lineno + 1)
    return "".join(lines)


def _is_own(module: str) -> bool:
    return module == "__future__" or module.partition(".")[0] == "lapse"
