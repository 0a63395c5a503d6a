"""Change one thing in policy files and leave every other character as it is. Used where a change is proposed.

The result is read again: it says the same as before but for the rule that was to change, or there is no result.
"""

from __future__ import annotations

from lapse.policy.editing.edits import add_offer, add_to_rule, add_to_stage, remove_offer, set_value
from lapse.policy.editing.offers import OfferText, offer_text
from lapse.policy.editing.spans import CannotEdit

__all__ = [
    "CannotEdit",
    "OfferText",
    "add_offer",
    "add_to_rule",
    "add_to_stage",
    "offer_text",
    "remove_offer",
    "set_value",
]
