"""Columns that many tables share."""

from __future__ import annotations

from lapse.review.evidence.columns import TEXT, Column, Kind


def must(name: str, kind: Kind, doc: str) -> Column:
    """A column that every row has a value in."""
    return Column(name, kind, doc, required=True)


RESOURCE = must("resource", TEXT, "name of the resource")
ACCOUNT = must("account", TEXT, "login or role name on the target")
REQUEST = must("request_id", TEXT, "id of the request")
PRINCIPAL = must("principal", TEXT, "name of the principal")
