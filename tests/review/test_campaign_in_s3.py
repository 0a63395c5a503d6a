"""A review on record whose evidence is kept in a store that speaks S3, over HTTP: also where nothing is left here."""

from __future__ import annotations

import shutil

import pytest

from fakes.connector import FakeConnector
from lapse.bootstrap.app import open_app
from lapse.bootstrap.home import Home, Settings, read_settings, write_settings
from lapse.bootstrap.reviewing import desk_of
from lapse.bootstrap.setup import set_up
from lapse.bootstrap.stamps import ReviewSettings
from lapse.control.catalogs import apply
from lapse.control.policies import activate_policy
from lapse.control.targets import add_target
from lapse.domain.actors import Actor, Scope
from lapse.domain.errors import Corrupt, InvalidInput, Unavailable
from lapse.domain.reviews import ReviewState
from lapse.review import campaign
from lapse.review.pack import verify_pack
from support.s3_server import BUCKET, s3_server
from support.world import CATALOG, POLICY

ADMIN = Actor(name="root", scopes=frozenset(Scope))
STEPS = (campaign.audit, campaign.validate, campaign.workflows, campaign.adjust)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with s3_server() as server:
        yield server


@pytest.fixture
async def app(tmp_path, server):
    home = Home(tmp_path / "home")
    await set_up(home, Settings(review=in_s3(server)))
    fake = FakeConnector()
    fake.target.add_login("mallory")
    fake.target.grant("mallory", "app_writer")
    async with open_app(home, connect=lambda *_: fake) as app:
        await apply(app.control, ADMIN, CATALOG)
        await activate_policy(app.control, ADMIN, {"policy.yaml": POLICY})
        (tmp_path / "dsn").write_text("postgresql://x")
        await add_target(app.control, ADMIN, "pg-prod", f"file:{tmp_path}/dsn")
        await app.targets.refresh(app.store)
        yield app


def in_s3(server):
    return ReviewSettings(snapshots=f"s3://{BUCKET}/lapse", snapshots_endpoint=server.address)


async def collected(desk):
    review = await campaign.start(desk, ADMIN, "tag:env=prod", "2026")
    return (await campaign.collect_evidence(desk, ADMIN, review.id)).id


async def recorded(app, review_id):
    return await app.store.read(lambda reader: reader.review(review_id))


def forgotten(desk, review_id):
    shutil.rmtree(desk.folder_of(review_id) / "snapshot")


async def test_every_step_goes_on_with_what_is_in_the_store(app):
    desk = desk_of(app)
    review_id = await collected(desk)
    for step in STEPS:
        forgotten(desk, review_id)
        await step(desk, ADMIN, review_id)
    forgotten(desk, review_id)
    pack = await campaign.document(desk, ADMIN, review_id)
    assert verify_pack(str(pack.archive)).ok
    assert (await recorded(app, review_id)).state is ReviewState.SEALED


async def test_what_is_not_in_the_store_is_not_collected(app, server):
    desk = desk_of(app)
    review = await campaign.start(desk, ADMIN, "tag:env=prod", "2026")
    server.fail(".json", applied=True)
    with pytest.raises(Unavailable, match=r"the store of snapshots at .* refuses"):
        await campaign.collect_evidence(desk, ADMIN, review.id)
    assert await recorded(app, review.id) == review
    server.heal()
    again = await campaign.collect_evidence(desk, ADMIN, review.id)
    forgotten(desk, review.id)
    await campaign.audit(desk, ADMIN, review.id)
    assert f"lapse/{review.id}/snapshot-{again.hashes['snapshot']}.json" in server.put()


async def test_evidence_that_was_changed_in_the_store_is_refused_where_it_is_needed(app, server):
    desk = desk_of(app)
    review_id = await collected(desk)
    with server.files().open_output_stream(f"lapse/{review_id}/access_observed.parquet") as out:
        out.write(b"nothing to see here")
    kept = desk.folder_of(review_id) / "snapshot"
    elsewhere = kept.rename(kept.with_name("elsewhere"))
    with pytest.raises(Corrupt, match=rf"`s3://{BUCKET}/lapse/{review_id}/access_observed.parquet` is not what was"):
        await campaign.audit(desk, ADMIN, review_id)
    assert (await recorded(app, review_id)).state is ReviewState.COLLECTED
    elsewhere.rename(kept)
    await campaign.audit(desk, ADMIN, review_id)
    assert (await recorded(app, review_id)).state is ReviewState.AUDITED


def test_the_settings_say_where(tmp_path, server):
    home = Home(tmp_path)
    write_settings(home, Settings(review=in_s3(server)))
    assert read_settings(home).review == in_s3(server)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        (ReviewSettings(snapshots="/tmp/x"), "`/tmp/x` is no place in S3"),  # noqa: S108  not one, and nothing is there
        (ReviewSettings(snapshots="s3://evidence", snapshots_endpoint="minio"), "`minio` is no endpoint of S3"),
        (ReviewSettings(snapshots_endpoint="https://minio"), "needs `snapshots`"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(settings, problem):
    with pytest.raises(InvalidInput, match=problem):
        settings.check()
