"""Shell completion of ids and entitlements, where a running server answers quickly. Never an error, never a wait."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from lapse.bootstrap.home import find_home

PATIENCE = 0.5


def entitlements(incomplete: str) -> list[str]:
    """Entitlements that can be asked for."""
    return _listing("/entitlements", lambda e: f"{e['resource']}/{e['role']}", incomplete)


def pending_requests(incomplete: str) -> list[str]:
    """Requests that wait for a decision."""
    return _listing("/requests?state=pending&limit=100", lambda r: str(r["id"]), incomplete)


def requests(incomplete: str) -> list[str]:
    """Requests, the newest."""
    return _listing("/requests?limit=100", lambda r: str(r["id"]), incomplete)


def templates(incomplete: str) -> list[str]:
    """Templates that can be used."""
    return _listing("/templates", lambda t: str(t["name"]), incomplete)


def unreviewed(incomplete: str) -> list[str]:
    """Uses of break-glass that wait for a review."""
    return _listing("/breakglass", lambda a: str(a["id"]), incomplete)


def live_grants(incomplete: str) -> list[str]:
    """Grants that are not over."""
    return _listing(
        "/grants?state=active&state=scheduled&state=activating&limit=100", lambda g: str(g["id"]), incomplete
    )


def open_sessions(incomplete: str) -> list[str]:
    """Sessions that are open."""
    return _listing("/sessions?state=open&limit=100", lambda s: str(s["id"]), incomplete)


def waiting_holds(incomplete: str) -> list[str]:
    """Statements that wait for an approver."""
    return _listing("/holds?state=waiting&limit=100", lambda h: str(h["id"]), incomplete)


def resources(incomplete: str) -> list[str]:
    """Resources."""
    return _listing("/resources", lambda r: str(r["name"]), incomplete)


def _listing(path: str, name: Callable[[dict[str, str]], str], incomplete: str) -> list[str]:
    return sorted(found for found in map(name, _items(path)) if found.startswith(incomplete))


def _items(path: str) -> Iterable[dict[str, str]]:
    """What a server on this machine lists; nothing without one: opening a store takes too long for a key press."""
    import json
    import os
    from urllib.request import Request, urlopen

    from lapse.entrypoints.cli.session import running_server

    home = find_home()
    url, token = running_server(home), os.environ.get("LAPSE_TOKEN", "") or home.token()
    if not url.startswith("http://") or not token:
        return []
    request = Request(f"{url}/api/v1{path}", headers={"Authorization": f"Bearer {token}"})  # noqa: S310  http:// only
    try:
        with urlopen(request, timeout=PATIENCE) as answer:  # noqa: S310  http:// only
            items: list[dict[str, str]] = json.load(answer)["items"]
            return items
    except (OSError, ValueError, KeyError):
        return []
