"""An authority with keys in memory, fresh for each test; it remembers what it signed."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lapse.protocols.ssh.certificates import sign
from lapse.protocols.ssh.keys import public_text
from lapse.storage.client_ca import ClientCa


class FakeAuthority:
    def __init__(self, now=lambda: datetime.now(UTC)):
        self._ssh = Ed25519PrivateKey.generate()
        self._tls = ClientCa.read(ClientCa.new(now()).pem, "memory", now)
        self._root = self._ssh.private_bytes_raw()
        self.orders = []

    @property
    def ssh_public_key(self):
        return public_text(self._ssh.public_key())

    @property
    def tls_certificate(self):
        return self._tls.certificate

    def sign_ssh(self, order):
        self.orders.append(order)
        return sign(self._ssh, order)

    def sign_tls(self, common_name, not_after):
        return self._tls.sign(common_name, not_after)

    def derive(self, purpose, subject):
        return hmac.digest(self._root, f"{len(purpose)}:{purpose}{subject}".encode(), hashlib.sha256)
