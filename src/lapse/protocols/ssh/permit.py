"""What an entitlement's sessions may do over SSH: the word list `permit` of its `native` settings.

Used by the gateway for every channel and request, and for the extensions of certificates. What is not named is
refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lapse.domain.errors import InvalidInput

DEFAULT = "shell exec sftp"
WORDS = frozenset({"shell", "exec", "sftp", "scp", "rsync", "forward-local", "forward-remote", "agent"})
_SUBSYSTEM = "subsystem:"


@dataclass(frozen=True, slots=True)
class Permit:
    """The words that stand in it, each of `WORDS` or `subsystem:NAME`."""

    words: frozenset[str]

    def __contains__(self, word: str) -> bool:
        return word in self.words

    def subsystem(self, name: str) -> bool:
        """Whether the subsystem `name` may be used; `sftp` has its own word."""
        return ("sftp" if name == "sftp" else _SUBSYSTEM + name) in self.words

    @property
    def terminal(self) -> bool:
        """Whether a pseudo-terminal may be had."""
        return bool(self.words & {"shell", "exec"})

    @property
    def extensions(self) -> tuple[str, ...]:
        """The extensions of a certificate that permits the same to a client without the gateway (PROTOCOL.certkeys)."""
        found = {"permit-pty"} if self.terminal else set()
        if self.words & {"forward-local", "forward-remote"}:
            found.add("permit-port-forwarding")
        if "agent" in self.words:
            found.add("permit-agent-forwarding")
        return tuple(sorted(found))


def parse_permit(text: str) -> Permit:
    """Read the words of `text`, with blanks between them.

    Raises:
        InvalidInput: a word is not known.
    """
    words = frozenset(text.split())
    for word in sorted(words):
        if word not in WORDS and not (word.startswith(_SUBSYSTEM) and len(word) > len(_SUBSYSTEM)):
            raise InvalidInput(
                f"`{word}` is not something that `permit` can name",
                hint=f"use {', '.join(sorted(WORDS))} or subsystem:NAME",
            )
    return Permit(words)


def permit_of(native: Mapping[str, str]) -> Permit:
    """What the entitlement's `native` settings permit; `shell exec sftp` where they do not say."""
    return parse_permit(native.get("permit", DEFAULT))
