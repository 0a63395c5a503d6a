import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import lapse.gateway.pump
from lapse.gateway.pump import make_pump
from support.pump_traffic import differences

SOURCE = Path(lapse.gateway.pump.__file__).with_name("pump.c")
TESTS = Path(__file__).parents[2]
COMPILER = shutil.which("gcc")

pytestmark = pytest.mark.timeout(60)


@pytest.mark.parametrize("first", [0, 100])
async def test_what_comes_out_of_the_compiled_pump_is_what_comes_out_of_its_twin(first):
    pump = make_pump()
    if not pump.native:
        pytest.skip("no compiled pump: there is no C compiler")
    found = await differences(pump, range(first, first + 100))
    await pump.close()
    assert [seed for seed, _ in found] == []


@pytest.mark.skipif(COMPILER is None, reason="no gcc")
def test_the_compiled_pump_touches_no_memory_that_is_not_its_own(tmp_path):
    library = tmp_path / "pump.so"
    flags = ["-std=c11", "-O1", "-g", "-fPIC", "-shared", "-pthread", "-fsanitize=address,undefined"]
    subprocess.run([COMPILER, *flags, "-fno-sanitize-recover=all", "-o", library, SOURCE], check=True)
    runtime = subprocess.run([COMPILER, "-print-file-name=libasan.so"], check=True, capture_output=True, text=True)
    done = subprocess.run(
        [sys.executable, "-m", "support.pump_traffic", library],
        cwd=TESTS,
        env=os.environ | {"LD_PRELOAD": runtime.stdout.strip(), "ASAN_OPTIONS": "detect_leaks=0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "0 differ: []\n", "")


@pytest.mark.skipif(COMPILER is None, reason="no gcc")
def test_the_compiled_pump_compiles_without_a_warning(tmp_path):
    flags = ["-std=c11", "-O2", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror", "-fPIC", "-shared"]
    subprocess.run([COMPILER, *flags, "-o", tmp_path / "pump.so", SOURCE], check=True)
