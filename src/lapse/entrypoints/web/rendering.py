"""Pages from templates: everything put into one is escaped, and files of their own are named with their hash."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.responses import HTMLResponse, Response

from lapse.domain.actors import Scope
from lapse.domain.durations import human_duration
from lapse.entrypoints.web.browser import form_token, secret_of
from lapse.entrypoints.web.visits import Visit
from lapse.review.report.words import count, moment

_FOLDER = files("lapse.entrypoints.web") / "static"
_KINDS: Final[Mapping[str, str]] = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".LICENSE": "text/plain; charset=utf-8",
}
_HASH = 12


@cache
def static_files() -> Mapping[str, tuple[bytes, str]]:
    """What the pages load, by its path with its hash in it: its bytes and its media type."""
    found: dict[str, tuple[bytes, str]] = {}
    for name in _names():
        body = _body(name)
        found[_hashed(name, body)] = (body, _KINDS[name[name.rindex(".") :]])
    return found


@cache
def static_path(name: str) -> str:
    """Where a page finds the file `name`."""
    return "/static/" + _hashed(name, _body(name))


def page(visit: Visit, template: str, /, status: int = 200, **values: Any) -> Response:
    """A page or a part of one, made from `template` with what every page knows."""
    secret = secret_of(visit.request) if visit.sign_in is not None else None
    known = {
        "visit": visit,
        "actor": visit.actor,
        "form_token": form_token(secret) if secret else "",
        "path": visit.request.url.path,
        "now": visit.control.now(),
        "may": {scope.value for scope in visit.actor.scopes},
    }
    text = _environment().get_template(f"{template}.html.j2").render(known | values)
    return HTMLResponse(text, status)


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("lapse.entrypoints.web", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals |= {"static": static_path, "Scope": Scope}
    made.filters |= {
        "moment": moment,
        "duration": human_duration,
        "left": left,
        "iso": iso,
        "count": count,
        "marked": marked,
    }
    return made


def iso(at: datetime) -> str:
    """As machines read it (RFC 3339)."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def left(until: datetime, now: datetime) -> str:
    """The time that is left, in its two largest units: `1 h 20 min`, `45 s`; `over` where none is."""
    seconds = int((until - now) / timedelta(seconds=1))
    if seconds <= 0:
        return "over"
    parts = [(seconds // 86400, "d"), (seconds // 3600 % 24, "h"), (seconds // 60 % 60, "min"), (seconds % 60, "s")]
    first = next(n for n, (size, _) in enumerate(parts) if size)
    return " ".join(f"{size} {unit}" for size, unit in parts[first : first + 2] if size)


def marked(text: str) -> Markup:
    """A sentence with what stands between backquotes as code, and a full stop at its end."""
    whole = text if not text or text[-1] in ".!?" else f"{text}."
    parts = [escape(part) for part in (whole[:1].upper() + whole[1:]).split("`")]
    return Markup("").join(Markup("<code>{}</code>").format(one) if n % 2 else one for n, one in enumerate(parts))


def _names() -> list[str]:
    top = [one.name for one in _FOLDER.iterdir() if one.is_file()]
    return sorted([*top, *(f"vendor/{one.name}" for one in (_FOLDER / "vendor").iterdir())])


def _body(name: str) -> bytes:
    return _FOLDER.joinpath(*name.split("/")).read_bytes()


def _hashed(name: str, body: bytes) -> str:
    stem, dot, kind = name.rpartition(".")
    return f"{stem}.{hashlib.sha256(body).hexdigest()[:_HASH]}{dot}{kind}"
