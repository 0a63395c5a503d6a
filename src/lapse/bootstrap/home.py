"""The home folder of one lapse: where its settings, keys, first token and embedded store are.

    lapse.toml    settings, written by `lapse init`, edited by people
    token         the administrator's token (mode 0600)
    keys/         the signing and the sealing key (mode 0700)
    lapse.db      the store, unless `store` names a PostgreSQL
    reviews/      one folder a review
    kept/         what reviews have computed and can use again; deleting it is always safe
    recordings/   what went through the gateway, encrypted (mode 0700)
    gateways/     what the gateway processes of this machine keep for themselves (mode 0700)
    server.json   address and process id of the running server, if one runs
    lock          held by whoever works on the store

Used by `bootstrap` and the CLI; imports nothing heavy.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from lapse.bootstrap.gateways.settings import TEMPLATE as GATEWAY_TEMPLATE
from lapse.bootstrap.gateways.settings import GatewaySettings, parse_address
from lapse.bootstrap.stamps import TEMPLATE as REVIEW_TEMPLATE
from lapse.bootstrap.stamps import ReviewSettings
from lapse.domain.durations import iso_duration, parse_duration
from lapse.domain.errors import InvalidInput, NotFound

DEFAULT_LISTEN = "127.0.0.1:7380"
LOG_LEVELS = ("debug", "info", "warning", "error")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What `lapse.toml` says. `store` is a URL; empty means the SQLite file of the home folder.

    `local_users` lets callers on this machine act as anyone without a token: for demos on loopback only.
    `reconcile_every` is how often each target is read and compared with what should be there.
    """

    store: str = ""
    listen: str = DEFAULT_LISTEN
    origin: str = "lapse.local/ledger"
    local_users: bool = False
    reconcile_every: timedelta = timedelta(minutes=5)
    log_level: str = "info"
    gateway: GatewaySettings = field(default_factory=GatewaySettings)
    review: ReviewSettings = field(default_factory=ReviewSettings)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to listen on."""
        return parse_address(self.listen)


@dataclass(frozen=True, slots=True)
class Home:
    """A home folder, which may not exist yet."""

    path: Path

    @property
    def settings_file(self) -> Path:
        """Where the settings are."""
        return self.path / "lapse.toml"

    @property
    def token_file(self) -> Path:
        """Where the administrator's first token is."""
        return self.path / "token"

    @property
    def keys(self) -> Path:
        """The folder of the keys."""
        return self.path / "keys"

    @property
    def reviews(self) -> Path:
        """The folder with one folder a review."""
        return self.path / "reviews"

    @property
    def kept(self) -> Path:
        """The folder of what reviews have computed and can use again. Deleting it costs time only."""
        return self.path / "kept"

    @property
    def detectors(self) -> Path:
        """The folder of detectors of one's own, if there is one."""
        return self.path / "detectors"

    @property
    def recordings(self) -> Path:
        """The folder of what sessions left: encrypted pieces of recordings."""
        return self.path / "recordings"

    @property
    def gateways(self) -> Path:
        """The folder of the places of this machine's gateway processes."""
        return self.path / "gateways"

    @property
    def server_file(self) -> Path:
        """Where a running server says how it is reached."""
        return self.path / "server.json"

    @property
    def lock_file(self) -> Path:
        """Held by whoever works on the embedded store."""
        return self.path / "lock"

    def lock_for(self, settings: Settings) -> Path:
        """The lock of whoever works on the store: beside a SQLite file that is elsewhere, else in this folder."""
        elsewhere = settings.store.startswith("sqlite:///") and settings.store.removeprefix("sqlite:///")
        return Path(f"{elsewhere}.lock") if elsewhere else self.lock_file

    @property
    def exists(self) -> bool:
        """Whether `lapse init` was run here."""
        return self.settings_file.is_file()

    def store_url(self, settings: Settings) -> str:
        """The store's URL, the home folder's SQLite file by default."""
        return settings.store or f"sqlite:///{self.path / 'lapse.db'}"

    def require(self) -> Home:
        """This home, or `NotFound` with what to do if nothing was set up here."""
        if not self.exists:
            raise NotFound(f"nothing is set up in `{self.path}`", hint="run `lapse init`, or name a home with --home")
        return self

    def token(self) -> str:
        """The token kept here, or an empty string."""
        try:
            return self.token_file.read_text(encoding="utf-8").strip()
        except OSError:
            return ""


