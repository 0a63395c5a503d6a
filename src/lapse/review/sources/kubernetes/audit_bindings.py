"""What the audit log shows of bindings that were made, changed and removed: since when and until when access was held.

Guarantee: only what the API server carried out counts, never a dry run; a change whose content is not logged is
counted, and what it gave is never guessed. Called by the kind of source `kubernetes-audit`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final
from urllib.parse import parse_qs, urlsplit

import msgspec

from lapse.domain.errors import InvalidInput
from lapse.domain.times import parse_time
from lapse.review.sources.event_logs import tidy
from lapse.review.sources.kubernetes.audit_events import Event, ObjectRef
from lapse.review.sources.kubernetes.names import role_name, subject_account
from lapse.review.sources.kubernetes.objects import Binding
from lapse.review.sources.notes import Notes
from lapse.review.sources.periods import Changes, Pair

TABLE: Final = "access_periods"
_KINDS = {"rolebindings": "RoleBinding", "clusterrolebindings": "ClusterRoleBinding"}
_GROUP = "rbac.authorization.k8s.io"
_DECODER = msgspec.json.Decoder(Binding)
_MOST_PAIRS = 100_000


class Bindings:
    """Follows the bindings of one cluster."""

    def __init__(self, changes: Changes, notes: Notes) -> None:
        self._changes, self._notes = changes, notes

    def take(self, event: Event, at: datetime, by: str) -> None:
        """An event that was carried out `at`, by the account `by`."""
        about = event.object_ref
        if about is None or about.resource not in _KINDS or about.api_group != _GROUP or about.subresource:
            return
        query = _query(event.request_uri)
        if "dryRun" in query:
            return
        match event.verb:
            case "create" | "update" | "patch":
                self._written(event, about, at, by)
            case "delete":
                self._removed(event, about, at)
            case "deletecollection" if query.keys().isdisjoint({"labelSelector", "fieldSelector"}):
                self._changes.sweep(at, _name(about.resource, about.namespace, ""))
            case "deletecollection":
                self._notes.add(TABLE, "bindings that were removed by a selector: which ones is not logged", by)
            case _:
                return

    def _written(self, event: Event, about: ObjectRef, at: datetime, by: str) -> None:
        # A patch as it was sent says only what changes.
        sources = [event.response_object] if event.verb == "patch" else [event.response_object, event.request_object]
        found = _binding(sources)
        if found is None:
            what = "bindings were written, and what they give is not logged: level `Request` or higher would"
            self._notes.add(TABLE, what, f"{about.namespace or '-'}/{about.name} by {by}")
            return
        name = about.name or found.metadata.name
        if not name:
            what = "bindings were made under a name that is not logged: when they ended cannot be told"
            self._notes.add(TABLE, what, by)
            name = f"{event.audit_id} {at.isoformat()}"
        self._changes.bind(at, _name(about.resource, about.namespace, name), self._pairs(found, about), by)

    def _removed(self, event: Event, about: ObjectRef, at: datetime) -> None:
        found = _binding([event.response_object])
        pairs, since = [], None
        if found is not None:
            pairs, since = self._pairs(found, about), _time(found.metadata.creation_timestamp)
        self._changes.unbind(at, _name(about.resource, about.namespace, about.name), pairs, since)

    def _pairs(self, binding: Binding, about: ObjectRef) -> list[Pair]:
        namespace = tidy(about.namespace) if about.resource == "rolebindings" else ""
        found: dict[Pair, None] = {}
        try:
            role = role_name(binding.role_ref.kind, tidy(binding.role_ref.name), namespace)
            for subject in (binding.subjects or [])[:_MOST_PAIRS]:
                inside = tidy(subject.namespace or namespace)
                if subject.kind != "ServiceAccount" or inside:
                    found[subject_account(subject.kind, tidy(subject.name), inside), role] = None
        except ValueError as error:
            self._notes.add(TABLE, "bindings that can give nothing", f"{about.name}: {error}")
        if len(binding.subjects or []) > _MOST_PAIRS:
            self._notes.add(TABLE, "bindings of more subjects than are followed", about.name)
        return list(found)


def _binding(sources: list[msgspec.Raw]) -> Binding | None:
    for raw in sources:
        try:
            found = _DECODER.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
        return found
    return None


def _name(resource: str, namespace: str, name: str) -> str:
    return f"{resource}/{namespace}/{name}"


def _query(uri: str) -> dict[str, list[str]]:
    try:
        return parse_qs(urlsplit(uri).query, keep_blank_values=True, max_num_fields=100)
    except ValueError:
        return {}


def _time(text: str | None) -> datetime | None:
    try:
        return parse_time(text) if text else None
    except InvalidInput:
        return None
