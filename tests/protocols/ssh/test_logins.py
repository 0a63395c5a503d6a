import pytest

from lapse.domain.errors import InvalidInput
from lapse.protocols.ssh.logins import Login, parse_login


@pytest.mark.parametrize(
    ("name", "login"),
    [
        ("alice", Login(principal="alice")),
        ("alice%web-1", Login(principal="alice", resource="web-1")),
        ("alice@example.com%web-1%deploy", Login(principal="alice@example.com", resource="web-1", role="deploy")),
    ],
)
def test_a_user_name_says_who_wants_what(name, login):
    assert parse_login(name) == login


@pytest.mark.parametrize("name", ["", "%web-1", "alice%", "alice%%deploy", "a%b%c%d", "alice%web\n1", "a" * 257])
def test_a_name_of_another_form_is_refused(name):
    with pytest.raises(InvalidInput, match="PRINCIPAL%RESOURCE"):
        parse_login(name)
