"""What `docs/ledger.md` shows is true: its example verifies, by our code and by the commands that it prints."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from lapse.ledger.canonical import decode
from lapse.ledger.standalone import open_checkpoint, read_key, verify_bundle

PAGE = (Path(__file__).parents[2] / "docs" / "ledger.md").read_text()
NOTE, KEY_TEXT = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)
[BUNDLE] = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
[COMMANDS] = re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)


def test_the_example_verifies():
    key = read_key(KEY_TEXT)
    checkpoint = open_checkpoint(NOTE.encode(), [key])
    assert verify_bundle(json.loads(BUNDLE), [key]) == checkpoint


def test_the_members_of_an_entry_are_those_of_the_table():
    [entry] = json.loads(BUNDLE)["entries"]
    listed = re.findall(r"^\| (`[a-z_]+`(?:, `[a-z_]+`)*) \|", PAGE, re.MULTILINE)
    assert sorted(json.loads(entry["body"])) == sorted(re.findall(r"[a-z_]+", " ".join(listed)))
    assert decode(entry["body"].encode()).type == "request.approved"


@pytest.mark.skipif(not (shutil.which("openssl") and shutil.which("bash")), reason="needs bash and openssl")
def test_the_commands_verify_the_example(tmp_path):
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", COMMANDS],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == [NOTE.split("\n")[2], "Signature Verified Successfully"]
