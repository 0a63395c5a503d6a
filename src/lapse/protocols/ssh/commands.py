"""What a command line that an SSH client sends is for: a file transfer that has a word of its own, or any command.

Used by the gateway to permit and to count. A transfer is recognised only where the whole line has the exact shape that
the client program sends: no character that a shell would act on. Everything else is `exec`, so that a permit for
transfers alone cannot be stretched.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from posixpath import basename


class CommandKind(StrEnum):
    """The permit's word for a command."""

    EXEC = "exec"
    SCP = "scp"
    RSYNC = "rsync"
    SFTP = "sftp"


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """`kind` is the permit's word, `upload` whether a transfer writes on the target (None: no transfer).

    `interpreter`: the line starts a program that reads commands from its input, so that the line says little.
    """

    kind: CommandKind
    path: str = ""
    upload: bool | None = None
    interpreter: bool = False


# A path without anything that a shell acts on; a leading ~ or a blank behind a backslash is harmless.
_PATH = r"(?:[A-Za-z0-9_.,:@%+=/~-]|\\ )+"
_SCP = re.compile(rf"scp(?: -[vrpdq]+)* -(?P<way>[tf])(?: --)? (?P<path>{_PATH})")
_RSYNC = re.compile(
    rf"rsync --server(?P<sender> --sender)? -[A-Za-z]+(?:\.[A-Za-z]*)?(?P<options>(?: --[a-z][a-z0-9=.-]*)*)"
    rf" \.(?: (?P<path>{_PATH}(?: {_PATH})*))?"
)
# These let the side that sends the line read or write other files than those it names, or run programs.
_RSYNC_OPEN = ("--log-file", "--daemon", "--config", "--rsh", "--rsync-path", "--files-from", "--temp-dir")
_SFTP = re.compile(r"(?:/usr/(?:lib|libexec)/(?:openssh/|ssh/)?)?sftp-server")
_INTERPRETERS = frozenset(
    {"sh", "bash", "dash", "ash", "zsh", "ksh", "fish", "csh", "tcsh", "python", "python3", "perl", "ruby", "node"}
)
_PREFIXES = frozenset({"exec", "sudo", "env", "nohup"})


def read_command(line: str) -> Command:
    """What `line` is."""
    return _scp(line) or _rsync(line) or _sftp(line) or _other(line)


def _scp(line: str) -> Command | None:
    found = _SCP.fullmatch(line)
    if found is None:
        return None
    return Command(kind=CommandKind.SCP, path=found["path"], upload=found["way"] == "t")


def _rsync(line: str) -> Command | None:
    found = _RSYNC.fullmatch(line)
    if found is None or any(option in found["options"] for option in _RSYNC_OPEN):
        return None
    return Command(kind=CommandKind.RSYNC, path=found["path"] or "", upload=found["sender"] is None)


def _sftp(line: str) -> Command | None:
    return Command(kind=CommandKind.SFTP) if _SFTP.fullmatch(line) else None


def _other(line: str) -> Command:
    words = line.split()
    while words and (words[0] in _PREFIXES or "=" in words[0]):
        words = words[1:]
    bare = bool(words) and basename(words[0]) in _INTERPRETERS
    return Command(kind=CommandKind.EXEC, interpreter=bare and all(word.startswith("-") for word in words[1:]))
