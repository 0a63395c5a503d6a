"""The part of the in-memory store that knows of people in the browser. Used by `fakes.store` alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from lapse.domain.sign_ins import SignIn

SIGN_IN_TABLES = ("sign-in",)


class FakeSignInTransaction:
    """Reads and writes sign-ins; the tables are those of the transaction that inherits it."""

    tables: dict[str, dict[Any, Any]]

    async def sign_in(self, sign_in_id: str) -> SignIn:
        return self._one("sign-in", sign_in_id)

    async def sign_in_by_digest(self, digest: str) -> SignIn | None:
        return next(iter(self._where("sign-in", digest=digest)), None)

    async def sign_ins(self, principal: str | None = None) -> Sequence[SignIn]:
        return self._where("sign-in", principal=principal)

    async def add_sign_in(self, sign_in: SignIn) -> None:
        if self._where("sign-in", digest=sign_in.digest):
            raise self._fail(f"sign-in `{sign_in.id}` already exists")
        self._add("sign-in", sign_in.id, sign_in)

    async def save_sign_in(self, sign_in: SignIn) -> None:
        self._save("sign-in", sign_in)

    async def forget_sign_ins(self, before: datetime) -> None:
        table = self._table("sign-in")
        for key in [key for key, one in table.items() if one.expires_at < before]:
            del table[key]
