"""The signer of packs: a plain one unless `lapse.toml` names a time-stamp authority, which is then asked over HTTP."""

from __future__ import annotations

import shutil

import pytest

from lapse.bootstrap.home import Home, Settings, read_settings, write_settings
from lapse.bootstrap.stamps import ReviewSettings, pack_signer
from lapse.domain.errors import InvalidInput, Unavailable
from lapse.review.pack.stamping import Stamper, check_stamp
from support.sample_review import SampleSigner
from support.time_stamps import Authority, serving

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl on this machine")


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("tsa") / "authority")


def settings_of(url, authority):
    return ReviewSettings(timestamp_url=url, timestamp_roots=str(authority.folder / "ca.pem"))


def test_without_a_setting_nothing_is_stamped_and_nobody_asked():
    signer = SampleSigner()
    assert pack_signer(signer, ReviewSettings()) is signer
    assert not isinstance(signer, Stamper)


@needs_openssl
def test_the_authority_in_the_settings_is_asked_over_http(authority, tmp_path):
    home = Home(tmp_path)
    with serving(authority) as url:
        write_settings(home, Settings(review=settings_of(url, authority)))
        signer = pack_signer(SampleSigner(), read_settings(home).review)
        assert isinstance(signer, Stamper)
        assert (signer.name, signer.public_key) == (SampleSigner.name, SampleSigner().public_key)
        check_stamp(signer.stamp(b"manifest"), b"manifest", authority.roots)


@needs_openssl
def test_an_authority_that_does_not_answer_gives_a_sentence(authority):
    with serving(authority, status=503) as url, pytest.raises(Unavailable, match="it answers 503"):
        pack_signer(SampleSigner(), settings_of(url, authority)).stamp(b"manifest")
    with pytest.raises(Unavailable, match="did not stamp the pack: it cannot be reached") as caught:
        pack_signer(SampleSigner(), settings_of(url, authority)).stamp(b"manifest")
    assert "seal again later" in caught.value.hint


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        (ReviewSettings(timestamp_url="ftp://x/", timestamp_roots="a"), "cannot be `ftp://x/`"),
        (ReviewSettings(timestamp_url="http://x/"), "needs `timestamp_roots`"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(tmp_path, settings, problem):
    write_settings(Home(tmp_path), Settings(review=settings))
    with pytest.raises(InvalidInput, match=problem):
        read_settings(Home(tmp_path))


def test_roots_that_are_not_there_give_a_sentence():
    settings = ReviewSettings(timestamp_url="http://127.0.0.1:1/", timestamp_roots="/nonexistent.pem")
    with pytest.raises(InvalidInput, match="cannot be read: no such file"):
        pack_signer(SampleSigner(), settings).stamp(b"manifest")
