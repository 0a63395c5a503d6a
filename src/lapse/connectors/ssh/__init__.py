"""Access to hosts by certificates: nothing is changed there, and what a host refuses is seen by trying.

`docs/connectors/ssh.md` says how a host is prepared.
"""

from __future__ import annotations

from lapse.connectors.ssh.connector import SshConnector
from lapse.connectors.ssh.probe import Limits

__all__ = ["Limits", "SshConnector"]
