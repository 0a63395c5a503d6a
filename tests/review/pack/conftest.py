"""One sealed sample pack for all tests here; nobody changes it, tests work on copies."""

from __future__ import annotations

import shutil

import pytest

from lapse.review.seal import seal
from support.sample_review import SampleSigner, sample_contents


@pytest.fixture(scope="session")
def signer():
    return SampleSigner()


@pytest.fixture(scope="session")
def sealed(tmp_path_factory, signer):
    place = tmp_path_factory.mktemp("packs")
    return seal(sample_contents(place / "snapshot", signer), signer=signer, into=place / "sealed")


@pytest.fixture
def folder(sealed, tmp_path):
    """A copy of the pack's folder, to be changed."""
    return shutil.copytree(sealed.folder, tmp_path / "copy")


@pytest.fixture
def archive(sealed, tmp_path):
    """A copy of the pack's zip, to be changed."""
    return shutil.copy(sealed.archive, tmp_path / sealed.archive.name)
