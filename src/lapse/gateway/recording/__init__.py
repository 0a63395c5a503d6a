"""What is kept of sessions: frames, appended to encrypted segments, durable within a second.

`Recording` is what a protocol writes to; `Recorder` makes one for each session and brings all of them to disk.
"""

from lapse.gateway.recording.frames import Recorder, Recording
from lapse.protocols.recording import FrameKind

__all__ = ["FrameKind", "Recorder", "Recording"]
