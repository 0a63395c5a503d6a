"""SCRAM against the RFC's example, against itself, and against everybody who cheats."""

import base64
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lapse.domain.errors import InvalidInput
from lapse.protocols.postgres.framing import ProtocolViolation
from lapse.protocols.postgres.saslprep import prepared
from lapse.protocols.postgres.scram import (
    MOST_ITERATIONS,
    SCRAM,
    SCRAM_PLUS,
    ScramClient,
    ScramServer,
    Verifier,
    WrongPassword,
    fresh_nonce,
)

PENCIL = Verifier.of_password("pencil", salt=base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ=="))
QUICK = Verifier.of_password("pencil", iterations=1)
CERTIFICATE = b"hash of the server's certificate"


def exchange(client, server):
    """Both sides talk; returns the server's last word."""
    challenge = server.first(client.mechanism, client.first())
    last = server.final(client.final(challenge))
    client.finish(last)
    return last


class TestExample:
    """RFC 7677, section 3."""

    def test_the_server_answers_as_the_rfc_says(self):
        server = ScramServer(PENCIL, genuine=True, nonce="%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0")
        first = server.first(SCRAM, b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO")
        assert first == b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
        final = server.final(
            b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
            b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        )
        assert final == b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


class TestBothSides:
    def test_they_prove_themselves_to_each_other(self):
        client = ScramClient("pencil")
        exchange(client, ScramServer(QUICK, genuine=True))
        assert client.proved

    @given(st.text(max_size=20))
    @settings(max_examples=40)
    def test_any_password_works(self, password):
        exchange(ScramClient(password), ScramServer(Verifier.of_password(password, iterations=1), genuine=True))

    def test_over_tls_they_bind_the_certificate(self):
        client = ScramClient("pencil", (SCRAM, SCRAM_PLUS), CERTIFICATE)
        assert client.mechanism == SCRAM_PLUS
        exchange(client, ScramServer(QUICK, genuine=True, end_point=CERTIFICATE))

    def test_another_certificate_is_noticed(self):
        client = ScramClient("pencil", (SCRAM, SCRAM_PLUS), b"of the one between")
        with pytest.raises(ProtocolViolation, match="another TLS certificate"):
            exchange(client, ScramServer(QUICK, genuine=True, end_point=CERTIFICATE))

    def test_a_client_that_cannot_bind_may_come_without(self):
        server = ScramServer(QUICK, genuine=True, end_point=CERTIFICATE)
        exchange(ScramClient("pencil", (SCRAM, SCRAM_PLUS)), server)

    def test_taking_binding_out_of_the_offer_is_noticed(self):
        # Somebody between them took -PLUS away; the client says that it could.
        client = ScramClient("pencil", (SCRAM,), CERTIFICATE)
        with pytest.raises(ProtocolViolation, match="removed channel binding"):
            exchange(client, ScramServer(QUICK, genuine=True, end_point=CERTIFICATE))

    def test_a_client_that_could_bind_is_welcome_where_the_server_cannot(self):
        exchange(ScramClient("pencil", (SCRAM,), CERTIFICATE), ScramServer(QUICK, genuine=True))

    def test_binding_is_offered_over_tls_only(self):
        assert ScramServer.mechanisms(b"") == (SCRAM,)
        assert ScramServer.mechanisms(CERTIFICATE) == (SCRAM_PLUS, SCRAM)
        assert not ScramClient("x", (SCRAM_PLUS,)).usable
        assert ScramClient("x", (SCRAM_PLUS,), CERTIFICATE).usable


class TestServer:
    @pytest.mark.parametrize("password", ["pencil ", "", "Pencil"])
    def test_a_wrong_password_is_wrong(self, password):
        with pytest.raises(WrongPassword):
            exchange(ScramClient(password), ScramServer(QUICK, genuine=True))

    def test_nobodys_password_is_never_right(self):
        with pytest.raises(WrongPassword):
            exchange(ScramClient("pencil"), ScramServer(QUICK, genuine=False))

    def test_nobodys_verifier_looks_like_somebodys(self):
        nobody = Verifier.of_nobody("carol", b"secret")
        assert nobody.iterations == PENCIL.iterations
        assert len(nobody.salt) == len(Verifier.of_password("x").salt)
        assert nobody.salt == Verifier.of_nobody("carol", b"secret").salt
        assert nobody.salt != Verifier.of_nobody("dave", b"secret").salt
        assert nobody.salt != Verifier.of_nobody("carol", b"other").salt

    @pytest.mark.parametrize(
        ("mechanism", "message"),
        [
            (SCRAM, b""),
            (SCRAM, b"n,,"),
            (SCRAM, b"x,,n=,r=abc"),
            (SCRAM, b"n,a=admin,n=,r=abc"),
            (SCRAM, b"n,,m=ext,n=,r=abc"),
            (SCRAM, b"n,,n=,r="),
            (SCRAM, b"n,,n=,r=a\x00b"),
            (SCRAM, b"n,,n=,r=" + b"a" * 513),
            (SCRAM, b"p=tls-server-end-point,,n=,r=abc"),
            (SCRAM_PLUS, b"n,,n=,r=abc"),
            (SCRAM_PLUS, b"p=tls-unique,,n=,r=abc"),
            ("PLAIN", b"n,,n=,r=abc"),
        ],
    )
    def test_a_malformed_first_message_is_refused(self, mechanism, message):
        with pytest.raises(ProtocolViolation):
            ScramServer(QUICK, genuine=True, end_point=CERTIFICATE).first(mechanism, message)

    def test_extensions_that_need_not_be_understood_are_passed_over(self):
        assert ScramServer(QUICK, genuine=True).first(SCRAM, b"n,,n=,r=abc,x=more").startswith(b"r=abc")

    @pytest.mark.parametrize("message", [b"", b"c=biws", b"c=biws,r=other,p=AAAA", b"c=!,r=x,p=AAAA"])
    def test_a_malformed_last_message_is_refused(self, message):
        server = ScramServer(QUICK, genuine=True)
        server.first(SCRAM, b"n,,n=,r=abc")
        with pytest.raises(ProtocolViolation):
            server.final(message)

    @pytest.mark.parametrize("proof", [b"", b"AAAA", base64.b64encode(bytes(32)), base64.b64encode(bytes(33))])
    def test_a_proof_of_any_size_may_be_wrong(self, proof):
        server = ScramServer(QUICK, genuine=True, nonce="def")
        server.first(SCRAM, b"n,,n=,r=abc")
        with pytest.raises(WrongPassword):
            server.final(b"c=biws,r=abcdef,p=" + proof)

    @given(st.binary(max_size=60), st.binary(max_size=60))
    def test_any_bytes_are_refused_in_words(self, first, final):
        server = ScramServer(QUICK, genuine=True)
        with suppress(ProtocolViolation):
            server.first(SCRAM, b"n,,n=,r=abc" + first)
            with pytest.raises((ProtocolViolation, WrongPassword)):
                server.final(final)


class TestClient:
    @pytest.mark.parametrize(
        "message",
        [
            b"",
            b"r=other,s=AAAA,i=1",
            b"r=mine,s=AAAA,i=1",
            b"r=mine+,s=!,i=1",
            b"r=mine+,s=AAAA,i=0",
            b"r=mine+,s=AAAA,i=-1",
            b"r=mine+,s=AAAA,i=%d" % (MOST_ITERATIONS + 1),
            b"m=ext,r=mine+,s=AAAA,i=1",
        ],
    )
    def test_a_challenge_that_is_none_is_refused(self, message):
        with pytest.raises(ProtocolViolation):
            ScramClient("pencil", nonce="mine").final(message)

    @pytest.mark.parametrize("last", [b"", b"e=other-error", b"v=AAAA", b"v=!", b"v="])
    def test_a_server_that_does_not_know_the_password_is_found_out(self, last):
        client = ScramClient("pencil", nonce="mine")
        client.final(b"r=mine+,s=AAAA,i=1")
        with pytest.raises(ProtocolViolation):
            client.finish(last)
        assert not client.proved

    def test_a_server_cannot_skip_the_challenge(self):
        with pytest.raises(ProtocolViolation):
            ScramClient("pencil").finish(b"v=")

    def test_secrets_are_not_shown(self):
        client = ScramClient("pencil", nonce="mine")
        client.final(b"r=mine+,s=AAAA,i=1")
        assert "pencil" not in repr(client)
        assert "_signature" not in repr(client)
        assert "stored_key" not in repr(PENCIL)


class TestVerifier:
    def test_it_is_written_as_postgresql_writes_it(self):
        assert PENCIL.text.startswith("SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$")
        assert Verifier.parse(PENCIL.text) == PENCIL

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "md5abcdef",
            "SCRAM-SHA-256$4096:AAAA$AAAA:AAAA",
            PENCIL.text.replace("$4096", "$0"),
            PENCIL.text.replace("$4096", "$9999999"),
            PENCIL.text.replace("==$", "=!$"),
            PENCIL.text + "\n",
        ],
    )
    def test_what_is_none_is_refused(self, text):
        with pytest.raises(InvalidInput):
            Verifier.parse(text)

    def test_salts_and_nonces_are_fresh(self):
        assert Verifier.of_password("a").salt != Verifier.of_password("a").salt
        assert fresh_nonce() != fresh_nonce()


class TestSaslprep:
    """RFC 4013, section 3, and what PostgreSQL does where a password is not allowed."""

    @pytest.mark.parametrize(
        ("password", "expected"),
        [
            ("I\u00adX", b"IX"),
            ("user", b"user"),
            ("USER", b"USER"),
            ("\u00aa", b"a"),
            ("\u2168", b"IX"),
            ("a\u00a0b", b"a b"),
            ("\u0007\u00e9", "\u0007\u00e9".encode()),
            ("\u0627\u0031", "\u0627\u0031".encode()),
            ("\u0627\u0628", "\u0627\u0628".encode()),
            ("\u0627x\u0628", "\u0627x\u0628".encode()),
            ("\u00ad", "\u00ad".encode()),
        ],
    )
    def test_examples(self, password, expected):
        assert prepared(password) == expected
