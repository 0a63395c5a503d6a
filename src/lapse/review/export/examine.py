"""Which file of a pack answers what NIST SP 800-53A tells an assessor to examine, for AC-2 and AC-6(7).

The objects to examine are those of the assessment method EXAMINE in NIST's OSCAL catalog (SP 800-53A revision 5),
paraphrased. What a pack cannot hold, such as a written procedure, is said to be elsewhere. Pure; called when a pack is
sealed.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from lapse.domain.data import Json
from lapse.review.export.facts import document


class Examined(NamedTuple):
    """One thing to look at, in words of ours: the files that show it, or what shows it where no file does."""

    what: str
    files: tuple[str, ...] = ()
    note: str = ""


_POLICY = Examined("the rules for access", ("policy/index.json",), "the text of every version in force is in policy/")
_SETTINGS = Examined(
    "how systems are set, and what was written about it",
    ("tables/entitlements.parquet", "tables/role_privileges.parquet", "tables/credentials.parquet"),
)
_DESIGN = Examined("design of the system", (), "not in a pack; the resources in scope are in tables/resources.parquet")
_PLAN = Examined("security plan", (), "not in a pack: the organization keeps it")
_AUDIT = Examined(
    "audit records", ("ledger/proofs.json", "tables/ledger_entries.parquet", "tables/enforcement_events.parquet")
)

_AC_2 = (
    _POLICY,
    Examined("rules for when somebody leaves or moves", (), "not in a pack; who did: tables/people_events.parquet"),
    Examined("procedures for managing accounts", (), "not in a pack: the organization keeps them"),
    _DESIGN,
    _SETTINGS,
    Examined(
        "accounts in use, each with the person it belongs to",
        ("tables/accounts.parquet", "tables/account_links.parquet", "tables/principals.parquet", "items.csv"),
    ),
    Examined(
        "accounts that were switched off lately, with their persons",
        ("tables/grants.parquet", "tables/access_periods.parquet", "tables/review_decisions.parquet"),
    ),
    Examined("conditions for being in groups and roles", ("tables/offers.parquet", "tables/eligibilities.parquet")),
    Examined("who was moved, separated or dismissed lately", ("tables/people_events.parquet",)),
    Examined(
        "records of authorized access",
        ("tables/requests.parquet", "tables/decisions.parquet", "tables/grants.parquet", "ledger/proofs.json"),
    ),
    Examined("reviews of accounts", ("report.html", "items.csv", "items/items.jsonl", "tables/reviews.parquet")),
    Examined("records of watching the system", ("tables/usage.parquet", "tables/sessions.parquet", "findings.json")),
    _AUDIT,
    _PLAN,
    Examined("privacy plan", (), "not in a pack; docs/privacy.md says what a review does with personal data"),
)
_AC_6_7 = (
    _POLICY,
    Examined("procedures for least privilege", (), "not in a pack: the organization keeps them"),
    Examined(
        "roles or kinds of users that systems make, with their rights",
        ("tables/role_privileges.parquet", "tables/access_observed.parquet", "tables/object_privileges.parquet"),
    ),
    _DESIGN,
    _SETTINGS,
    Examined("reviews in which the need for rights was validated", ("report.html", "items.csv", "items/items.jsonl")),
    Examined(
        "records of rights that were removed or reassigned",
        ("items.csv", "tables/review_decisions.parquet", "ledger/proofs.json"),
    ),
    _AUDIT,
    _PLAN,
)
_CONTROLS = {"ac-2": _AC_2, "ac-6.7": _AC_6_7}


def examine_document(paths: Collection[str]) -> bytes:
    """The index over a pack that holds the files `paths`: for each object its files, and those that are not there."""
    return document(
        {
            "format": "lapse-examine/1",
            "standard": "NIST SP 800-53A revision 5, assessment method EXAMINE, paraphrased",
            "source": "github.com/usnistgov/oscal-content, commit 88bb8dee, parts ac-2_asm-examine, ac-6.7_asm-examine",
            "controls": {name: [_entry(one, paths) for one in objects] for name, objects in _CONTROLS.items()},
        }
    )


def _entry(one: Examined, paths: Collection[str]) -> Json:
    there = [name for name in one.files if name in paths]
    absent = [name for name in one.files if name not in paths]
    return {"examine": one.what, "files": list(there), "not_in_this_pack": list(absent), "note": one.note}
