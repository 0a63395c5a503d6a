"""Exports of sealed packs: a pseudonymised one, made when it is first asked for and kept beside the original.

The key of a review's pseudonyms is in its folder (mode 0600) and leaves it in no way: whoever deletes it makes the
pseudonyms of that review final. Called by the API.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from lapse import __version__
from lapse.domain.actors import Actor
from lapse.ledger.checkpoint import key_of
from lapse.ledger.standalone import write_key
from lapse.review.campaign import Desk, pack_of

_KEY = "pseudonyms.key"
_PRIVATE = 0o600


def pseudonymised_pack(desk: Desk, actor: Actor, review_id: str) -> Path:
    """The zip of the pseudonymised export of a sealed review.

    Raises:
        NotFound: the review has no pack yet.
        Corrupt: its pack is not as it was sealed.
    """
    from lapse.review.pack.reading import sealed_contents
    from lapse.review.privacy import pseudonymised
    from lapse.review.seal import seal

    original = pack_of(desk, review_id).with_suffix("")
    folder = desk.folder_of(review_id)
    made = folder / "pseudonymised"
    name = f"{original.name}-pseudonymised"
    if not made.exists():
        contents, manifest = sealed_contents(original, write_key(key_of(desk.signer)), actor.name, __version__)
        workplace = Path(tempfile.mkdtemp(prefix=".pseudonymising-", dir=folder))
        try:
            export = pseudonymised(contents, _key(folder / _KEY), manifest, workplace / "tables")
            seal(export, signer=desk.signer, into=made)
        finally:
            shutil.rmtree(workplace, ignore_errors=True)
    return made / f"{name}.zip"


def _key(path: Path) -> bytes:
    """The review's own key, made when it is first needed."""
    from lapse.review.privacy.pseudonyms import KEY_BYTES

    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE)
    except FileExistsError:
        return path.read_bytes()
    with os.fdopen(handle, "wb") as file:
        file.write(os.urandom(KEY_BYTES))
        file.flush()
        os.fsync(file.fileno())
    return path.read_bytes()
