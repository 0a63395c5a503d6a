"""The evidence tables, version 1: the one declaration of what a review's population looks like.

Everything that collects writes these tables, every detector reads only these, and anyone may supply one as a
CSV or Parquet file. `docs/evidence.md` is generated from here. A table that was not collected has no file;
that is different from a table with no rows.
"""

from __future__ import annotations

from collections.abc import Mapping

from lapse.review.columns import BOOL, INT, TEXT, TIME, Column, Kind, Table


def _must(name: str, kind: Kind, doc: str) -> Column:
    return Column(name, kind, doc, required=True)


_RESOURCE = _must("resource", TEXT, "name of the resource")
_ACCOUNT = _must("account", TEXT, "login or role name on the target")
_REQUEST = _must("request_id", TEXT, "id of the request")
_PRINCIPAL = _must("principal", TEXT, "name of the principal")

_PEOPLE = (
    Table(
        "principals",
        "Everyone known: persons, services and agents.",
        (
            _PRINCIPAL,
            _must("kind", TEXT, "`person`, `service` or `agent`"),
            _must("active", BOOL, "whether the identity is switched on"),
            Column("person", TEXT, "the human it is after aliases are followed; null for services and agents"),
            Column("alias_of", TEXT, "principal of which this is a second identity"),
            Column("sponsor", TEXT, "person an agent acts for"),
            Column("owner", TEXT, "person answerable for a service"),
            Column("manager", TEXT, "whom the person reports to"),
            Column("department", TEXT, "department"),
            Column("title", TEXT, "job title: the role of the person in the organization"),
            Column("display_name", TEXT, "name shown to people"),
            Column("email", TEXT, "mail address"),
            Column("left_at", TIME, "when the person left; null while employed or not known"),
        ),
    ),
    Table(
        "humans_behind",
        "Every human behind a principal: itself after aliases, sponsors of agents, owners of services.",
        (_PRINCIPAL, _must("person", TEXT, "a human behind it")),
    ),
    Table(
        "group_members",
        "Who is in which group, nested groups resolved.",
        (_must("group_name", TEXT, "name of the group"), _must("principal", TEXT, "a member, direct or nested")),
    ),
    Table(
        "people_events",
        "What happened to people: joined, moved, left.",
        (
            _PRINCIPAL,
            _must("happened_at", TIME, "when"),
            _must("event", TEXT, "`joined`, `moved` or `left`"),
            Column("detail", TEXT, "what changed, in words"),
        ),
    ),
)

