"""What gateways ask of lapse, answered in the process that has the store: `ports.ControlPlane`, and its orders."""

from lapse.control.plane.hub import Hub
from lapse.control.plane.local import LocalPlane

__all__ = ["Hub", "LocalPlane"]
