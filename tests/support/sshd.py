"""A private sshd on a free port of 127.0.0.1, ended by process id; it logs to a file that tests may wait on.

`Sshd.start(folder, ca, ...)` gives one that trusts a CA. It runs as whoever runs the tests, so the only account that
can log in is that user's (`Sshd.user`).
"""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from support.ports import free_port

SSHD = shutil.which("sshd") or "/usr/sbin/sshd"


@dataclass
class Sshd:
    folder: Path
    port: int
    process: subprocess.Popen | None = None
    user: str = field(default_factory=getpass.getuser)

    @classmethod
    def start(cls, folder, *, ca="", principals="", krl=b"", lines=()):
        """`principals`: what `AuthorizedPrincipalsCommand` prints (`%u` is the account); empty: the account's name."""
        folder.mkdir(parents=True, exist_ok=True)
        made = cls(folder, free_port())
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "host_key"], check=True, capture_output=True
        )
        (folder / "ca.pub").write_text(ca + "\n")
        made.revoke(krl)
        given = [f"TrustedUserCAKeys {folder}/ca.pub"] if ca else []
        given += [f"RevokedKeys {folder}/krl"] if krl else []
        if principals:
            given += [f"AuthorizedPrincipalsCommand /usr/bin/echo {principals}",
                      f"AuthorizedPrincipalsCommandUser {made.user}"]  # fmt: skip
        (folder / "config").write_text("\n".join([*made._base(), *given, *lines]) + "\n")
        made.begin()
        return made

    def _base(self):
        return [
            f"Port {self.port}",
            "ListenAddress 127.0.0.1",
            f"HostKey {self.folder}/host_key",
            f"PidFile {self.folder}/pid",
            f"AuthorizedKeysFile {self.folder}/authorized_keys",
            "UsePAM no",
            "StrictModes no",
            "PermitRootLogin prohibit-password",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "MaxStartups 500",
            "MaxSessions 500",
            "LogLevel VERBOSE",
            "AcceptEnv LANG",
            "Subsystem sftp internal-sftp",
        ]

    def begin(self):
        """Start it, or start it again on the same port with the same key."""
        with contextlib.suppress(OSError):
            Path("/run/sshd").mkdir(exist_ok=True)  # where sshd separates its privileges when it runs as root
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [SSHD, "-D", "-e", "-f", str(self.folder / "config")], stderr=log, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        deadline = time.monotonic() + 10
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(self.log)
            time.sleep(0.02)

    def revoke(self, krl):
        """Put another revocation list in force: sshd reads it at each login."""
        fresh = self.folder / "krl.new"
        fresh.write_bytes(krl)
        fresh.rename(self.folder / "krl")

    @property
    def log_file(self):
        return self.folder / "log"

    @property
    def log(self):
        return self.log_file.read_text(errors="replace")

    @property
    def host_key(self):
        """OpenSSH's text without comment."""
        return " ".join((self.folder / "host_key.pub").read_text().split()[:2])

    @property
    def dsn(self):
        from urllib.parse import quote

        return f"ssh://127.0.0.1:{self.port}?host_key={quote(self.host_key, safe='')}"

    def stop(self):
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(10)
            self.process = None

    def end_sessions(self):
        """Nothing of it is left: its children are in no group of their own, so they are found by their parent."""
        if self.process is not None:
            for child in _children(self.process.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGTERM)


def _children(pid):
    with contextlib.suppress(OSError):
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []
