"""Damaged files of keys: each line is counted, the others stay, and fingerprints are OpenSSH's."""

from __future__ import annotations

import base64
import contextlib
import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lapse.domain.errors import InvalidInput
from lapse.review.sources.openssh.entries import read_entry
from support.read_sources import read_as, short
from support.ssh_keys import alone, fingerprint, key, read_keys, wire


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("nonsense", "there is no key in it"),
        ("ssh-ed25519", "there is no key in it"),
        ("ssh-ed25519 !!!", "not base64"),
        ("ssh-ed25519 AAAA", "is cut off"),
        (key()[:60], "is cut off"),
        (key() + "AAAA", "is cut off"),
        (key() + "A", "not base64"),
        (key().replace("ssh-ed25519 ", "ssh-rsa "), "it is none of kind `ssh-rsa`"),
        (
            "ecdsa-sha2-nistp521 " + base64.b64encode(wire(b"ecdsa-sha2-nistp521", b"nistp256", b"x")).decode(),
            "another curve",
        ),
        ("ssh-ed25519 " + base64.b64encode(wire(b"ssh-ed25519", b"short")).decode(), "its length is another"),
        ("ssh-rsa " + base64.b64encode(wire(b"ssh-rsa", b"\x03")).decode(), "missing or too many"),
        ("ssh-ed25519 " + base64.b64encode(b"\xff" * 40).decode(), "is cut off"),
        (f'command="never closed {key()}', "never closed"),
        (f"{key()} a\0b", "NUL"),
    ],
)
def test_a_line_that_cannot_be_read_is_rejected_and_the_others_stay(tmp_path, line, why):
    result = alone(tmp_path, key(number=8), line, key(number=9), complete="yes")
    assert (result.report.used, result.report.rejected) == (2, 1)
    assert why in result.report.examples[0]
    assert short(result.target_reads, "complete", "gaps") == [(False, "1 lines could not be read")]


def test_a_host_is_read_completely_only_if_that_is_stated_and_true(tmp_path):
    assert short(alone(tmp_path, key()).target_reads, "complete") == [False]
    files = {"web-1/alice/authorized_keys": [key()], "web-1/alice/authorized_keys.bak": [key(number=2)]}
    result = read_keys(tmp_path, files, complete="yes")
    assert short(result.target_reads, "complete") == [False]
    (problem,) = result.problems.values()
    assert problem.examples == ("web-1/alice/authorized_keys.bak",)


def test_a_host_whose_name_makes_no_resource_is_rejected(tmp_path):
    result = read_keys(tmp_path, {"=cmd()/alice/authorized_keys": [key()], "web-1/=cmd()/authorized_keys": [key()]})
    assert short(result.accounts, "resource", "account") == [("ssh-web-1", "=cmd()")]
    assert "is not a name of a host" in result.report.examples[0]


def test_links_that_lead_out_are_not_followed(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text(key() + "\n")
    folder = tmp_path / "k" / "web-1" / "alice"
    folder.mkdir(parents=True)
    (folder / "authorized_keys").symlink_to(secret)
    with pytest.raises(InvalidInput, match="has no file of keys"):
        read_as("authorized-keys", tmp_path / "k", tmp_path)


def test_odd_bytes_and_huge_lines_are_told(tmp_path):
    content = key(comment="M\xfcller").encode("latin-1") + b"\r\n" + b"x" * (17 << 20) + b"\n" + key(number=2).encode()
    result = read_keys(tmp_path, {"web-1/alice/authorized_keys": content})
    assert (len(result.credentials), result.report.rejected) == (2, 1)
    assert any("Windows-1252" in what for what in result.problems)


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed")
@pytest.mark.parametrize("kind", ["rsa", "ecdsa", "ed25519"])
def test_fingerprints_are_those_that_openssh_prints(tmp_path, kind):
    made = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "a b", "-f", made], check=True)
    printed = subprocess.run(["ssh-keygen", "-lf", made], check=True, capture_output=True, text=True).stdout.split()
    entry = read_entry(made.with_suffix(".pub").read_text().rstrip("\n"))
    assert (entry.key.fingerprint, entry.comment) == (printed[1], "a b")
    assert entry.key.bits == int(printed[0])


# Whatever a file says

values = st.text(st.characters(exclude_characters="\0\r\n", exclude_categories=["Cs"]), max_size=30)


@settings(max_examples=60)
@given(command=values, comment=values, gap=st.text(" \t", min_size=1, max_size=3))
def test_a_key_with_any_command_and_comment_is_found(command, comment, gap):
    quoted = command.replace("\\", "/").replace('"', '\\"')
    entry = read_entry(f'command="{quoted}",restrict{gap}{key()}{gap}{comment}')
    assert entry.key.fingerprint == fingerprint()
    assert entry.comment == comment.strip(" \t")


@settings(max_examples=60)
@given(data=st.binary(max_size=300), good=st.booleans())
def test_any_bytes_are_counted(tmp_path_factory, data, good):
    content = (key().encode() + b"\n" if good else b"") + data
    result = read_keys(tmp_path_factory.getbasetemp(), {"web-1/alice/authorized_keys": content})
    assert len(result.credentials) >= good


@given(text=st.text(max_size=80))
def test_any_line_is_an_entry_or_says_why_not(text):
    with contextlib.suppress(ValueError):
        assert read_entry(text).key.fingerprint.startswith("SHA256:")
