"""A pack without names: people, accounts and addresses as keyed pseudonyms, what people wrote left out.

`fields` says which fields hold what, `pseudonyms` makes and places the pseudonyms, `export` makes the pack's contents
from a sealed pack. The key stays at home: with it a pseudonym can be made again from a name, without it not.
"""

from lapse.review.privacy.export import KIND, pseudonymised
from lapse.review.privacy.pseudonyms import Pseudonyms

__all__ = ["KIND", "Pseudonyms", "pseudonymised"]
