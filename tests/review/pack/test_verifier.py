"""The `verify.py` in a pack: the same code as here, alone with the standard library."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location

import pytest

from lapse.review.pack import report_lines, verify_pack
from lapse.review.pack.verifier import verifier_source


@pytest.fixture(scope="module")
def standalone(sealed):
    spec = spec_from_file_location("verify_of_a_pack", sealed.folder / "verify.py")
    module = module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "dont_write_bytecode", True)
        spec.loader.exec_module(module)
    return module


def run(*arguments, cwd):
    """Isolated: no site packages, no environment, no lapse."""
    command = [sys.executable, "-I", "-S", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, env={})


def test_it_verifies_the_folder_it_lies_in(sealed, signer):
    done = run("verify.py", "--key", signer.vkey, cwd=sealed.folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == report_lines(verify_pack(str(sealed.folder), signer.vkey))


def test_it_verifies_a_zip(sealed, signer):
    done = run(sealed.folder / "verify.py", sealed.archive, cwd="/")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == report_lines(verify_pack(str(sealed.archive)))


def test_it_fails_with_the_name_of_the_file(folder):
    (folder / "items.csv").write_bytes(b"")
    done = run("verify.py", cwd=folder)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.splitlines()[-1] == "NOT VERIFIED   copy: items.csv"


def test_it_is_misused_with_its_own_exit_status(folder):
    assert run("verify.py", "--no-such-option", cwd=folder).returncode == 2


def test_running_it_adds_nothing_to_the_folder(folder):
    for _ in range(2):
        assert run("verify.py", cwd=folder).returncode == 0


def test_it_runs_on_python_3_8():
    ast.parse(verifier_source(), feature_version=(3, 8))


def test_it_imports_only_the_standard_library():
    nodes = list(ast.walk(ast.parse(verifier_source())))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names
    assert not names & {"socket", "ssl", "urllib", "http", "subprocess"}


def test_its_parts_do_not_redefine_one_another():
    defined = [
        node.name for node in ast.parse(verifier_source()).body if isinstance(node, (ast.FunctionDef, ast.ClassDef))
    ]
    defined += [
        target.id
        for node in ast.parse(verifier_source()).body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    ]
    assert sorted(defined) == sorted(set(defined))


@pytest.mark.parametrize("position", range(0, 230_000, 4_999))
def test_it_judges_as_lapse_does(standalone, sealed, archive, position):
    raw = bytearray(sealed.archive.read_bytes())
    raw[position % len(raw)] ^= 0x20
    archive.write_bytes(raw)
    here, there = verify_pack(str(archive)), standalone.verify_pack(str(archive))
    assert report_lines(here) == standalone.report_lines(there)
    assert not here.ok