def find_home(given: str | None = None, environment: Mapping[str, str] | None = None) -> Home:
    """The home folder that was named, else `LAPSE_HOME`, else `~/.lapse`."""
    env = os.environ if environment is None else environment
    return Home(Path(given or env.get("LAPSE_HOME") or "~/.lapse").expanduser().absolute())


def read_settings(home: Home) -> Settings:
    """The settings of a home folder.

    Raises:
        NotFound: nothing was set up there.
        InvalidInput: the file is not TOML, or has a setting that lapse does not know or cannot use.
    """
    path = home.require().settings_file
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path}: {error}", hint="mend the file, or delete it and run `lapse init`") from None
    settings = _read(path, Settings, data)
    parse_address(settings.listen)
    settings.gateway.check()
    settings.review.check()
    if settings.log_level not in LOG_LEVELS:
        raise InvalidInput(f"{path}: `log_level` must be one of {', '.join(LOG_LEVELS)}")
    return settings


def write_settings(home: Home, settings: Settings) -> None:
    """Write `lapse.toml` for people to read and edit."""
    text = _TEMPLATE.format(**_written(settings)) + REVIEW_TEMPLATE.format(**_written(settings.review))
    home.settings_file.write_text(text + GATEWAY_TEMPLATE.format(**_written(settings.gateway)), encoding="utf-8")


T = TypeVar("T", Settings, GatewaySettings, ReviewSettings)


def _read(path: Path, kind: type[T], data: Mapping[str, object], table: str = "") -> T:
    """The settings of one table of the file."""
    known = {one.name: getattr(kind(), one.name) for one in fields(kind)}
    found: dict[str, Any] = {}
    for name, value in data.items():
        if name not in known:
            near = get_close_matches(name, known, n=1)
            raise InvalidInput(
                f"{path}: there is no setting `{name[:60]}`{table}", hint=f"did you mean `{near[0]}`?" if near else ""
            )
        found[name] = _checked(path, f"`{name}`{table}", known[name], value)
    return kind(**found)


def _checked(path: Path, name: str, usual: object, value: object) -> object:
    """The value, if it is of the usual one's kind."""
    if isinstance(usual, GatewaySettings) and isinstance(value, Mapping):
        return _read(path, GatewaySettings, value, " in [gateway]")
    if isinstance(usual, ReviewSettings) and isinstance(value, Mapping):
        return _read(path, ReviewSettings, value, " in [review]")
    if isinstance(usual, timedelta) and isinstance(value, str):
        return parse_duration(value)
    if type(value) is not type(usual):
        raise InvalidInput(f"{path}: {name} must be {_KINDS[type(usual)]}")
    return value


def _written(settings: Settings | GatewaySettings | ReviewSettings) -> dict[str, str]:
    """Each setting as TOML writes it."""
    return {one.name: _as_toml(getattr(settings, one.name)) for one in fields(settings)}


def _as_toml(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case timedelta():
            return _quoted(iso_duration(value))
        case str():
            return _quoted(value)
        case _:
            return str(value)


def _quoted(text: str) -> str:
    # A JSON string without non-ASCII characters is a TOML basic string.
    return json.dumps(text)


_KINDS: Mapping[type, str] = {
    bool: "true or false",
    int: "a whole number",
    str: "text in quotes",
    timedelta: "a duration in quotes",
    GatewaySettings: "a table, `[gateway]`",
    ReviewSettings: "a table, `[review]`",
}

_TEMPLATE = """\
# Settings of this lapse. Restart `lapse serve` after a change.

# Where state is kept. Empty: the file lapse.db beside this one. Else e.g. "postgresql://lapse@db.example.com/lapse".
store = {store}

# Where the API listens. Another address than loopback belongs behind a proxy that speaks TLS.
listen = {listen}

# The name on the ledger's checkpoints. Choose it once: verifiers pin it together with the key.
origin = {origin}

# true: callers on this machine may act as anyone, without a token. For demos only.
local_users = {local_users}

# How often every target is read and compared with what should be there.
reconcile_every = {reconcile_every}

# debug, info, warning or error
log_level = {log_level}
"""
