"""Compiles the gateway's pump where there is a C compiler: `make venv` calls it, and so does the build of a wheel.

Without a compiler there is no compiled pump, and the gateway uses its twin in Python; that is no failure. A compiler
that refuses the source is one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # Called by make, outside of a build.
    BuildHookInterface = object

PUMP = Path("src/lapse/gateway/pump")
FLAGS = ("-std=c11", "-O2", "-Wall", "-Wextra", "-fPIC", "-shared", "-pthread", "-fstack-protector-strong")


def compiler() -> str | None:
    """The C compiler to use: `CC`, or `cc`, if the system is Linux (the pump needs epoll)."""
    return shutil.which(os.environ.get("CC", "cc")) if sys.platform == "linux" else None


def build(root: Path) -> Path | None:
    """Compile, unless what is there is newer than its source. The library, or None without a compiler."""
    source, library = root / PUMP / "pump.c", root / PUMP / "_pump.so"
    if library.exists() and library.stat().st_mtime >= source.stat().st_mtime:
        return library
    found = compiler()
    if found is None:
        return None
    # A running gateway may have the old file mapped, so a new one takes its place.
    made = library.with_suffix(".new")
    subprocess.run([found, *FLAGS, "-o", str(made), str(source)], check=True)  # noqa: S603  a compiler of this machine
    made.replace(library)
    return library


class PumpHook(BuildHookInterface):  # type: ignore[misc]  # hatchling is there in builds only
    """Puts the compiled pump into wheels, which are then for one platform (and for every Python of it)."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """See hatchling; called for editable installs too."""
        del version
        if self.target_name == "wheel" and build(Path(self.root)):
            build_data["pure_python"] = False
            build_data["tag"] = f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"
            build_data["artifacts"].append(str(PUMP / "_pump.so"))


if __name__ == "__main__":
    made = build(Path(__file__).parents[1])
    print(f"venv: {'the pump is compiled' if made else 'no C compiler: the gateway uses its pump in Python'}")