_INVENTORY = (
    Table(
        "resources",
        "The inventory in scope.",
        (
            _RESOURCE,
            Column("connector", TEXT, "kind of target, e.g. `postgresql`"),
            Column("title", TEXT, "title"),
            Column("owner", TEXT, "principal or `group:NAME` that answers for it; null means nobody"),
            Column("owner_active", BOOL, "whether the owner resolves to at least one active person"),
            Column("governed", BOOL, "whether the policy in force has an offer for at least one entitlement of it"),
            Column("tags", TEXT, "`key=value`, separated by `;`"),
        ),
    ),
    Table(
        "entitlements",
        "Roles on resources that lapse can grant.",
        (
            _must("entitlement", TEXT, "`resource/role`"),
            _RESOURCE,
            _must("role", TEXT, "role part of the name"),
            Column("native_role", TEXT, "what it is called on the target"),
            Column("mode", TEXT, "how it is granted, e.g. `membership` or `ephemeral`"),
            Column("title", TEXT, "title"),
            Column("tags", TEXT, "`key=value`, separated by `;`"),
        ),
    ),
    Table(
        "accounts",
        "Logins and roles on targets, observed or linked in the catalog.",
        (
            _RESOURCE,
            _ACCOUNT,
            Column("principal", TEXT, "who it belongs to; null is nobody known"),
            Column("can_login", BOOL, "whether the target lets it log in; null when not observed"),
            Column("powers", TEXT, "native powers, separated by `;`, e.g. `superuser;createrole`"),
            Column("valid_until", TIME, "when the target itself ends the login; null is never"),
            Column("last_activity", TIME, "last activity the server knows of"),
            Column("grant_id", TEXT, "grant for which the login was created, if one"),
            _must("observed", BOOL, "whether it was seen on the target"),
            Column("observed_at", TIME, "when it was seen"),
            Column("builtin", BOOL, "whether the server brings it along (`pg_monitor`)"),
        ),
    ),
    Table(
        "access_observed",
        "Every role that an account effectively holds on a target, direct or through others.",
        (
            _RESOURCE,
            _ACCOUNT,
            _must("role", TEXT, "native role held, or `(superuser)` and the like for a power"),
            _must("holding", TEXT, "`direct`, `nested` or `power`"),
            _must("depth", INT, "roles in between: 0 is direct"),
            _must("observed_at", TIME, "when it was read"),
            Column("principal", TEXT, "who the account belongs to; null is nobody known"),
            Column("via", TEXT, "roles in between, outermost first, separated by ` > `"),
            Column("can_login", BOOL, "whether the account can log in"),
            Column("admin_option", BOOL, "whether the account can pass the role on"),
            Column("inherits", BOOL, "whether the rights apply without switching role"),
            Column("may_set", BOOL, "whether the account can switch to the role"),
            Column("powers", TEXT, "native powers of the role held, separated by `;`"),
            Column("valid_until", TIME, "when the target itself ends the account; null is never"),
            Column("grantor", TEXT, "who gave it, where the target says so"),
            Column("grant_id", TEXT, "grant that explains it; null is none"),
            Column("baseline", BOOL, "there before lapse managed it; null where nothing manages it"),
            Column("managed", BOOL, "whether the role is an entitlement in the catalog"),
        ),
    ),
    Table(
        "object_privileges",
        "Rights given directly on objects, and ownership.",
        (
            _RESOURCE,
            _must("grantee", TEXT, "account, role or `PUBLIC`"),
            _must("object_kind", TEXT, "`table`, `schema`, `database`, ..."),
            _must("object_name", TEXT, "name of the object"),
            Column("database_name", TEXT, "database it is in"),
            Column("privileges", TEXT, "rights, separated by `;`"),
            Column("grantor", TEXT, "who gave them"),
            Column("grantable", BOOL, "whether the grantee can pass them on"),
            Column("is_owner", BOOL, "whether the grantee owns the object"),
            Column("on_future", BOOL, "default privileges: applies to objects that do not exist yet"),
        ),
    ),
    Table(
        "target_reads",
        "Every read of a target, and whether it was complete.",
        (
            _RESOURCE,
            _must("finished_at", TIME, "when the read was over"),
            _must("complete", BOOL, "whether everything could be read"),
            Column("started_at", TIME, "when it began"),
            Column("accounts", INT, "accounts seen"),
            Column("memberships", INT, "memberships seen"),
            Column("gaps", TEXT, "what could not be read, separated by `;`"),
        ),
    ),
)

