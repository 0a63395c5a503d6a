"""What `[gateway]` in `lapse.toml` says: where a gateway listens, with which certificate, and how it ends.

Used by `bootstrap.home`, which reads and writes the file, and by `assembly`. Imports nothing heavy.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from lapse.domain.errors import InvalidInput

MOST_WORKERS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySettings:
    """`postgresql` and `ssh` are where these are spoken (empty: nowhere), `…_public` what clients use instead.

    `certificate` and `key` are PEM files. `workers` 0: within `lapse serve`; else so many processes of `lapse gateway`.
    `metrics` is where Prometheus asks the first process, the next ones answer on the ports after it. `traces` is an
    OTLP address.
    """

    postgresql: str = ""
    postgresql_public: str = ""
    ssh: str = ""
    ssh_public: str = ""
    certificate: str = ""
    key: str = ""
    require_tls: bool = False
    drain: timedelta = timedelta(seconds=20)
    workers: int = 0
    metrics: str = ""
    traces: str = ""

    @property
    def listening(self) -> dict[str, str]:
        """By protocol, where a gateway is to listen."""
        return {protocol: text for protocol, text in (("postgresql", self.postgresql), ("ssh", self.ssh)) if text}

    @property
    def public(self) -> dict[str, str]:
        """By protocol, what clients use where it is not where the gateway listens."""
        pairs = (("postgresql", self.postgresql_public), ("ssh", self.ssh_public))
        return {protocol: text for protocol, text in pairs if text}

    def check(self) -> None:
        """Raise `InvalidInput` if they cannot be meant."""
        for name, text in {"postgresql": self.postgresql, "ssh": self.ssh, "metrics": self.metrics}.items():
            if text:
                parse_address(text, f"`{name}` in [gateway]")
        if not 0 <= self.workers <= MOST_WORKERS:
            raise InvalidInput(f"`workers` in [gateway] must be between 0 and {MOST_WORKERS}")
        if bool(self.certificate) is not bool(self.key):
            raise InvalidInput("[gateway] needs both `certificate` and `key`, or neither")
        if self.require_tls and not self.certificate:
            raise InvalidInput("`require_tls` in [gateway] needs `certificate` and `key`")
        for protocol, text in self.listening.items():
            host, port = parse_address(text)
            if protocol != "ssh" and not self.certificate and not _loopback(host):
                raise InvalidInput(
                    f"the gateway for {protocol} would listen on `{host}` without a certificate",
                    hint="set `certificate` and `key` in [gateway] of lapse.toml, or listen on 127.0.0.1",
                )
            if port == 0 and self.workers > 1:
                raise InvalidInput(f"several workers need a port of their own choice for `{protocol}`, not 0")


def parse_address(text: str, what: str = "") -> tuple[str, int]:
    """Host and port of `127.0.0.1:7380` or `[::1]:7380`; port 0 is any free one."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65_535:  # noqa: PLR2004
        where = f"{what}: " if what else ""
        raise InvalidInput(f"{where}`{text[:60]}` is not an address", hint="write it as `127.0.0.1:7380`")
    return host.strip("[]"), int(port)


def _loopback(host: str) -> bool:
    return host in {"localhost", "::1"} or host.startswith("127.")


TEMPLATE = """
[gateway]
# Where the gateway for PostgreSQL listens, e.g. "127.0.0.1:6432". Empty: nowhere.
postgresql = {postgresql}

# Host and port that clients use, where they are others, e.g. "db.example.com:5432".
postgresql_public = {postgresql_public}

# Where the gateway for SSH listens, e.g. "127.0.0.1:2222", and what clients use where that is another.
ssh = {ssh}
ssh_public = {ssh_public}

# The gateway's certificate and key (PEM). Another address than loopback needs them.
certificate = {certificate}
key = {key}

# true: clients in clear text are refused.
require_tls = {require_tls}

# How long sessions may go on when the gateway is told to end.
drain = {drain}

# 0: the gateway is a part of `lapse serve`. Else: of `lapse gateway`, which runs so many processes.
workers = {workers}

# Where Prometheus finds figures, e.g. "127.0.0.1:9380"; the second process has the next port, and so on.
metrics = {metrics}

# Where traces are sent by OTLP over HTTP, e.g. "http://127.0.0.1:4318". Empty: as OTEL_EXPORTER_OTLP_ENDPOINT says.
traces = {traces}
"""
