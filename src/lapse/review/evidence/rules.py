"""Tables of the rules: policies and what they come to, registers of exceptions and of conflicts."""

from __future__ import annotations

from lapse.review.evidence.columns import BOOL, INT, TEXT, TIME, Column, Table
from lapse.review.evidence.shared import PRINCIPAL, REQUEST, RESOURCE, must

RULES = (
    Table(
        "policies",
        "Policy versions with their files, kept so that decisions re-derive.",
        (
            must("policy_version", TEXT, "hash of the files"),
            must("files", TEXT, "JSON object: file name to text"),
            Column("activated_at", TIME, "when it came into force"),
            Column("activated_by", TEXT, "who did that"),
            Column("active", BOOL, "whether it is in force"),
        ),
    ),
    Table(
        "offers",
        "What the policy in force offers: one row an offer and entitlement it is about.",
        (
            must("policy_version", TEXT, "policy it is in"),
            must("offer", TEXT, "name of the offer"),
            must("entitlement", TEXT, "`resource/role`"),
            RESOURCE,
            Column("max_duration_s", INT, "longest grant, seconds, after limits; null is none"),
            Column("max_total_s", INT, "longest contiguous time with extensions, seconds; null is none"),
            Column("approvals", INT, "distinct persons needed"),
        ),
    ),
    Table(
        "rule_effects",
        "Whether each rule of the policy in force ever decides anything, over all requests there could be. Proved by a "
        "solver: without it the table is absent.",
        (
            must("policy_version", TEXT, "policy it is in"),
            must("rule", TEXT, "name of the rule"),
            must("kind", TEXT, "`offer` or `limit`"),
            Column("decisive", BOOL, "whether any answer depends on it; null is not known"),
            Column("detail", TEXT, "why it does not, or why that is not known"),
            Column("file", TEXT, "policy file it is in"),
            Column("line", INT, "line of the file"),
        ),
    ),
    Table(
        "approval_paths",
        "Which entitlements somebody in the catalog can get with nobody deciding, before or after. Found by a solver "
        "and confirmed by the policy itself: without the solver the table is absent.",
        (
            must("policy_version", TEXT, "policy it is in"),
            must("entitlement", TEXT, "`resource/role`"),
            RESOURCE,
            must("role", TEXT, "role part of the name"),
            Column("tags", TEXT, "`key=value` of resource and entitlement, separated by `;`"),
            Column("unattended", BOOL, "whether it can be had with nobody deciding; null is not known"),
            Column("offer", TEXT, "offer that gives it"),
            Column("detail", TEXT, "a request that gets it, or why that is not known"),
        ),
    ),
    Table(
        "quorums",
        "Whether those who may ask could get enough approvals: one row an offer that takes any and an entitlement.",
        (
            must("policy_version", TEXT, "policy it is in"),
            must("offer", TEXT, "name of the offer"),
            must("entitlement", TEXT, "`resource/role`"),
            RESOURCE,
            must("needed", INT, "approvals it takes"),
            must("candidates", INT, "principals who may have it"),
            Column("stuck", INT, "those of them who can never get enough; null is not known (rotas)"),
            Column("example", TEXT, "one of those"),
            Column("possible", INT, "approvals that one could get at most"),
        ),
    ),
    Table(
        "policy_changes",
        "Every time a policy came into force: who wanted it, who agreed, whether it permits more than the one before.",
        (
            must("policy_version", TEXT, "policy that came into force"),
            must("activated_at", TIME, "when"),
            Column("proposed_by", TEXT, "who proposed it"),
            Column("approved_by", TEXT, "another person who agreed; null is nobody"),
            Column("base", TEXT, "policy that was in force before"),
            Column("widens", BOOL, "whether it permits what the one before did not; null is not known"),
            Column("detail", TEXT, "what it newly permits"),
        ),
    ),
    Table(
        "live_policies",
        "The policy that is really in use, wherever policies are used.",
        (
            must("place", TEXT, "what uses it: the server, a gateway, a cloud account"),
            must("policy_version", TEXT, "version that it says it is"),
            must("seen_at", TIME, "when this was looked at"),
            Column("files_sha256", TEXT, "version that its files really are"),
        ),
    ),
    Table(
        "eligibilities",
        "Who may ask for what under the policy in force.",
        (
            PRINCIPAL,
            must("entitlement", TEXT, "`resource/role`"),
            RESOURCE,
            Column("offer", TEXT, "offer that allows it"),
            Column("since", TIME, "since when; null is not known"),
        ),
    ),
    Table(
        "conflicts",
        "Separation of duties: nobody may hold roles of two sides of one conflict at a time.",
        (
            must("conflict", TEXT, "name of the conflict"),
            must("side", TEXT, "which side the role is on"),
            RESOURCE,
            must("role", TEXT, "role of an entitlement, or native role"),
            Column("reason", TEXT, "why nobody may hold both"),
        ),
    ),
    Table(
        "exceptions",
        "The register of what was accepted: standing access, or findings. Each should have an owner and an end.",
        (
            must("exception_id", TEXT, "id of the exception"),
            Column("resource", TEXT, "resource it is about"),
            Column("account", TEXT, "account whose standing access is accepted"),
            Column("role", TEXT, "native role; null is every role of the account"),
            Column("finding", TEXT, "fingerprint of the finding that is accepted"),
            Column("owner", TEXT, "who answers for the exception"),
            Column("until", TIME, "when it ends"),
            Column("reason", TEXT, "why"),
            Column("given_at", TIME, "when it was accepted"),
            Column("given_by", TEXT, "who accepted it"),
        ),
    ),
    Table(
        "ledger_entries",
        "The ledger, entry by entry, in order.",
        (
            must("seq", INT, "place, from 0"),
            must("happened_at", TIME, "when"),
            must("type", TEXT, "e.g. `request.created`"),
            must("subject", TEXT, "id of what changed"),
            Column("actor", TEXT, "who changed it"),
            Column("policy_version", TEXT, "policy it was done under"),
            must("body", TEXT, "the entry, canonical JSON"),
        ),
    ),
    Table(
        "ledger_checks",
        "What verifying the ledger said.",
        (
            must("check_name", TEXT, "`sequence`, `hashes`, `checkpoint`, `consistency`, ..."),
            must("ok", BOOL, "whether it held"),
            must("checked_at", TIME, "when"),
            Column("entries", INT, "entries checked"),
            Column("first_bad", INT, "first broken entry"),
            Column("detail", TEXT, "what is wrong, in words"),
        ),
    ),
    Table(
        "rederivations",
        "Every past request decided again under the policy, context and catalog recorded at the time.",
        (
            REQUEST,
            must("recorded", TEXT, "outcome on record"),
            must("derived", TEXT, "outcome of the replay"),
            must("outcome", TEXT, "`same`, `different` or `not derivable`"),
            Column("policy_version", TEXT, "policy replayed"),
            Column("differences", TEXT, "what differs, in words, separated by `;`"),
        ),
        derived=True,
    ),
)
