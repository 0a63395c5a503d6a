"""Proves one item of a pack: `verify_item(PACK, ID)` reads O(log n) pieces, of a zip by its central directory.

Guarantee: an item is called proved only if the signed manifest's tree of items has it; that there is none of an id is
proved by its two neighbours. Nothing else of the pack is read or judged. It never raises for what it is given. This
source is also part of the `verify.py` inside a pack: Python 3.8 and its standard library only.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lapse.ledger.standalone import VerificationFailed, read_key
from lapse.review.pack.standalone_container import (
    CENTRAL_HEADER,
    END_RECORD,
    LOCAL_HEADER,
    MOST_FILES,
    FolderPack,
    Member,
    PackDefect,
    check_names,
    directory,
    local_header,
    opened,
)
from lapse.review.pack.standalone_items import ITEM_FILES, first_not_before, id_of, proved
from lapse.review.pack.standalone_verify import Verification, check_key_and_signature, read_signed

PROVED, NOT_PROVED, NOT_THERE = 0, 1, 3
LARGEST_DIRECTORY = MOST_FILES * 200


class ItemProof(Verification):
    """The outcome for one item: `item` if it is there, `absent` if it is proved that it is not.

    `place` counts from 1. `pieces` and `bytes` are what was read of the pack.
    """

    def __init__(self, pack: str, item_id: str) -> None:
        super().__init__(pack)
        self.item_id = item_id
        self.item: dict[str, Any] = {}
        self.absent = False
        self.place = 0
        self.count = 0
        self.pieces = 0


class ZipPieces:
    """A pack's zip, read by its directory: only what is asked for is read, and checked where it is read."""

    def __init__(self, path: str) -> None:
        self.label = Path(path).name
        self.pieces = self.bytes = 0
        self._file = opened(path)
        try:
            self._members = self._indexed(self._directory())
        except BaseException:
            self._file.close()
            raise

    def _directory(self) -> bytes:
        total = self._file.seek(0, os.SEEK_END)
        if total < END_RECORD.size:
            raise PackDefect(self.label, "is not a pack: it is shorter than any zip")
        end = self._read(total - END_RECORD.size, END_RECORD.size)
        mark, _, _, _, _, size, start, comment = END_RECORD.unpack(end)
        if mark != b"PK\5\6" or comment or start + size + END_RECORD.size != total:
            raise PackDefect(self.label, "does not end as a pack does: it was cut short, or changed")
        if size > LARGEST_DIRECTORY:
            raise PackDefect(self.label, "has a larger directory than any pack")
        self._start = start
        return self._read(start, size) + end

    def _indexed(self, raw: bytes) -> dict[str, Member]:
        members, place = [], 0
        while raw[place : place + 4] == b"PK\1\2" and place + CENTRAL_HEADER.size <= len(raw):
            fields = CENTRAL_HEADER.unpack_from(raw, place)
            length = fields[10]
            name = raw[place + CENTRAL_HEADER.size :][:length].decode("latin-1")
            members.append(Member(name, fields[16], fields[8], fields[7]))
            place += CENTRAL_HEADER.size + length
        check_names((member.name for member in members), self.label)
        if not members or directory(members) != raw:
            raise PackDefect(self.label, "has a directory that was changed")
        tops = {member.name.partition("/")[0] for member in members}
        if len(tops) != 1:
            raise PackDefect(self.label, "does not hold exactly one folder")
        self.name = tops.pop()
        self.names = [member.name.partition("/")[2] for member in members]
        return dict(zip(self.names, members))  # noqa: B905  `strict` needs Python 3.10

    def _read(self, start: int, length: int) -> bytes:
        self._file.seek(start)
        found = self._file.read(length)
        if len(found) < length:
            raise PackDefect(self.label, "is cut short")
        self.pieces, self.bytes = self.pieces + 1, self.bytes + length
        return found

    def _contents(self, name: str) -> int:
        """Where a file's contents begin, its header compared with what the directory says."""
        member = self._members[name]
        header = local_header(member.name, member.size, member.crc)
        if self._read(member.offset, len(header)) != header:
            raise PackDefect(self.label, "has a changed header before `" + name + "`")
        return member.offset + len(header)

    def piece(self, name: str, start: int, length: int) -> bytes:
        """Some bytes of a file."""
        member = self._members[name]
        if start + length > member.size:
            raise PackDefect(name, "is shorter than the manifest's items need")
        return self._read(member.offset + LOCAL_HEADER.size + len(member.name) + start, length)

    def chunks(self, name: str) -> Iterator[bytes]:
        """All bytes of a file that is small."""
        yield self._read(self._contents(name), self.size(name))

    def size(self, name: str) -> int:
        """Bytes of a file."""
        return self._members[name].size

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


