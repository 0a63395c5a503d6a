"""Logins of clients, as transcripts: what the client says, and what the gateway is told to do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lapse.domain.errors import Unavailable
from lapse.protocols.postgres import backend, frontend
from lapse.protocols.postgres.accepting import (
    Cancel,
    ClientLogin,
    FindVerifier,
    HangUp,
    Proven,
    Send,
    StartTls,
    TlsOffer,
    refusal,
)
from lapse.protocols.postgres.backend import NegotiateProtocolVersion, Report, SqlState
from lapse.protocols.postgres.framing import message
from lapse.protocols.postgres.scram import SCRAM, SCRAM_PLUS, ScramClient, Verifier
from lapse.protocols.postgres.startup import GSS_REQUEST, TLS_REQUEST, CancelRequest, Startup

VERIFIER = Verifier.of_password("pencil", iterations=1)
HELLO = Startup(0, {"user": "alice", "database": "shop"})


def login_of(tls=TlsOffer.ABSENT):
    return ClientLogin(tls=tls, secret=b"secret")


def say(login, data):
    """Feed `data` in the pieces that the login asks for; all commands that come of it."""
    done = []
    while data:
        assert login.wants, f"nobody wants {data!r}"
        piece, data = data[: login.wants], data[login.wants :]
        done += login.receive(piece)
    return done


def final_of(client, commands):
    """The client's last message, in answer to the challenge in `commands`."""
    (challenge,) = commands
    return frontend.password(client.final(challenge.data[9:]))


def prove(login, client):
    """Both steps of SCRAM; all commands of the last one."""
    initial = frontend.SaslInitial(client.mechanism.encode(), client.first()).encode()
    return say(login, final_of(client, say(login, initial)))


def told(commands):
    """The report that the client gets before it is hung up on."""
    sent, hung_up = commands
    assert isinstance(sent, Send)
    assert Report.read(sent.data[5:]) == hung_up.report
    return hung_up.report


class TestWay:
    def test_a_client_proves_its_password(self):
        login = login_of()
        assert say(login, HELLO.encode()) == [FindVerifier("alice")]
        assert login.found(VERIFIER) == [Send(backend.authentication_sasl([SCRAM]))]
        sent, proven = prove(login, client := ScramClient("pencil"))
        assert proven == Proven()
        client.finish(sent.data[9:-9])
        assert sent.data[-9:] == backend.authentication(backend.AUTH_OK)
        assert login.startup == HELLO
        assert login.wants == 0

    def test_with_gssapi_asked_for_first_and_tls_then(self):
        login = login_of(TlsOffer.REQUIRED)
        assert say(login, GSS_REQUEST) == [Send(b"N")]
        assert say(login, TLS_REQUEST) == [Send(b"S"), StartTls()]
        login.tls_started(b"binding")
        say(login, HELLO.encode())
        assert login.found(VERIFIER) == [Send(backend.authentication_sasl([SCRAM_PLUS, SCRAM]))]
        client = ScramClient("pencil", (SCRAM_PLUS,), b"binding")
        assert prove(login, client)[-1] == Proven()

    def test_with_tls_from_the_first_byte(self):
        login = login_of(TlsOffer.REQUIRED)
        login.tls_started(b"")
        assert say(login, HELLO.encode()) == [FindVerifier("alice")]

    def test_tls_is_declined_where_there_is_no_certificate(self):
        login = login_of()
        assert say(login, TLS_REQUEST) == [Send(b"N")]
        assert say(login, HELLO.encode()) == [FindVerifier("alice")]

    def test_a_cancel_request_is_the_whole_talk(self):
        request = CancelRequest(7, b"key!")
        assert say(login_of(), request.encode()) == [Cancel(request), HangUp()]

    def test_a_newer_client_is_told_what_is_spoken_here(self):
        login = login_of()
        startup = Startup(9999, {"user": "alice", "_pq_.grease": "1"})
        negotiate = NegotiateProtocolVersion(2, (b"_pq_.grease",)).encode()
        assert say(login, startup.encode()) == [Send(negotiate), FindVerifier("alice")]

    @pytest.mark.parametrize("minor", [0, 1, 2])
    def test_known_versions_need_no_talk(self, minor):
        assert say(login_of(), Startup(minor, {"user": "alice"}).encode()) == [FindVerifier("alice")]


