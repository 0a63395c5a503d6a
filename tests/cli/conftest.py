from __future__ import annotations

import pytest

from support.program import Program

CATALOG = """
principals:
  - {name: alice}
  - {name: bob}
resources:
  - name: pg-prod
    connector: postgresql
    entitlements: [{role: reader, native: {role: reader, mode: membership}}]
"""


@pytest.fixture
def program(tmp_path):
    """`lapse` on a home folder that was just set up."""
    program = Program(tmp_path / "home")
    program.run("init")
    return program


@pytest.fixture
def catalog(tmp_path):
    """A catalog file."""
    path = tmp_path / "catalog.yaml"
    path.write_text(CATALOG)
    return path