class FolderPieces(FolderPack):
    """A pack's folder, of which pieces are read."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.pieces = self.bytes = 0

    def piece(self, name: str, start: int, length: int) -> bytes:
        """Some bytes of a file."""
        with self._root.joinpath(*name.split("/")).open("rb") as file:
            file.seek(start)
            found = file.read(length)
        if len(found) < length:
            raise PackDefect(name, "is shorter than the manifest's items need")
        self.pieces, self.bytes = self.pieces + 1, self.bytes + length
        return found

    def chunks(self, name: str) -> Iterator[bytes]:
        """The contents of a file, piece by piece."""
        for chunk in super().chunks(name):
            self.pieces, self.bytes = self.pieces + 1, self.bytes + len(chunk)
            yield chunk


def verify_item(path: str, item_id: str, trusted_key: str | None = None) -> ItemProof:
    """Prove the item `item_id` of the pack at `path`, or that the pack has none; see `verify_pack` for the key."""
    outcome = ItemProof(Path(path).resolve().name, item_id)
    try:
        trusted = read_key(trusted_key) if trusted_key else None
        pack = FolderPieces(path) if Path(path).is_dir() else ZipPieces(path)
    except VerificationFailed as error:
        outcome.blame("--key", str(error))
        return outcome
    except PackDefect as defect:
        outcome.blame(defect.file, defect.problem)
        return outcome
    except OSError as error:
        outcome.blame(outcome.pack, "cannot be read: " + (error.strerror or "unknown error").lower())
        return outcome
    try:
        envelope = read_signed(pack, outcome)
        if envelope is not None and check_key_and_signature(pack, envelope, trusted, outcome) and outcome.ok:
            _prove(pack, outcome)
    except PackDefect as defect:
        outcome.blame(defect.file, defect.problem)
    except OSError as error:
        outcome.blame(outcome.pack, "cannot be read: " + (error.strerror or "unknown error").lower())
    finally:
        pack.close()
    outcome.pieces, outcome.bytes = pack.pieces, pack.bytes
    return outcome


def _prove(pack: ZipPieces | FolderPieces, outcome: ItemProof) -> None:
    claimed = outcome.manifest.get("items")
    if claimed is None:
        raise PackDefect(outcome.pack, "was made without an index of items; verify it as a whole")
    for name in ITEM_FILES:
        if name not in pack.names:
            raise PackDefect(name, "is missing")
    outcome.count, root = claimed["count"], bytes.fromhex(claimed["root_sha256"])
    place = first_not_before(pack, outcome.count, outcome.item_id)
    after = proved(pack, place, outcome.count, root) if place < outcome.count else b""
    if after and id_of(after) == outcome.item_id:
        outcome.item, outcome.place = json.loads(after.decode("ascii")), place + 1
        return
    before = proved(pack, place - 1, outcome.count, root) if place else b""
    if (after and id_of(after) < outcome.item_id) or (before and id_of(before) >= outcome.item_id):
        raise PackDefect("items/offsets.bin", "does not lead to where the item would be")
    outcome.absent = True


def item_status(outcome: ItemProof) -> int:
    """Exit status: 0 the item is proved, 1 it is not, 3 it is proved that there is none."""
    if not outcome.ok:
        return NOT_PROVED
    return NOT_THERE if outcome.absent else PROVED
