"""What the store keeps of people in the browser."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from lapse.domain.sign_ins import SignIn


class SignInReader(Protocol):
    """The reading part; see `ports.Reader`."""

    async def sign_in(self, sign_in_id: str) -> SignIn: ...
    async def sign_in_by_digest(self, digest: str) -> SignIn | None: ...
    async def sign_ins(self, principal: str | None = None) -> Sequence[SignIn]:
        """Those that are kept, live or not; of everybody, or of one principal; by id."""
        ...


class SignInWriter(Protocol):
    """The writing part; see `ports.Transaction`."""

    async def add_sign_in(self, sign_in: SignIn) -> None: ...
    async def save_sign_in(self, sign_in: SignIn) -> None:
        """Replace the version before, or `Conflict`."""
        ...

    async def forget_sign_ins(self, before: datetime) -> None:
        """Those that expired before then; costs grow with what is forgotten."""
        ...
