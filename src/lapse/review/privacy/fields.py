"""What the fields of evidence and of results hold: identities, texts of people, or facts. Unknown ones are left out.

Guarantee: a text field that is not named here is treated as a text that somebody wrote, and left out of an export; so a
field that is added later cannot leak. Called by `export`. Names are those of the evidence tables and the dataclasses.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Holds(StrEnum):
    """What a field holds, and so what becomes of it: a pseudonym, a keyed hash, checked text, or nothing."""

    PERSON = "person"
    ACCOUNT = "account"
    ADDRESS = "address"
    HASH = "hash"
    TEXT = "text"
    LEFT_OUT = "left out"


_PERSONS = """
    principal person persons approver approvers on_behalf_of on_call requester beneficiary owner manager
    sponsor alias_of grantor reviewed_by decided_by signed_by proposed_by approved_by activated_by given_by
    changed_by actor people excluded escalated_to example used_by denied_by who holder by told fallback
    reviewers started_by display_name email candidate
"""
_ACCOUNTS = "account accounts grantee"
_ADDRESSES = "address device"
_HASHES = "fingerprint findings finding terms_sha256"
_TEXTS = """
    resource resources connector entitlement entitlements role roles native_role mode tags powers kind holding
    state verdict stage stages usage usage_coverage policy_version offer offers ticket tickets object objects
    action actions source source_kind request_id grant_id grant_ids decision_id review_id item_id items
    session_id credential_id exception_id id subject summary via path from_name to_name power how controls
    object_kind object_name database_name privileges rights origin rule rules conflict side event field status
    outcome judgement decision end_reason group group_name place base table_name check_name gaps recorded
    derived protocol delegation extends file team department connection coverage detector detector_version
    version title question severity confidence would_clear remediation clauses first_found recommendation
    recommendation_reason narrow_to act approval peers would_lose line selector text frameworks name unit
    query table sha256 reason missing caveats scope period tool policy over_at windows what approved_for
    needed denied_request other_role other_source in_return not_patched effects_missing patch_kind setting
    ring
"""
_WRITTEN = {("ItemVote", "reason"), ("Problem", "examples"), ("SourceReport", "examples"), ("PolicyProposal", "patch")}
"""Fields that people write under names that elsewhere are ours; and what would bring whole policies along."""

KNOWN: Mapping[str, Holds] = {
    **dict.fromkeys(_TEXTS.split(), Holds.TEXT),
    **dict.fromkeys(_HASHES.split(), Holds.HASH),
    **dict.fromkeys(_ADDRESSES.split(), Holds.ADDRESS),
    **dict.fromkeys(_ACCOUNTS.split(), Holds.ACCOUNT),
    **dict.fromkeys(_PERSONS.split(), Holds.PERSON),
}
_COLUMNS_LEFT_OUT = frozenset({"title", "reason", "question", "text", "what", "query", "name", "line"})
"""Columns of evidence under these names were written by people, or say a job; in results the same names are ours."""


def of_column(name: str) -> Holds:
    """What a text column of an evidence table, or of a finding's evidence, holds."""
    return Holds.LEFT_OUT if name in _COLUMNS_LEFT_OUT else KNOWN.get(name, Holds.LEFT_OUT)


def of_field(kind: str, name: str) -> Holds:
    """What a text field of a result holds, in the dataclass called `kind`."""
    return Holds.LEFT_OUT if (kind, name) in _WRITTEN else KNOWN.get(name, Holds.LEFT_OUT)
