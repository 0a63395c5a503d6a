"""People in the browser, as every store keeps them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from lapse.domain.actors import Scope
from lapse.domain.errors import Conflict, NotFound
from lapse.domain.sign_ins import How, SignIn
from support.stores import opened

NOW = datetime(2026, 10, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture(params=["fake", "sqlite", "postgresql"])
async def store(request, tmp_path):
    url = request.getfixturevalue("postgres_url") if request.param == "postgresql" else None
    async with opened(request.param, tmp_path, url) as store:
        yield store


def a_sign_in(number=1, principal="ann", expires=NOW + HOUR):
    return SignIn(
        id=f"sig_{number}", principal=principal, scopes=frozenset({Scope.REQUEST}), digest=f"{number:064x}",
        how=How.TOKEN, created_at=NOW, expires_at=expires, seen_at=NOW, agent="Firefox", token_id="tok_1",
    )  # fmt: skip


async def test_a_sign_in_is_found_by_its_digest_and_its_principal(store):
    ann, bob = a_sign_in(1), a_sign_in(2, "bob")
    for one in (ann, bob):
        await store.write(lambda tx, one=one: tx.add_sign_in(one))
    assert await store.read(lambda r: r.sign_in_by_digest(ann.digest)) == ann
    assert await store.read(lambda r: r.sign_in_by_digest("other")) is None
    assert await store.read(lambda r: r.sign_in("sig_2")) == bob
    assert await store.read(lambda r: r.sign_ins()) == [ann, bob]
    assert await store.read(lambda r: r.sign_ins("bob")) == [bob]
    with pytest.raises(NotFound):
        await store.read(lambda r: r.sign_in("sig_3"))
    with pytest.raises(Conflict):
        await store.write(lambda tx: tx.add_sign_in(replace(ann, id="sig_3")))


async def test_it_is_changed_from_the_version_before_only(store):
    await store.write(lambda tx: tx.add_sign_in(a_sign_in()))
    ended = a_sign_in().ended("bob", NOW + HOUR)
    await store.write(lambda tx: tx.save_sign_in(ended))
    assert await store.read(lambda r: r.sign_in("sig_1")) == ended
    with pytest.raises(Conflict):
        await store.write(lambda tx: tx.save_sign_in(ended))


async def test_those_of_long_ago_are_forgotten(store):
    old, young = a_sign_in(1, expires=NOW), a_sign_in(2)
    for one in (old, young):
        await store.write(lambda tx, one=one: tx.add_sign_in(one))
    await store.write(lambda tx: tx.forget_sign_ins(NOW + timedelta(microseconds=1)))
    assert await store.read(lambda r: r.sign_ins()) == [young]