_FLOW = (
    Table(
        "requests",
        "Every request, with the terms it was made under.",
        (
            _REQUEST,
            _must("requester", TEXT, "who asked"),
            _must("beneficiary", TEXT, "for whom"),
            _must("entitlement", TEXT, "for what, `resource/role`"),
            _RESOURCE,
            _must("state", TEXT, "`pending`, `approved`, `denied`, `cancelled` or `expired`"),
            _must("created_at", TIME, "when it was made"),
            Column("requested_s", INT, "seconds asked for"),
            Column("justification", TEXT, "why"),
            Column("ticket", TEXT, "`system:number`"),
            Column("policy_version", TEXT, "policy then in force"),
            Column("offer", TEXT, "offer of the policy it was made under"),
            Column("max_duration_s", INT, "longest grant under that offer, seconds"),
            Column("max_total_s", INT, "longest contiguous time with extensions, seconds"),
            Column("expires_at", TIME, "when it lapses undecided"),
            Column("starts_at", TIME, "wanted start; null is at approval"),
            Column("extends", TEXT, "grant it continues"),
            Column("closed_at", TIME, "when it left `pending`"),
            Column("close_reason", TEXT, "why, in words"),
        ),
    ),
    Table(
        "stages",
        "The approval stages each request needed.",
        (
            _REQUEST,
            _must("stage", TEXT, "name of the stage"),
            _must("position", INT, "order, from 0"),
            _must("quorum", INT, "distinct persons that must say yes"),
            Column("approvers", TEXT, "parties that may, separated by `;`"),
            Column("everyone", BOOL, "whether all who may must say yes, and at least the quorum"),
            Column("excluded", TEXT, "parties that may not, separated by `;`"),
            Column("escalated_to", TEXT, "parties that may once the stage has waited, separated by `;`"),
        ),
    ),
    Table(
        "decisions",
        "Every vote on a request.",
        (
            _must("decision_id", TEXT, "id of the decision"),
            _REQUEST,
            _must("approver", TEXT, "name used"),
            _must("person", TEXT, "human behind the name, as recorded"),
            _must("verdict", TEXT, "`approve` or `deny`"),
            _must("stage", TEXT, "stage it counted in"),
            _must("decided_at", TIME, "when"),
            Column("reason", TEXT, "why"),
            Column("on_behalf_of", TEXT, "whose delegate cast it; null is in the own right"),
            Column("delegation", TEXT, "id of that delegation"),
            Column("on_call", TEXT, "who was on call then, `rota:name` separated by `;`"),
        ),
    ),
    Table(
        "approver_sets",
        "Who could decide on a request, stage by stage, under policy and catalog at the time, delegates and those on "
        "call included. Who asked or benefits is still listed here: detector C1 is about them.",
        (_REQUEST, _must("stage", TEXT, "name of the stage"), _must("person", TEXT, "an active person in the set")),
        derived=True,
    ),
    Table(
        "grants",
        "Every grant.",
        (
            _must("grant_id", TEXT, "id of the grant"),
            _must("beneficiary", TEXT, "who holds it"),
            _must("entitlement", TEXT, "`resource/role`"),
            _RESOURCE,
            _must("role", TEXT, "role part of the entitlement"),
            _must("state", TEXT, "`scheduled` ... `ended`, see the lifecycle of grants"),
            Column("request_id", TEXT, "request it follows from"),
            Column("account", TEXT, "login on the target"),
            Column("native_role", TEXT, "role on the target"),
            Column("starts_at", TIME, "wanted start"),
            Column("activated_at", TIME, "when the target was seen to have it; null if never"),
            Column("ends_at", TIME, "promised end; null is none"),
            Column("end_due_at", TIME, "when it had to be gone: the promised end, or earlier if ended by someone"),
            Column("ended_at", TIME, "when the target was seen to refuse; null is not yet"),
            Column("end_reason", TEXT, "`elapsed`, `released`, `revoked`, `locked`, ..."),
            Column("duration_s", INT, "seconds granted"),
            Column("held_before", BOOL, "whether the account had the role already, by no grant"),
            Column("extends", TEXT, "grant it continues"),
            Column("policy_version", TEXT, "policy it was given under"),
            Column("created_at", TIME, "when it was scheduled"),
            Column("attempts", INT, "failed attempts since the last success"),
            Column("last_error", TEXT, "last error of the target"),
        ),
    ),
    Table(
        "enforcement_events",
        "What the enforcer did and saw, from the ledger.",
        (
            _must("happened_at", TIME, "when"),
            _must("event", TEXT, "type of the ledger entry, e.g. `grant.ended`"),
            _must("subject", TEXT, "id of what changed"),
            Column("seq", INT, "place in the ledger"),
            Column("actor", TEXT, "who or which part"),
            Column("detail", TEXT, "fields after the change, JSON"),
        ),
    ),
)

_USE = (
    Table(
        "usage",
        "Proof that an account was used. No row proves nothing by itself: see `coverage`.",
        (
            _RESOURCE,
            _ACCOUNT,
            _must("started_at", TIME, "when the use began"),
            Column("ended_at", TIME, "when it ended; null is not known"),
            Column("grant_id", TEXT, "grant it was made under, where known"),
            Column("role", TEXT, "native role used, where known"),
            Column("action", TEXT, "what was done, where known"),
            Column("source", TEXT, "where this comes from"),
        ),
    ),
    Table(
        "coverage",
        "Windows in which usage of a resource was recorded.",
        (
            _RESOURCE,
            _must("from_at", TIME, "start of the window"),
            _must("to_at", TIME, "end of the window"),
            _must("complete", BOOL, "every use in the window is recorded; false for samples"),
            Column("source", TEXT, "telemetry it speaks of"),
        ),
    ),
)

