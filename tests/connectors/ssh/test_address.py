"""DSNs of hosts: a host is only spoken to if its key is known beforehand."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from lapse.connectors.ssh.address import host_keys, parse_address
from lapse.domain.errors import InvalidInput, Unavailable
from lapse.protocols.ssh.keys import public_text

KEY = public_text(Ed25519PrivateKey.generate().public_key())


@pytest.mark.parametrize("spelled", [quote(KEY, safe=""), KEY.replace(" ", "%20"), KEY.replace(" ", "+")], ids=range(3))
def test_a_pinned_key_however_it_is_spelled(spelled):
    found = parse_address(f"ssh://web-1.example.com:2222?host_key={spelled}")
    assert (found.host, found.port, found.keys) == ("web-1.example.com", 2222, (KEY,))
    assert found.lines() == f"[web-1.example.com]:2222 {KEY}\n"


def test_a_ca_and_a_file_of_known_hosts(tmp_path):
    (tmp_path / "known").write_text(f"web-1 {KEY}\n")
    found = parse_address(f"ssh://web-1?host_ca={quote(KEY, safe='')}&known_hosts={tmp_path}/known")
    assert found.lines() == f"@cert-authority web-1 {KEY}\nweb-1 {KEY}\n"
    assert host_keys(found) == f"{KEY}\n@cert-authority {KEY}"
    (tmp_path / "known").write_text(f"web-2 {KEY}\n")
    with pytest.raises(Unavailable, match="knows no key"):
        host_keys(parse_address(f"ssh://web-1?known_hosts={tmp_path}/known"))
    (tmp_path / "known").unlink()
    with pytest.raises(Unavailable):
        found.lines()


@pytest.mark.parametrize(
    "dsn",
    [
        "",
        "ssh://",
        "ssh://web-1",
        "postgresql://web-1?host_key=x",
        "ssh://web-1?host_key=nonsense",
        f"ssh://root:secret@web-1?host_key={KEY}",
        f"ssh://-oProxyCommand=x?host_key={KEY}",
        f"ssh://web-1/path?host_key={KEY}",
        f"ssh://web-1:99999?host_key={KEY}",
        f"ssh://web-1?password=x&host_key={KEY}",
    ],
    ids=range(10),
)
def test_what_is_no_dsn_is_refused_without_being_repeated(dsn):
    with pytest.raises(InvalidInput) as error:
        parse_address(dsn)
    assert "secret" not in error.value.message


@given(st.text(max_size=100) | st.text(max_size=100).map("ssh://".__add__))
def test_any_text_is_a_dsn_or_refused(text):
    with pytest.raises(InvalidInput):
        parse_address(text)
