"""Reads many files of CloudTrail in several processes, and few in this one. Parts come in the order of the files.

A process that is lost (out of memory, killed) takes no evidence with it unseen: what it was to read is read again, and
a file whose reader is lost again is reported. Called by the kind of source `cloudtrail`.
"""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import TypeAlias

from lapse.review.sources.aws.trail_parts import Asked, Part, parts_of
from lapse.review.sources.aws.trail_records import Fault
from lapse.review.sources.aws.trail_rows import Tally

File: TypeAlias = tuple[str, Path]
"""Name in reports, and where it is."""
POOL_FROM = 48 << 20
"""Bytes of files: reading fewer takes less time than starting processes."""
LARGE = 8 << 20
"""A file of more bytes is read here, piece by piece, instead of being held as a whole by another process."""
_GROUP = 1 << 20
_GROUP_FILES = 200
_AHEAD = 2
_MOST_PROCESSES = 8


def read_all(files: Iterable[File], size: int, asked: Asked) -> Iterator[Part]:
    """The parts of all `files`, which have `size` bytes together; they are asked for as they are read."""
    workers = min(_MOST_PROCESSES, len(os.sched_getaffinity(0)))
    # A daemonic process may have no children.
    alone = workers == 1 or multiprocessing.current_process().daemon
    if alone or size < POOL_FROM:
        yield from parts_of(files, asked)
    else:
        yield from _in_processes(_groups(files), asked, workers)


def _groups(files: Iterable[File]) -> Iterator[list[File]]:
    """Neighbouring files that are worth being sent to another process together; a large one is alone."""
    group: list[File] = []
    size = 0
    for file in files:
        own = file[1].stat().st_size
        if group and (size + own > _GROUP or len(group) >= _GROUP_FILES):
            yield group
            group, size = [], 0
        group.append(file)
        size += own
    if group:
        yield group


def _in_processes(groups: Iterator[list[File]], asked: Asked, workers: int) -> Iterator[Part]:
    waiting: deque[tuple[list[File], Future[list[Part]] | None]] = deque()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        for group in groups:
            here = group[0][1].stat().st_size > LARGE
            waiting.append((group, None if here else _submitted(pool, group, asked)))
            while len(waiting) > _AHEAD * workers:
                yield from _outcome(*waiting.popleft(), asked)
        while waiting:
            yield from _outcome(*waiting.popleft(), asked)


def _submitted(pool: ProcessPoolExecutor, group: list[File], asked: Asked) -> Future[list[Part]] | None:
    try:
        return pool.submit(_work, group, asked)
    except BrokenProcessPool:
        failed: Future[list[Part]] = Future()
        failed.set_exception(BrokenProcessPool())
        return failed


def _outcome(group: list[File], done: Future[list[Part]] | None, asked: Asked) -> Iterator[Part]:
    if done is None:
        yield from parts_of(group, asked)
        return
    try:
        yield from done.result()
    except BrokenProcessPool:
        for file in group:
            yield from _guarded(file, asked)


def _guarded(file: File, asked: Asked) -> list[Part]:
    """Read one file in a process of its own, which may be lost without harm."""
    try:
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            return pool.submit(_work, [file], asked).result()
    except BrokenProcessPool:
        why = "the process that read it was lost"
        lost = Tally(rejected=1, faults=[Fault(file[0], why)])
        return [Part(lost, size=file[1].stat().st_size, unplaced=[file[0]])]


def _work(group: list[File], asked: Asked) -> list[Part]:
    return list(parts_of(group, asked))
