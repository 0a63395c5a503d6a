"""The gateway's certificate: real handshakes, read again without a connection lost, never worse than before."""

from __future__ import annotations

import asyncio
import os
import ssl
import subprocess
from contextlib import asynccontextmanager

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from lapse.domain.errors import InvalidInput
from lapse.gateway.tls import ServerTls

AUTHORITY = trustme.CA()


def issue(folder, name="localhost"):
    """A new certificate for 127.0.0.1 and `name` in the folder's files."""
    issued = AUTHORITY.issue_cert("127.0.0.1", name)
    issued.private_key_pem.write_to_path(folder / "key.pem")
    for number, blob in enumerate(issued.cert_chain_pems):
        blob.write_to_path(folder / "cert.pem", append=number > 0)
    return folder / "cert.pem", folder / "key.pem"


@pytest.fixture
def files(tmp_path):
    return issue(tmp_path)


@asynccontextmanager
async def serving(tls):
    """Says hello over TLS, with the certificate of the moment; clients know the authority."""

    async def hello(reader, writer):
        try:
            await writer.start_tls(tls.context)
            writer.write(await reader.read(100))
            await writer.drain()
        except (OSError, ssl.SSLError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(hello, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[:2]
    finally:
        server.close()
        await server.wait_closed()


async def handshake(address, **settings):
    """What a client sees of the server: certificate, version, cipher, protocol."""
    context = ssl.create_default_context()
    AUTHORITY.configure_trust(context)
    for name, value in settings.items():
        if name == "alpn":
            context.set_alpn_protocols(value)
        elif name == "ciphers":
            context.set_ciphers(value)
        else:
            setattr(context, name, value)
    reader, writer = await asyncio.open_connection(*address, ssl=context, server_hostname="127.0.0.1")
    try:
        writer.write(b"hello")
        assert await reader.read(100) == b"hello"
        found = writer.get_extra_info("ssl_object")
        der = found.getpeercert(binary_form=True)
        return der, found.version(), found.cipher()[0], found.selected_alpn_protocol()
    finally:
        writer.close()


async def test_a_client_that_verifies_gets_through_with_a_modern_cipher(files):
    tls = ServerTls(*files)
    async with serving(tls) as address:
        der, version, _, alpn = await handshake(address, alpn=["postgresql"])
        assert (der, version, alpn) == (tls.der, "TLSv1.3", "postgresql")
        _, version, cipher, _ = await handshake(address, maximum_version=ssl.TLSVersion.TLSv1_2)
        assert version == "TLSv1.2"
        assert cipher.startswith("ECDHE-")
        assert "GCM" in cipher or "CHACHA20" in cipher


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
async def test_what_is_old_is_refused(files):
    async with serving(ServerTls(*files)) as address:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await handshake(
                address,
                minimum_version=ssl.TLSVersion.TLSv1_1,
                maximum_version=ssl.TLSVersion.TLSv1_1,
                ciphers="ALL:@SECLEVEL=0",
            )
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await handshake(address, maximum_version=ssl.TLSVersion.TLSv1_2, ciphers="AES128-SHA")


def test_the_fingerprint_is_what_openssl_says(files):
    said = subprocess.run(
        ["openssl", "x509", "-in", files[0], "-noout", "-fingerprint", "-sha256"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert said.strip().partition("=")[2] == ServerTls(*files).fingerprint


def test_channel_binding_is_the_hash_of_the_certificate(files):
    tls = ServerTls(*files)
    certificate = x509.load_der_x509_certificate(tls.der)
    assert tls.end_point == certificate.fingerprint(certificate.signature_hash_algorithm)
    assert isinstance(certificate.signature_hash_algorithm, hashes.SHA256)


async def test_a_certificate_that_was_renewed_is_used_for_the_next_connection_and_those_before_go_on(tmp_path, files):
    tls = ServerTls(*files)
    async with serving(tls) as address:
        context = ssl.create_default_context()
        AUTHORITY.configure_trust(context)
        reader, writer = await asyncio.open_connection(*address, ssl=context, server_hostname="127.0.0.1")
        before = tls.der
        issue(tmp_path, "renewed")
        assert tls.reload()
        writer.write(b"still here")
        assert await reader.read(100) == b"still here"
        writer.close()
        der, *_ = await handshake(address)
        assert der == tls.der != before


def test_files_that_did_not_change_are_not_read_again_unless_they_must_be(tmp_path, files):
    tls = ServerTls(*files)
    assert not tls.reload(always=False)
    assert tls.reload()
    issue(tmp_path, "renewed")
    assert tls.reload(always=False)
    assert not tls.reload(always=False)


@pytest.mark.parametrize("spoil", ["gone", "no PEM", "another key"])
async def test_what_cannot_be_used_leaves_the_one_before_in_use(tmp_path, files, spoil):
    tls = ServerTls(*files)
    before = tls.fingerprint
    if spoil == "gone":
        files[1].unlink()
    elif spoil == "no PEM":
        files[0].write_text("not a certificate")
    else:
        AUTHORITY.issue_cert("127.0.0.1").private_key_pem.write_to_path(files[1])
    with pytest.raises(InvalidInput, match="cannot be used"):
        tls.reload()
    assert tls.fingerprint == before
    async with serving(tls) as address:
        der, *_ = await handshake(address)
        assert der == tls.der


def test_a_half_written_renewal_is_tried_again_when_it_is_whole(tmp_path, files):
    tls = ServerTls(*files)
    whole = issue(tmp_path, "renewed")[0].read_bytes()
    files[0].write_bytes(whole[: len(whole) // 3])
    with pytest.raises(InvalidInput):
        tls.reload(always=False)
    files[0].write_bytes(whole)
    assert tls.reload(always=False)


def test_a_key_with_a_password_is_refused_and_nobody_is_asked_for_it(files):
    key = trustme.CA().issue_cert("127.0.0.1")
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    locked = load_pem_private_key(key.private_key_pem.bytes(), None).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
    )
    files[1].write_bytes(locked)
    with pytest.raises(InvalidInput, match="cannot be used") as raised:
        ServerTls(*files)
    assert "no password" in raised.value.hint


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InvalidInput, match=r"none\.pem.*no such file"):
        ServerTls(tmp_path / "none.pem", tmp_path / "none.key")


def test_a_file_that_may_not_be_read_is_named(files):
    if os.geteuid() == 0:
        pytest.skip("root may read every file")
    files[1].chmod(0)
    with pytest.raises(InvalidInput, match="permission denied"):
        ServerTls(*files)
