import pytest

from lapse.protocols.ssh.commands import Command, CommandKind, read_command


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("scp -t /srv/x", Command(kind=CommandKind.SCP, path="/srv/x", upload=True)),
        ("scp -r -p -f -- ~/a.b", Command(kind=CommandKind.SCP, path="~/a.b", upload=False)),
        (
            "rsync --server -vlogDtpre.iLsfxCIvu . /srv/x",
            Command(kind=CommandKind.RSYNC, path="/srv/x", upload=True),
        ),
        (
            "rsync --server --sender -vlogDtpre.iLsfxCIvu --delete . a b",
            Command(kind=CommandKind.RSYNC, path="a b", upload=False),
        ),
        ("/usr/lib/openssh/sftp-server", Command(kind=CommandKind.SFTP)),
        ("uptime", Command(kind=CommandKind.EXEC)),
        ("bash", Command(kind=CommandKind.EXEC, interpreter=True)),
        ("sudo LANG=C /bin/sh -i", Command(kind=CommandKind.EXEC, interpreter=True)),
        ("python3 run.py", Command(kind=CommandKind.EXEC)),
        ("", Command(kind=CommandKind.EXEC)),
    ],
)
def test_a_command_line_is_recognised(line, command):
    assert read_command(line) == command


@pytest.mark.parametrize(
    "line",
    [
        "scp -t /srv/x; id",
        "scp -t $(id)",
        "scp -t /srv/x\nid",
        "scp -t `id`",
        "scp -t a b",
        "scp -S /bin/sh -f x",
        "rsync --server -e. . x | id",
        "rsync --server --daemon .",
        "rsync --server -e. --log-file=/etc/passwd . x",
        "rsync --server -e. --rsh=sh . x",
        "/home/eve/sftp-server",
        "/usr/lib/openssh/sftp-server -d / && id",
    ],
)
def test_what_a_shell_could_stretch_is_an_ordinary_command(line):
    assert read_command(line).kind is CommandKind.EXEC