class TestRefusals:
    def test_a_wrong_password_and_an_unknown_login_are_told_the_same(self):
        reports = []
        for verifier, password in ((VERIFIER, "wrong"), (None, "pencil")):
            login = login_of()
            say(login, HELLO.encode())
            login.found(verifier)
            reports.append(told(prove(login, ScramClient(password))))
        assert reports[0] == reports[1]
        assert reports[0].sqlstate == SqlState.INVALID_PASSWORD
        assert reports[0].message == 'password authentication failed for user "alice"'

    def test_clear_text_where_tls_is_required(self):
        report = told(say(login_of(TlsOffer.REQUIRED), HELLO.encode()))
        assert report.sqlstate == SqlState.INVALID_AUTHORIZATION
        assert "clear text" in report.message

    def test_no_user_name(self):
        assert "no user name" in told(say(login_of(), Startup(0, {"database": "x"}).encode())).message

    @pytest.mark.parametrize(
        "sent",
        [
            TLS_REQUEST * 2,
            GSS_REQUEST * 2,
            b"\xff" * 8,
            b"GET / HTTP/1.1\r\n"[:8],
            Startup(0, {"user": "alice"}).encode()[:-1].replace(b"\0\0\0\x14", b"\0\0\0\x13"),
        ],
    )
    def test_garbage(self, sent):
        commands = [one for one in say(login_of(), sent) if one != Send(b"N")]
        assert told(commands).sqlstate == SqlState.PROTOCOL_VIOLATION

    def test_tls_inside_tls(self):
        login = login_of(TlsOffer.OFFERED)
        login.tls_started(b"")
        assert "again" in told(say(login, TLS_REQUEST)).message

    @pytest.mark.parametrize(
        "answer",
        [
            frontend.Query(b"SELECT 1").encode(),
            message(b"p"),
            b"p\x7f\xff\xff\xff",
            frontend.password(b"secret\0"),
            frontend.SaslInitial(b"SCRAM-SHA-256", None).encode(),
            frontend.SaslInitial(b"PLAIN", b"\0alice\0pencil").encode(),
            frontend.SaslInitial(b"SCRAM-SHA-256", b"garbage").encode(),
        ],
    )
    def test_an_answer_that_is_no_scram(self, answer):
        login = login_of()
        say(login, HELLO.encode())
        login.found(VERIFIER)
        done = []
        while not done and answer:
            piece, answer = answer[: login.wants], answer[login.wants :]
            done = login.receive(piece)
        assert told(done).sqlstate == SqlState.PROTOCOL_VIOLATION

    def test_nothing_is_proved_before_it_is_asked_for(self):
        login = login_of()
        say(login, HELLO.encode())
        assert login.wants == 0
        assert "out of turn" in told(login.receive(b"p")).message

    def test_the_gateways_own_errors_are_fatal_ones(self):
        error = Unavailable("`pg-prod` does not answer", hint="try again")
        assert refusal(error, SqlState.CANNOT_CONNECT) == Report(
            "FATAL", "08001", "lapse: `pg-prod` does not answer", hint="try again"
        )


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=20), st.sampled_from(TlsOffer), st.booleans())
def test_any_bytes_end_in_words_and_are_never_proven(pieces, tls, known):
    login = login_of(tls)
    for piece in [TLS_REQUEST, HELLO.encode(), *pieces]:
        data = piece
        while data and login.wants:
            commands = login.receive(data[: login.wants])
            data = data[login.wants :]
            assert Proven() not in commands
            if StartTls() in commands:
                login.tls_started(b"")
            if any(isinstance(one, FindVerifier) for one in commands):
                login.found(VERIFIER if known else None)
            if any(isinstance(one, HangUp) for one in commands):
                return
