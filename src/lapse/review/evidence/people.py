"""Tables of who there is: principals, groups, what happened to people."""

from __future__ import annotations

from lapse.review.evidence.columns import BOOL, TEXT, TIME, Column, Table
from lapse.review.evidence.shared import ACCOUNT, PRINCIPAL, RESOURCE, must

PEOPLE = (
    Table(
        "principals",
        "Everyone known: persons, services and agents.",
        (
            PRINCIPAL,
            must("kind", TEXT, "`person`, `service` or `agent`"),
            must("active", BOOL, "whether the identity is switched on"),
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
        (PRINCIPAL, must("person", TEXT, "a human behind it")),
    ),
    Table(
        "group_members",
        "Who is in which group, nested groups resolved.",
        (must("group_name", TEXT, "name of the group"), must("principal", TEXT, "a member, direct or nested")),
    ),
    Table(
        "people_events",
        "What happened to people: joined, moved, left.",
        (
            PRINCIPAL,
            must("happened_at", TIME, "when"),
            must("event", TEXT, "`joined`, `moved` or `left`"),
            Column("detail", TEXT, "what changed, in words"),
            Column("field", TEXT, "what changed: `department`, `manager`, `title`, ..."),
        ),
    ),
    Table(
        "account_links",
        "How accounts were linked to principals, and which could not be. Several rows of one account are a conflict.",
        (
            RESOURCE,
            ACCOUNT,
            must("rule", TEXT, "`catalog`, `mapping`, `mail`, `login`, `ssh key`, `session` or `unresolved`"),
            Column("principal", TEXT, "who it was linked to; null is nobody"),
            Column("detail", TEXT, "what the rule went by, or why none did"),
        ),
    ),
)
