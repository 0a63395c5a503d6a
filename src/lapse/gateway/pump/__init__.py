"""Pumps: move the bytes of established PostgreSQL sessions, keep what must be kept of them, cut them on time.

`make_pump` gives the process its pump. There is one in C and its twin in Python; they behave alike.
"""

from lapse.gateway.pump.interface import Attachment, Counters, Ended, Farewells, Flow, FlowEnd, Leg, Pump
from lapse.gateway.pump.native import NativePump
from lapse.gateway.pump.twin import TwinPump

__all__ = ["Attachment", "Counters", "Ended", "Farewells", "Flow", "FlowEnd", "Leg", "Pump", "make_pump"]


def make_pump(*, prefer_native: bool = True) -> Pump:
    """The pump of this process, in whose event loop this is called: the compiled one where there is one."""
    if prefer_native:
        try:
            return NativePump()
        except (FileNotFoundError, OSError):
            pass
    return TwinPump()
