"""A login attempt: a clear yes, a clear no, or no proof."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from lapse.connectors.postgresql.probe import Where, attempt_login
from lapse.domain.errors import Unavailable
from lapse.entrypoints.demo.private_postgres import PrivatePostgres
from support.ports import free_port
from support.postgres import PASSWORD, name, run
from support.proxy import speaks_nonsense


@pytest.fixture
def where(postgres_target):
    return Where(host="127.0.0.1", port=postgres_target.server.port, dbname=postgres_target.dbname)


async def test_the_right_password_is_accepted_and_a_wrong_one_refused(where, postgres_target):
    alice = postgres_target.role("alice")
    assert (await attempt_login(where, alice, PASSWORD, 5)).accepted
    wrong = await attempt_login(where, alice, "wrong", 5)
    assert (wrong.refused, wrong.sqlstate) == (True, "28P01")
    nobody = await attempt_login(where, "nobody", "x", 5)
    assert (nobody.refused, nobody.sqlstate) == (True, "28P01")


async def test_a_role_that_may_not_log_in_is_refused_with_the_right_password(where, postgres_target):
    postgres_target.admin(f"ALTER ROLE {name(postgres_target.role('alice'))} NOLOGIN")
    answer = await attempt_login(where, postgres_target.role("alice"), PASSWORD, 5)
    assert (answer.refused, answer.sqlstate) == (True, "28000")


async def test_a_refusal_for_another_reason_is_no_refusal_of_the_login(where, postgres_target):
    nowhere = replace(where, dbname="no_such_database")
    answer = await attempt_login(nowhere, postgres_target.role("alice"), PASSWORD, 5)
    assert (answer.accepted, answer.refused, answer.sqlstate) == (False, False, "3D000")
    postgres_target.admin(f"ALTER ROLE {name(postgres_target.role('bob'))} CONNECTION LIMIT 0")
    full = await attempt_login(where, postgres_target.role("bob"), PASSWORD, 5)
    assert (full.refused, full.sqlstate) == (False, "53300")


async def test_an_old_md5_password_works_too(where, postgres_target):
    alice = postgres_target.role("alice")
    run(
        postgres_target.admin_dsn,
        f"SET password_encryption = 'md5'; ALTER ROLE {name(alice)} PASSWORD '{PASSWORD}'",
    )
    folder = postgres_target.server.folder / "data" / "pg_hba.conf"
    before = folder.read_text()
    folder.write_text(before.replace("scram-sha-256", "md5"))
    try:
        postgres_target.admin("SELECT pg_reload_conf()")
        assert (await attempt_login(where, alice, PASSWORD, 5)).accepted
    finally:
        folder.write_text(before)
        postgres_target.admin("SELECT pg_reload_conf()")


@pytest.mark.parametrize(
    "answer", [None, b"S", b"HTTP/1.1 400\r\n", b"E\x00\x00\x00\x05\x00", b"R\x00\x00\x00\x08\x00\x00\x00\x07"]
)
async def test_anything_else_proves_nothing(answer):
    async with speaks_nonsense(answer) as port:
        with pytest.raises(Unavailable, match="proves nothing"):
            await attempt_login(Where(host="127.0.0.1", port=port, dbname="x", sslmode="disable"), "u", "p", 0.3)
    with pytest.raises(Unavailable, match="proves nothing"):
        await attempt_login(Where(host="127.0.0.1", port=free_port(), dbname="x"), "u", "p", 1)


async def test_over_tls_and_over_a_unix_socket(tmp_path):
    certificate, key = self_signed(tmp_path)
    with PrivatePostgres() as server:
        for source in (certificate, key):
            copy = server.folder / "data" / source.name
            copy.write_bytes(source.read_bytes())
            copy.chmod(0o600)
            owner = (server.folder / "data").stat()
            os.chown(copy, owner.st_uid, owner.st_gid)
        run(server.dsn(), "ALTER SYSTEM SET ssl = on")
        run(server.dsn(), "SELECT pg_reload_conf()")
        server.restart()
        where = Where(host="localhost", port=server.port, dbname="postgres", sslmode="require")
        trusted = replace(where, sslmode="verify-full", sslrootcert=str(certificate))
        socket = replace(where, host=str(server.folder), sslmode="prefer")
        for way in (where, trusted, socket):
            assert (await attempt_login(way, "postgres", server.superuser_password, 5)).accepted
            assert (await attempt_login(way, "postgres", "wrong", 5)).refused
        with pytest.raises(Unavailable, match="certificate verify failed"):
            await attempt_login(replace(where, sslmode="verify-full"), "postgres", "x", 5)
    with PrivatePostgres() as server, pytest.raises(Unavailable, match="no TLS"):
        await attempt_login(replace(where, port=server.port), "postgres", server.superuser_password, 5)


def self_signed(folder):
    """A certificate for localhost and its key, as files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name, today = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")]), datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, today, today + timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = folder / "server.crt", folder / "server.key"
    files[0].write_bytes(certificate.public_bytes(Encoding.PEM))
    files[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return files
