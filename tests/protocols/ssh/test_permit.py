import pytest

from lapse.domain.errors import InvalidInput
from lapse.protocols.ssh.permit import parse_permit, permit_of


def test_shell_commands_and_sftp_are_permitted_where_nothing_is_said():
    permit = permit_of({})
    assert "shell" in permit
    assert "exec" in permit
    assert permit.subsystem("sftp")
    assert "scp" not in permit
    assert "forward-local" not in permit
    assert permit.extensions == ("permit-pty",)


def test_a_subsystem_is_named():
    permit = permit_of({"permit": "subsystem:netconf"})
    assert permit.subsystem("netconf")
    assert not permit.subsystem("sftp")
    assert not permit.terminal
    assert permit.extensions == ()


def test_forwarding_and_the_agent_have_extensions_of_certificates():
    assert parse_permit("forward-remote agent").extensions == ("permit-agent-forwarding", "permit-port-forwarding")


def test_nothing_may_be_permitted():
    assert not parse_permit("").words


@pytest.mark.parametrize("word", ["shel", "subsystem:", "all", "SHELL"])
def test_an_unknown_word_is_refused(word):
    with pytest.raises(InvalidInput, match=f"`{word}`"):
        parse_permit(f"shell {word}")
