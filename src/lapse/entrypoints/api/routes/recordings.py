"""Recordings: what happened in a session, line by line, now or while it happens."""

from __future__ import annotations

import codecs
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

from lapse.control.recordings import open_recording, read_frames
from lapse.domain.data import Json, to_data
from lapse.domain.errors import LapseError
from lapse.domain.sessions import Session
from lapse.entrypoints.api.operations import Body, Call, Lines, Routes
from lapse.protocols.pieces import unpacked
from lapse.protocols.postgres.audit import Auditor, Statement
from lapse.protocols.recording import Frame, FrameKind

ROUTES = Routes("sessions")
NDJSON = "application/x-ndjson"

_EVENTS = {
    FrameKind.STARTED: "started",
    FrameKind.RESIZE: "resize",
    FrameKind.FILE: "file",
    FrameKind.TUNNEL: "tunnel",
    FrameKind.EXIT: "exit",
    FrameKind.VERDICT: "verdict",
}
_STREAMS = {FrameKind.OUTPUT: "output", FrameKind.ERRORS: "errors", FrameKind.INPUT: "input"}
_CHANNEL_SIZE = 4
_Utf8 = codecs.getincrementaldecoder("utf-8")


class ReplayBody(Body, frozen=True, kw_only=True):
    """`follow`: go on until the session is over. `why`: for the ledger, which has who read what."""

    follow: bool = False
    why: str = ""


@ROUTES.post("/api/v1/sessions/{session_id}/replay", Lines, body=ReplayBody, media_type=NDJSON, secret=True)
async def replay_session(call: Call) -> Lines:
    """What happened in a session: JSON values, one a line, the first about the session. The ledger has who reads it.

    Each has `at` and `event`: `statement` with text, parameters, tags, rows, error and duration, or what a terminal,
    a command or a transfer did; `error` says that the rest cannot be read.
    """
    body: ReplayBody = call.body
    session = await open_recording(call.control, call.actor, call.path["session_id"], why=body.why)
    return Lines(_events(call, session, follow=body.follow))


async def _events(call: Call, session: Session, *, follow: bool) -> AsyncIterator[Any]:
    """The last line may be an `error`: it is too late for another status."""
    yield {"event": "session", "at": to_data(session.started_at), **_about(session)}
    try:
        async for event in _read(call, session, follow=follow):
            yield event
    except LapseError as error:
        yield {"event": "error", "code": error.code, "message": error.message, "hint": error.hint}


async def _read(call: Call, session: Session, *, follow: bool) -> AsyncIterator[Any]:
    reading = _Reading(session)
    async for frame in read_frames(call.control, call.app.blobs, session, follow=follow):
        for event in reading.events(frame):
            yield event
    for event in reading.close():
        yield event


class _Reading:
    """The frames of one session as events. A character that two frames share is told with the second."""

    def __init__(self, session: Session) -> None:
        self._session, self._auditor = session, Auditor()
        self._decoders: dict[tuple[int, int], codecs.IncrementalDecoder] = {}

    def events(self, frame: Frame) -> Iterator[dict[str, Json]]:
        """What one frame says."""
        if frame.kind == FrameKind.PIECES:
            for statement in self._auditor.feed(unpacked(frame.data)):
                yield _statement(statement, self._session)
        elif frame.kind in _EVENTS:
            yield {"event": _EVENTS[FrameKind(frame.kind)], "at": to_data(frame.at), **json.loads(frame.data)}
        elif frame.kind in _STREAMS:
            yield self._said(frame)

    def close(self) -> Iterator[dict[str, Json]]:
        """What was begun and never answered."""
        for statement in self._auditor.close():
            yield _statement(statement, self._session)

    def _said(self, frame: Frame) -> dict[str, Json]:
        channel = int.from_bytes(frame.data[:_CHANNEL_SIZE], "big")
        decoder = self._decoders.setdefault((frame.kind, channel), _Utf8("replace"))
        text = decoder.decode(frame.data[_CHANNEL_SIZE:])
        return {"event": _STREAMS[FrameKind(frame.kind)], "at": to_data(frame.at), "channel": channel, "text": text}


def _statement(statement: Statement, session: Session) -> dict[str, Json]:
    """One line of the audit record: it stands for itself, wherever it is put."""
    return {
        "event": "statement",
        "at": to_data(statement.at),
        "session": session.id,
        "principal": session.principal,
        "grant": session.grant_id,
        "resource": session.resource,
        "database": session.place,
        "user": session.account,
        "kind": statement.kind,
        "statement": statement.text,
        "name": statement.name,
        "parameters": None if statement.parameters is None else list(statement.parameters),
        "tags": list(statement.tags),
        "rows": statement.rows,
        "error": statement.error,
        "message": statement.message,
        "duration_us": None if statement.duration is None else round(statement.duration.total_seconds() * 1e6),
    }


def _about(session: Session) -> dict[str, Json]:
    names = ("id", "principal", "entitlement", "grant_id", "account", "protocol", "client", "program", "place")
    return {name: to_data(getattr(session, name)) for name in names}
