"""Time stamps of manifests (RFC 3161): the request, and the check of the answer before it is believed.

Guarantee: a response is kept only if the authority's certificate leads to a root that the operator named, it answers
this very request (nonce) and stamps this very manifest. How the authority is reached is passed in. Called by
`bootstrap`, which makes the signer of packs a `Stamper` where the operator wants stamps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

from lapse.domain.errors import InvalidInput, Unavailable
from lapse.domain.names import shown
from lapse.ports import Signer

MEDIA_TYPE = "application/timestamp-query"
Ask = Callable[[bytes], bytes]
"""Sends a request's DER to the authority and gives the response's; raises `Unavailable` if it cannot."""


@runtime_checkable
class Stamper(Protocol):
    """A signer of packs that also has their manifests stamped."""

    def stamp(self, manifest: bytes) -> bytes:
        """The DER of a time-stamp response over `manifest`, checked."""


class StampingSigner:
    """Signs as `signer` does, and has manifests stamped by the authority that `ask` reaches.

    `roots` gives the certificates (PEM) that its own must lead to; those in between are taken from there as well.
    """

    def __init__(self, signer: Signer, ask: Ask, roots: Callable[[], bytes]) -> None:
        self._signer, self._ask, self._roots = signer, ask, roots

    @property
    def name(self) -> str:
        """The signer's name."""
        return self._signer.name

    @property
    def public_key(self) -> bytes:
        """The signer's public key."""
        return self._signer.public_key

    def sign(self, message: bytes) -> bytes:
        """The signer's signature."""
        return self._signer.sign(message)

    def stamp(self, manifest: bytes) -> bytes:
        """The response's DER over the SHA-256 of `manifest`.

        Raises:
            Unavailable: the authority cannot be reached, refuses, or its answer cannot be believed.
            InvalidInput: what is needed for it is not installed, or the roots cannot be read.
        """
        rfc3161 = _library()
        roots = _certificates(self._roots())
        request = rfc3161.TimestampRequestBuilder().data(manifest).hash_algorithm(rfc3161.HashAlgorithm.SHA256)
        built = request.nonce(nonce=True).cert_request(cert_request=True).build()
        response = self._ask(built.as_bytes())
        try:
            _believe(rfc3161, response, manifest, roots, built)
        except (ValueError, rfc3161.VerificationError) as error:
            raise Unavailable(
                f"the time-stamp authority's answer cannot be believed: {shown(str(error), 200)}",
                hint="see that `timestamp_roots` has the authority's root, or take `timestamp_url` out of lapse.toml",
            ) from None
        return response


def check_stamp(response: bytes, manifest: bytes, roots: bytes) -> None:
    """See that `response` stamps `manifest`, and that its certificate leads to one of `roots` (PEM).

    Raises:
        InvalidInput: it does not, or cannot be read; the message says why.
    """
    rfc3161 = _library()
    try:
        _believe(rfc3161, response, manifest, _certificates(roots), None)
    except (ValueError, rfc3161.VerificationError) as error:
        raise InvalidInput(f"the time stamp cannot be believed: {shown(str(error), 200)}") from None


def _believe(rfc3161: Any, response: bytes, manifest: bytes, roots: list[Any], request: Any) -> None:
    builder = rfc3161.VerifierBuilder.from_request(request) if request is not None else rfc3161.VerifierBuilder()
    for certificate in roots:
        builder = builder.add_root_certificate(certificate)
    builder.build().verify_message(rfc3161.decode_timestamp_response(response), manifest)


def _library() -> Any:
    try:
        import rfc3161_client
    except ImportError:
        raise InvalidInput(
            "time stamps need a library that is not installed", hint="pip install lapse[timestamp]"
        ) from None
    return rfc3161_client


def _certificates(pem: bytes) -> list[Any]:
    from cryptography.x509 import load_pem_x509_certificates

    try:
        return load_pem_x509_certificates(pem)
    except ValueError:
        raise InvalidInput(
            "the roots of the time-stamp authority cannot be read", hint="`timestamp_roots` is a PEM file"
        ) from None
