"""`lapse init`: make a home folder, its store and keys, and a first token. A second time it changes nothing."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta

from lapse.bootstrap.app import App, open_app
from lapse.bootstrap.home import Home, Settings, write_settings
from lapse.control.tokens import issue_token
from lapse.domain.actors import Scope, system_actor
from lapse.domain.errors import Corrupt, Refused, Unavailable
from lapse.domain.names import check_name
from lapse.ledger.checkpoint import key_of, open_checkpoint
from lapse.ledger.standalone import write_key

FIRST_SCOPES = frozenset({Scope.ADMIN, Scope.AUDIT, Scope.REVIEW})
FIRST_TOKEN_LIFE = timedelta(days=365)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetUp:
    """What `lapse init` did: what is new, or nothing. `key` is the text that verifies the ledger's checkpoints."""

    home: Home
    created: tuple[str, ...]
    admin: str
    key: str


async def set_up(home: Home, settings: Settings, *, admin: str = "admin") -> SetUp:
    """Make what is missing in `home`: settings, keys, store, and a token of the administrator called `admin`.

    Raises:
        Unavailable: the folder cannot be written, or the store cannot be reached.
        Refused: the store belongs to another home.
    """
    check_name(admin, what="principal name")
    made: list[str] = []
    _make_folder(home)
    if not home.exists:
        write_settings(home, settings)
        made.append("settings")
    try:
        key = await _complete(home, admin, made)
    except BaseException:
        if "settings" in made:
            home.settings_file.unlink(missing_ok=True)
        raise
    return SetUp(home=home, created=tuple(made), admin=admin, key=key)


async def refuse_foreign_ledger(app: App) -> None:
    """Raise `Refused` if the store's ledger was sealed with another key or under another name than this home's."""
    note = await app.store.ledger.checkpoint()
    if note is None:
        return
    try:
        open_checkpoint(note, [key_of(app.keyring.signer)])
    except Corrupt:
        raise Refused(
            "the store's ledger was sealed with another key, or under another name",
            hint=f"bring `keys/` and `origin` from the home that made it to `{app.home.path}`, or use another store",
        ) from None


async def _complete(home: Home, admin: str, made: list[str]) -> str:
    async with open_app(home) as app:
        await refuse_foreign_ledger(app)
        if not home.token():
            _, secret = await issue_token(
                app.control,
                system_actor("init"),
                admin,
                FIRST_SCOPES,
                life=FIRST_TOKEN_LIFE,
                note="made by lapse init",
            )
            _write_secret(home, secret)
            made.append("token")
        await app.sequencer.run_once()
        return write_key(key_of(app.keyring.signer))


def _make_folder(home: Home) -> None:
    try:
        home.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        home.reviews.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise Unavailable(f"the folder `{home.path}` cannot be made: {error.strerror}") from None


def _write_secret(home: Home, secret: str) -> None:
    descriptor = os.open(home.token_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(secret + "\n")
