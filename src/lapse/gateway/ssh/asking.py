"""What a client asks for on a channel, and whether its entitlement permits it. Pure; used by `channels`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lapse.protocols.ssh.commands import Command, CommandKind, read_command
from lapse.protocols.ssh.permit import Permit

SHELL, SUBSYSTEM = "shell", "subsystem"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """`kind` is `shell`, `subsystem`, or the permit's word for a command; `text` the command line or subsystem."""

    kind: str
    text: str = ""
    command: Command | None = None

    @classmethod
    def shell(cls) -> Asked:
        """A login shell."""
        return cls(kind=SHELL)

    @classmethod
    def command_line(cls, text: str) -> Asked:
        """A command."""
        command = read_command(text)
        return cls(kind=str(command.kind), text=text, command=command)

    @classmethod
    def subsystem(cls, name: str) -> Asked:
        """A subsystem."""
        return cls(kind=SUBSYSTEM, text=name)

    @property
    def is_sftp(self) -> bool:
        """Whether SFTP is spoken on the channel, by whatever name it was asked for."""
        return (self.kind == SUBSYSTEM and self.text == "sftp") or self.kind == CommandKind.SFTP

    @property
    def is_transfer(self) -> bool:
        """Whether the channel carries files rather than what somebody reads."""
        return self.is_sftp or self.kind in {CommandKind.SCP, CommandKind.RSYNC}

    @property
    def for_people(self) -> bool:
        """Whether somebody may read what is said on it."""
        return not self.is_transfer and self.kind != SUBSYSTEM

    @property
    def counts_as(self) -> str:
        """The word under which it is counted."""
        return "sftp" if self.is_sftp else self.kind

    def permitted(self, permit: Permit) -> bool:
        """Whether an entitlement with `permit` allows it. Who may run any command may also copy with one."""
        if self.kind == SUBSYSTEM:
            return permit.subsystem(self.text)
        return self.kind in permit or (self.command is not None and "exec" in permit)

    def about(self, chan: Any) -> dict[str, Any]:
        """For the recording."""
        terminal = chan.get_terminal_type()
        width, height, _, _ = chan.get_terminal_size()
        return {
            "kind": self.counts_as,
            "command": self.text,
            "terminal": {"type": terminal, "width": width, "height": height} if terminal else None,
            "upload": self.command.upload if self.command else None,
            "path": self.command.path if self.command else "",
        }