_RULES = (
    Table(
        "policies",
        "Policy versions with their files, kept so that decisions re-derive.",
        (
            _must("policy_version", TEXT, "hash of the files"),
            _must("files", TEXT, "JSON object: file name to text"),
            Column("activated_at", TIME, "when it came into force"),
            Column("activated_by", TEXT, "who did that"),
            Column("active", BOOL, "whether it is in force"),
        ),
    ),
    Table(
        "offers",
        "What the policy in force offers: one row an offer and entitlement it is about.",
        (
            _must("policy_version", TEXT, "policy it is in"),
            _must("offer", TEXT, "name of the offer"),
            _must("entitlement", TEXT, "`resource/role`"),
            _RESOURCE,
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
            _must("policy_version", TEXT, "policy it is in"),
            _must("rule", TEXT, "name of the rule"),
            _must("kind", TEXT, "`offer` or `limit`"),
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
            _must("policy_version", TEXT, "policy it is in"),
            _must("entitlement", TEXT, "`resource/role`"),
            _RESOURCE,
            _must("role", TEXT, "role part of the name"),
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
            _must("policy_version", TEXT, "policy it is in"),
            _must("offer", TEXT, "name of the offer"),
            _must("entitlement", TEXT, "`resource/role`"),
            _RESOURCE,
            _must("needed", INT, "approvals it takes"),
            _must("candidates", INT, "principals who may have it"),
            Column("stuck", INT, "those of them who can never get enough; null is not known (rotas)"),
            Column("example", TEXT, "one of those"),
            Column("possible", INT, "approvals that one could get at most"),
        ),
    ),
    Table(
        "exceptions",
        "The register of accepted standing access.",
        (
            _RESOURCE,
            _ACCOUNT,
            Column("role", TEXT, "native role; null is every role of the account"),
            _must("owner", TEXT, "who answers for the exception"),
            _must("until", TIME, "when it ends"),
            Column("reason", TEXT, "why"),
        ),
    ),
    Table(
        "ledger_entries",
        "The ledger, entry by entry, in order.",
        (
            _must("seq", INT, "place, from 0"),
            _must("happened_at", TIME, "when"),
            _must("type", TEXT, "e.g. `request.created`"),
            _must("subject", TEXT, "id of what changed"),
            Column("actor", TEXT, "who changed it"),
            Column("policy_version", TEXT, "policy it was done under"),
            _must("body", TEXT, "the entry, canonical JSON"),
        ),
    ),
    Table(
        "ledger_checks",
        "What verifying the ledger said.",
        (
            _must("check_name", TEXT, "`sequence`, `hashes`, `checkpoint`, `consistency`, ..."),
            _must("ok", BOOL, "whether it held"),
            _must("checked_at", TIME, "when"),
            Column("entries", INT, "entries checked"),
            Column("first_bad", INT, "first broken entry"),
            Column("detail", TEXT, "what is wrong, in words"),
        ),
    ),
    Table(
        "rederivations",
        "Every past request decided again under the policy, context and catalog recorded at the time.",
        (
            _REQUEST,
            _must("recorded", TEXT, "outcome on record"),
            _must("derived", TEXT, "outcome of the replay"),
            _must("outcome", TEXT, "`same`, `different` or `not derivable`"),
            Column("policy_version", TEXT, "policy replayed"),
            Column("differences", TEXT, "what differs, in words, separated by `;`"),
        ),
        derived=True,
    ),
    Table(
        "review_decisions",
        "What reviewers of earlier reviews decided, and whether it was carried out.",
        (
            _must("item_id", TEXT, "id of the item"),
            _must("review_id", TEXT, "review it was in"),
            _RESOURCE,
            _ACCOUNT,
            Column("role", TEXT, "role it was about"),
            _must("decision", TEXT, "`keep`, `shorten` or `revoke`"),
            Column("decided_by", TEXT, "who decided"),
            Column("decided_at", TIME, "when"),
            Column("carried_out_at", TIME, "when the target was seen without it"),
            Column("outcome", TEXT, "what came of it"),
        ),
    ),
)

TABLES: Mapping[str, Table] = {t.name: t for t in (*_PEOPLE, *_INVENTORY, *_FLOW, *_USE, *_RULES)}
