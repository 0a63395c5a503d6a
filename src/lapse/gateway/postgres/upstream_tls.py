"""TLS towards a target's server, as libpq's `sslmode` and its kin say it. Called by `upstream`."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass

from lapse.domain.errors import InvalidInput
from lapse.gateway.tls import CIPHERS
from lapse.ports import Upstream

MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


@dataclass(frozen=True)
class UpstreamTls:
    """`context` is None where TLS is not wanted; `required`: nothing is said in clear text.

    `verified`: the certificate is known to be the server's.
    """

    context: ssl.SSLContext | None
    required: bool = False
    verified: bool = False


def upstream_tls(upstream: Upstream) -> UpstreamTls:
    """What the parameters of an upstream ask for (libpq, 34.19).

    Raises:
        InvalidInput: the mode is unknown, or a file cannot be used.
    """
    mode = upstream.parameters.get("sslmode", "prefer")
    if mode not in MODES:
        raise InvalidInput(f"`sslmode={mode}` is not known", hint=f"use one of {', '.join(MODES)}")
    if mode == "disable" or upstream.host.startswith("/"):
        if upstream.certificate:
            raise InvalidInput("the account logs in with a certificate, and `sslmode` allows no TLS")
        return UpstreamTls(None)
    roots = upstream.parameters.get("sslrootcert", "")
    if mode == "require" and roots:
        mode = "verify-ca"
    verify = mode in {"verify-ca", "verify-full"}
    context = _context(upstream, roots, verify=verify, names=mode == "verify-full")
    required = verify or mode == "require" or bool(upstream.certificate)
    return UpstreamTls(context, required=required, verified=verify)


def _context(upstream: Upstream, roots: str, *, verify: bool, names: bool) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.check_hostname = names
    context.verify_mode = ssl.CERT_REQUIRED if verify else ssl.CERT_NONE
    try:
        if verify:
            _trust(context, roots)
        if upstream.certificate:
            _present(context, upstream)
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
        raise InvalidInput(f"TLS towards the target cannot be set up: {str(reason).lower()}") from None
    return context


def _trust(context: ssl.SSLContext, roots: str) -> None:
    if roots and roots != "system":
        context.load_verify_locations(roots)
    else:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)


def _present(context: ssl.SSLContext, upstream: Upstream) -> None:
    """OpenSSL reads certificate and key from a file: one in memory, which nobody else can open."""
    handle = os.memfd_create("certificate", os.MFD_CLOEXEC)
    try:
        os.write(handle, f"{upstream.certificate}\n{upstream.private_key}\n".encode())
        context.load_cert_chain(f"/proc/self/fd/{handle}")
    finally:
        os.close(handle)
