"""Which resource and which account on it an event of Teleport is about, and whose it is.

A resource is called as Teleport calls it, or by the option `names`; Teleport itself is `teleport-CLUSTER`. Called by
the kind of source `teleport`.
"""

from __future__ import annotations

from typing import NamedTuple

from lapse.domain.errors import InvalidInput
from lapse.domain.names import shown
from lapse.review.collection.identities import Hints
from lapse.review.sources.event_logs import tidy
from lapse.review.sources.reading import Reading
from lapse.review.sources.source import Options
from lapse.review.sources.teleport.events import Event

NAME_OPTIONS = {
    "names": "how resources are called: `{name}` in it is their name in Teleport, `{kind}` one of `node`, `db`, "
    "`kube_cluster`, `app` and `windows_desktop` (default `{name}`)",
    "cluster": "how Teleport itself is called: `{cluster}` in it is the cluster's name (default `teleport-{cluster}`)",
}
_NAME, _CLUSTER = "{name}", "{cluster}"
_MOST_KNOWN = 100_000
_UNNAMED = "unnamed"
_PROTOCOLS = {"node": "ssh", "db": "db", "kube_cluster": "kube", "app": "app", "windows_desktop": "tdp"}


class Place(NamedTuple):
    """`resource`, the `account` on it, and by which protocol it is used (empty for Teleport itself)."""

    resource: str
    account: str
    protocol: str


class Places:
    """Answers for one log.

    Raises:
        InvalidInput: an option makes no sense.
    """

    def __init__(self, reading: Reading, options: Options) -> None:
        self._reading = reading
        self._names = options.get("names", _NAME)
        self._cluster = options.get("cluster", f"teleport-{_CLUSTER}")
        if _NAME not in self._names:
            hint = "e.g. `{name}` or `{kind}-{name}`"
            raise InvalidInput(f"option `names` is `{shown(self._names)}`, which has no `{_NAME}` in it", hint=hint)
        if not self._cluster.strip():
            raise InvalidInput("option `cluster` is empty", hint="e.g. `teleport` or `teleport-{cluster}`")
        self._hosts: dict[str, str] = {}
        self._known: dict[tuple[str, str, str], str | None] = {}

    def cluster(self, event: Event) -> str:
        """The resource that Teleport itself is."""
        return self._cluster.replace(_CLUSTER, tidy(event.cluster_name) or _UNNAMED)

    def of(self, event: Event) -> Place:
        """Where the event happened, and as which account."""
        kind, name, account = self._found(event)
        if not kind:
            return Place(self.cluster(event), tidy(event.user or event.updated_by), "")
        protocol = event.db_protocol or event.proto or _PROTOCOLS[kind]
        return Place(self.named(kind, name), tidy(account or event.user), tidy(protocol))

    def named(self, kind: str, name: str) -> str:
        """The resource of this kind and name in Teleport."""
        if kind == "node":
            name = self._hosts.get(name, name)
        return self._names.replace("{kind}", tidy(kind)).replace(_NAME, tidy(name))

    def principal(self, place: Place, who: str) -> str | None:
        """Whose use it is: of `who` in Teleport, whatever account they used."""
        key = (place.resource, place.account, who)
        if key not in self._known:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            own = place.account == who
            hints = Hints(mail=who if "@" in who else "", login=who) if own else Hints(session=who)
            self._known[key] = self._reading.principal(place.resource, place.account, hints)
        return self._known[key]

    def _found(self, event: Event) -> tuple[str, str, str]:
        """Kind, name and account; an empty kind is Teleport itself."""
        if event.kubernetes_cluster:
            users = event.kubernetes_users or []
            return "kube_cluster", event.kubernetes_cluster, users[0] if len(users) == 1 else ""
        if event.db_service:
            return "db", event.db_service, event.db_user
        if event.app_name:
            account = event.aws_role_arn or event.azure_identity or event.gcp_service_account
            return "app", event.app_name, account
        if event.desktop_name or event.desktop_addr:
            return "windows_desktop", event.desktop_name or event.desktop_addr, event.windows_user
        if (event.server_hostname or event.server_id) and (event.login or event.sid):
            return "node", self._host(event), event.login
        return "", "", ""

    def _host(self, event: Event) -> str:
        """The name of the host; where an event gives only its id, as another event named it before."""
        if event.server_hostname:
            if event.server_id and len(self._hosts) < _MOST_KNOWN:
                self._hosts[event.server_id] = event.server_hostname
            return event.server_hostname
        return self._hosts.get(event.server_id, event.server_id)
