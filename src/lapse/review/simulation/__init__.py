"""A made-up organization and its access over a time, with labelled anomalies: what a review should find, and no more.

`simulate` writes a folder of evidence files; `docs/simulation.md` says where its figures come from and what is planted.
"""

from __future__ import annotations

from lapse.review.simulation.books import Planted
from lapse.review.simulation.run import Simulated, simulate
from lapse.review.simulation.size import Size

__all__ = ["Planted", "Simulated", "Size", "simulate"]
