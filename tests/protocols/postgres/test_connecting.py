"""Logins on servers, as transcripts; and servers that lie."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lapse.domain.errors import InvalidInput
from lapse.protocols.postgres import backend, connecting, frontend
from lapse.protocols.postgres.backend import BackendKeyData, NegotiateProtocolVersion, Report
from lapse.protocols.postgres.connecting import Channel, Demands, ServerLogin, ServerRefused
from lapse.protocols.postgres.framing import SERVER_KINDS, Message, MessageReader, ProtocolViolation
from lapse.protocols.postgres.scram import SCRAM, SCRAM_PLUS, ScramServer, Verifier
from lapse.protocols.postgres.startup import Startup

VERIFIER = Verifier.of_password("pencil", iterations=1)
OK = backend.authentication(backend.AUTH_OK)
READY = backend.ready_for_query()
KEY = BackendKeyData(7, b"key!")
VERIFIED = Channel(encrypted=True, verified=True, end_point=b"binding")
UNVERIFIED = Channel(encrypted=True, end_point=b"binding")


CLEAR = Channel()


def login_of(channel=CLEAR, *, password="pencil", **demands):  # noqa: S107
    return ServerLogin("app", password, channel, Demands.of(demands))


def hear(login, *messages):
    """What the login sends for the server's `messages`."""
    reader = MessageReader(100_000, SERVER_KINDS)
    for one in messages:
        reader.feed(one)
    return b"".join(login.receive(one) for one in reader)


def run_scram(login, offered=(SCRAM,), end_point=b"", verifier=VERIFIER):
    """The server's part of SCRAM up to its own proof, which is returned."""
    server = ScramServer(verifier, genuine=True, end_point=end_point)
    initial = frontend.SaslInitial.read(hear(login, backend.authentication_sasl(offered))[5:])
    challenge = server.first(initial.mechanism.decode(), initial.data)
    final = hear(login, backend.authentication(backend.AUTH_SASL_CONTINUE, challenge))
    return backend.authentication(backend.AUTH_SASL_FINAL, server.final(final[5:]))


class TestWay:
    def test_with_scram(self):
        login = login_of()
        assert login.begin({"database": "shop"}) == Startup(0, {"user": "app", "database": "shop"}).encode()
        proof = run_scram(login)
        status = backend.parameter_status(b"server_version", b"15.3")
        assert hear(login, proof, OK, status, KEY.encode(), READY) == b""
        assert login.ready
        assert login.parameters == {b"server_version": b"15.3"}
        assert login.key == KEY

    def test_channels_are_bound_where_both_can(self):
        login = login_of(UNVERIFIED, channel_binding="require")
        hear(login, run_scram(login, (SCRAM_PLUS, SCRAM), b"binding"), OK, READY)
        assert login.ready

    def test_without_a_password(self):
        login = login_of(password="")
        hear(login, OK, READY)
        assert login.ready
        assert login.key is None

    def test_in_clear_text_to_a_server_whose_certificate_was_verified(self):
        login = login_of(VERIFIED)
        assert hear(login, backend.authentication(backend.AUTH_CLEARTEXT)) == frontend.password(b"pencil\0")
        hear(login, OK, READY)
        assert login.ready

    def test_what_the_server_remarks_is_kept(self):
        login = login_of()
        notice = Report("NOTICE", "00000", "welcome")
        hear(login, NegotiateProtocolVersion(0).encode(), notice.notice(), OK, READY)
        assert login.notices == [notice]


