"""What the user of a session is told, in every protocol the same words: that it will end, and why it did."""

from __future__ import annotations

from lapse.domain.durations import human_duration
from lapse.domain.sessions import SessionEnd
from lapse.gateway.live import Ending
from lapse.ports import Cut

_WHY = {
    SessionEnd.ELAPSED: "your access has reached its end",
    SessionEnd.RELEASED: "your access was given back",
    SessionEnd.REVOKED: "your access was revoked",
    SessionEnd.LOCKED: "a lock is in force",
    SessionEnd.POLICY_CHANGED: "the policy no longer allows it",
    SessionEnd.DRIFT: "the target no longer agrees with the record",
    SessionEnd.KILLED: "the session was ended by an administrator",
    SessionEnd.IDLE: "the session was idle for too long",
    SessionEnd.DRAINED: "the gateway is shutting down; connect again",
    SessionEnd.CONTROL_LOST: "the gateway cannot reach lapse",
    SessionEnd.NOT_RECORDED: "the session can no longer be recorded",
}
_WILL = {
    SessionEnd.ELAPSED: "your access ends",
    SessionEnd.DRAINED: "the gateway is shutting down, so that you should connect again: this session ends",
    SessionEnd.CONTROL_LOST: "the gateway cannot reach lapse: this session ends",
    SessionEnd.IDLE: "nothing happens in this session: it ends",
}


def told_end(cut: Cut) -> str:
    """Why the session was cut, as one sentence without a full stop, e.g. `lapse: your access was revoked by bob`."""
    by = f" by {cut.by}" if cut.by and cut.reason in {SessionEnd.REVOKED, SessionEnd.LOCKED} else ""
    return f"lapse: {_WHY.get(cut.reason, 'the session is over')}{by}"


def told_ending(ending: Ending) -> str:
    """That the session will be cut, e.g. `lapse: your access ends in 2m`."""
    return f"lapse: {_WILL.get(ending.reason, 'this session ends')} in {human_duration(ending.left)}"
