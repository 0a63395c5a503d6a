"""Loads the scripts of tools/ and benchmarks/, which are no packages, so that tests can call them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parent.parent.parent


def load_tool(name: str, folder: str = "tools") -> ModuleType:
    """The module in `FOLDER/NAME.py`; one script may import another of its folder."""
    if str(ROOT / folder) not in sys.path:
        sys.path.append(str(ROOT / folder))
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, ROOT / folder / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def fill_memory(size: int) -> int:
    """Use `size` bytes for a moment; a function that another process can find."""
    return len(b"x" * size)