class TestDistrust:
    def test_a_server_that_says_no(self):
        report = Report("FATAL", "3D000", "database does not exist")
        with pytest.raises(ServerRefused) as refused:
            hear(login_of(), report.error())
        assert refused.value.report == report

    @pytest.mark.parametrize("channel", [Channel(), UNVERIFIED])
    def test_no_clear_password_to_anybody(self, channel):
        with pytest.raises(ProtocolViolation, match="clear text"):
            hear(login_of(channel), backend.authentication(backend.AUTH_CLEARTEXT))

    def test_no_md5(self):
        with pytest.raises(ProtocolViolation, match="MD5"):
            hear(login_of(VERIFIED), backend.authentication(5, b"salt"))

    def test_no_kind_that_is_not_known(self):
        with pytest.raises(ProtocolViolation, match="kind 7"):
            hear(login_of(), backend.authentication(7))

    def test_a_server_that_skips_its_proof(self):
        login = login_of()
        run_scram(login)
        with pytest.raises(ProtocolViolation, match="impostor"):
            hear(login, OK)

    def test_a_server_with_a_wrong_proof(self):
        login = login_of()
        run_scram(login)
        with pytest.raises(ProtocolViolation, match="impostor"):
            hear(login, backend.authentication(backend.AUTH_SASL_FINAL, b"v=AAAA"))

    def test_a_server_without_scram(self):
        with pytest.raises(ProtocolViolation, match="no SCRAM-SHA-256"):
            hear(login_of(), backend.authentication_sasl(["PLAIN"]))

    def test_a_server_that_asks_twice(self):
        login = login_of(VERIFIED)
        hear(login, backend.authentication(backend.AUTH_CLEARTEXT))
        with pytest.raises(ProtocolViolation, match="again"):
            hear(login, backend.authentication_sasl([SCRAM]))

    def test_a_password_that_nobody_knows(self):
        with pytest.raises(ProtocolViolation, match="none is known"):
            hear(login_of(password=""), backend.authentication_sasl([SCRAM]))

    @pytest.mark.parametrize("code", [backend.AUTH_SASL_CONTINUE, backend.AUTH_SASL_FINAL])
    def test_an_exchange_out_of_nowhere(self, code):
        with pytest.raises(ProtocolViolation, match="did not begin"):
            hear(login_of(), backend.authentication(code, b"x"))

    @pytest.mark.parametrize("early", [READY, KEY.encode(), backend.parameter_status(b"a", b"b")])
    def test_a_server_that_is_ready_before_it_asked_who_we_are(self, early):
        with pytest.raises(ProtocolViolation, match="does not belong to a login"):
            hear(login_of(), early)

    def test_a_server_that_sends_rows(self):
        with pytest.raises(ProtocolViolation, match="`D` that does not belong"):
            hear(login_of(), OK, backend.data_row([b"x"]))

    def test_a_server_that_authenticates_twice(self):
        with pytest.raises(ProtocolViolation, match="`R` that does not belong"):
            hear(login_of(), OK, OK)

    def test_a_server_that_never_ends(self):
        many = [backend.parameter_status(b"p%d" % number, b"") for number in range(connecting.MOST_MESSAGES)]
        with pytest.raises(ProtocolViolation, match="too much"):
            hear(login_of(), OK, *many)
        long = [Report("NOTICE", "00000", "x" * 50_000).notice()] * 21
        with pytest.raises(ProtocolViolation, match="too much"):
            hear(login_of(), *long)

    def test_after_it_is_ready_it_is_no_login_any_more(self):
        login = login_of()
        hear(login, OK, READY)
        with pytest.raises(ProtocolViolation):
            hear(login, READY)

    @given(st.lists(st.builds(Message, st.sampled_from(sorted(SERVER_KINDS)), st.binary(max_size=30)), max_size=6))
    def test_any_messages_end_in_words(self, messages):
        login = login_of()
        try:
            for one in messages:
                login.receive(one)
        except (ProtocolViolation, ServerRefused):
            assert not login.ready

    def test_the_password_is_not_shown(self):
        assert "pencil" not in repr(login_of())


class TestDemands:
    def test_a_server_that_asks_for_nothing(self):
        with pytest.raises(ProtocolViolation, match="asks for no password"):
            hear(login_of(require_auth="scram-sha-256"), OK)

    def test_a_server_that_asks_for_another_method(self):
        with pytest.raises(ProtocolViolation, match="`password`"):
            hear(
                login_of(VERIFIED, require_auth="scram-sha-256, none"),
                backend.authentication(backend.AUTH_CLEARTEXT),
            )

    def test_a_server_that_binds_no_channel(self):
        with pytest.raises(ProtocolViolation, match="SCRAM-SHA-256-PLUS"):
            hear(login_of(VERIFIED, channel_binding="require"), backend.authentication_sasl([SCRAM]))
        with pytest.raises(ProtocolViolation, match="binds no channel"):
            hear(login_of(VERIFIED, channel_binding="require"), OK)

    def test_a_method_that_is_not_known(self):
        with pytest.raises(InvalidInput, match="`md5`"):
            Demands.of({"require_auth": "scram-sha-256,md5"})
