"""The OpenAPI document: valid, complete, and the one that is published."""

from __future__ import annotations

import json
import re

from lapse.entrypoints.api.openapi import document, text
from lapse.entrypoints.api.routes import OPERATIONS
from support.tools import ROOT


def test_the_published_document_is_the_one_the_server_gives():
    published = (ROOT / "docs" / "openapi.json").read_text(encoding="utf-8")

    assert published == text(), "run `python -m lapse.entrypoints.api.openapi > docs/openapi.json`"


def test_every_operation_is_described_and_named_once():
    described = [one for methods in document()["paths"].values() for one in methods.values()]

    assert len(described) == len(OPERATIONS) == len({one["operationId"] for one in described})
    assert all(one["description"] and one["tags"] for one in described)


def test_every_reference_leads_somewhere():
    components = document()["components"]

    for kind, name in re.findall(r"#/components/(\w+)/([\w.]+)", text()):
        assert name in components[kind]


def test_every_write_takes_an_idempotency_key_unless_it_shows_a_secret():
    for operation in OPERATIONS:
        described = document()["paths"][operation.path][operation.method.lower()]
        headers = [one["name"] for one in described["parameters"] if one["in"] == "header"]
        assert headers == (["Idempotency-Key"] if operation.writes and not operation.secret else [])


async def test_the_document_is_served_to_anybody(office):
    answer = await office.client().get("/openapi.json")

    assert answer.json() == json.loads(text())
