"""Random small policies and random questions about them, in the company of `policy_world`. A seed says which."""

from __future__ import annotations

import json
from datetime import timedelta
from random import Random

from lapse.domain.requests import Ticket
from lapse.policy import Ask, History, PastGrant, PastRequest, Policy, TicketFacts, TicketStatus, parse
from support.policy_world import HOUR, TUESDAY, ask

PARTIES = ("anyone", "group:developers", "group:dba", "group:contractors", "group:leads", "alice", "carl", "bot", "tim")
PATTERNS = (
    "*/*",
    "pg-*/*",
    "*/reader",
    "*-pr?d/*",
    "tag:env=prod",
    "tag:env=*d*",
    "pg-prod/admin",
    "wiki/*",
    "tag:data=*",
)
TIMES = ("30m", "1h", "2h", "4h", "8h")
CONDITIONS = (
    "principal.kind == 'person'",
    "principal.kind != 'agent' && requester.kind == 'person'",
    "resource.tags.env == 'prod'",
    "has(resource.tags.env) && resource.tags.env != 'dev'",
    "!has(resource.tags.data) || resource.tags.data == 'personal'",
    "resource.tags.env == 'prod' || entitlement.role == 'reader'",
    "resource.tags.env == 'prod' && entitlement.role == 'reader'",
    "!(resource.tags['data'] == 'personal')",
    "'env' in resource.tags ? resource.tags.env == 'prod' : entitlement.role in ['reader', 'writer']",
    "(entitlement.role == 'admin' ? resource.tags.env : 'dev') == 'dev'",
    "request.duration > duration('1h')",
    "request.duration + duration('1h') <= duration('2h30m')",
    "request.total_duration - request.duration >= duration('1h')",
    "request.starts_at - request.at < duration('2h')",
    "request.starts_at < timestamp('2026-03-03T12:00:00Z')",
    "request.at.getHours() < 12 && request.at.getDayOfWeek() != 0",
    "request.starts_at.getMinutes() == 0",
    "'dba' in principal.groups || requester.name == 'lea'",
    "principal.groups.exists(g, g.startsWith('d'))",
    "principal.groups.all(g, g != 'contractors')",
    "requester.groups.exists(g, g in principal.groups)",
    "principal.human_groups.exists(g, g.endsWith('ors') && g != 'contractors')",
    "['alice', 'bob'].exists(n, n == principal.name)",
    "['env', 'data'].all(k, k == resource.tags.env || k == 'data')",
    "requester.name in principal.humans",
    "principal.manager == 'lea' && principal.department != ''",
    "resource.owner == principal.manager",
    "resource.owner == 'group:dba' || resource.owner == ''",
    "entitlement.name == 'pg-prod/admin'",
    "entitlement.name.startsWith('pg-') && entitlement.name.endsWith('d/reader')",
    "entitlement.name.contains('people')",
    "entitlement.name in ['pg-prod/reader', 'wiki/admin']",
    "request.justification.contains('it') && size(request.justification) > 5",
    "request.justification.size() == 1",
    "request.ticket.system == 'jira' && request.ticket.number.startsWith('A')",
    "request.is_extension || request.for_self",
    "!!(request.for_self == true)",
    "principal.email.endsWith('@example.com')",
    "request.justification.matches('^b')",
    "context.risk < 5",
    "has(context.risk) && context.risk < 5",
    "principal.department < 'q'",
)
JUSTIFICATIONS = ("", "7", "because of it", "  x  ", "fixing the broken order export", "test test")
TICKETS = (
    None,
    Ticket(system="jira", number="A-1"),
    Ticket(system=" JIRA ", number="7"),
    Ticket(system="x", number=" "),
)


class RandomPolicies:
    """Everything random about one seed."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)  # noqa: S311  test data, not secrets

    def policy(self) -> Policy:
        """One to five offers, none to four limits."""
        offers = [self._offer(f"offer-{n}") for n in range(self.random.randint(1, 5))]
        limits = [self._limit(f"limit-{n}") for n in range(self.random.randint(0, 4))]
        return parse({"p.json": json.dumps({"version": 1, "offers": offers, **({"limits": limits} if limits else {})})})

    def ask(self) -> Ask:
        """A question that `control` could ask, and some more."""
        one, hours = self.random, self.random.choice([0.5, 1, 2, 3, 4, 8])
        more = one.choice([0, 0, 0, 1, 5])
        who, whom = one.choice(
            [("alice", ""), ("bob", ""), ("carl", ""), ("carl-admin", ""), ("dora", ""), ("tim", ""), ("ci", ""),
             ("bot", ""), ("alice", "bot"), ("carl", "carlbot"), ("lea", "alice"), ("bob", "ci"),
             ("carl", "carl-admin")]
        )  # fmt: skip
        emergency = one.random() < 0.3
        at = TUESDAY + timedelta(minutes=one.choice([0, 0, 30, 150, -600, 6000]))
        return ask(
            who,
            one.choice(
                [
                    "pg-prod/reader",
                    "pg-prod/admin",
                    "pg-people/writer",
                    "pg-dev/admin",
                    "wiki/reader",
                    "mysql-shop/admin",
                ]
            ),
            hours,
            beneficiary=whom,
            at=at,
            starts_at=None if emergency else one.choice([None, None, at + HOUR, at + 30 * HOUR]),
            is_extension=bool(more) and one.random() < 0.7,
            total_duration=(hours + more) * HOUR,
            break_glass=emergency,
            justification=one.choice(JUSTIFICATIONS),
            ticket=one.choice(TICKETS),
            ticket_facts=one.choice([None, *(TicketFacts(status=status) for status in TicketStatus)]),
            context=one.choice([{}, {}, {"risk": 3}, {"risk": 9}]),
            history=self._history(),
        )

    def _history(self) -> History | None:
        one = self.random
        if one.random() < 0.1:
            return None
        grants = [
            PastGrant(
                entitlement="pg-prod/reader", begins_at=TUESDAY - start * HOUR, ends_at=TUESDAY - (start - 2) * HOUR
            )
            for start in one.sample(range(2, 40), one.randint(0, 3))
        ]
        requests = [
            PastRequest(at=TUESDAY - minutes * HOUR / 60, offer="offer-0", automatic=True)
            for minutes in one.sample(range(1, 90), one.randint(0, 3))
        ]
        return History(
            since=TUESDAY - 2000 * HOUR,
            grants=tuple(grants),
            requests=tuple(requests),
            justifications=one.choice([(), ("because of it",), ("other", "7")]),
            pending=one.choice([0, 1, 5]),
            overdue_reviews=one.choice([(), (), ("aft_1",)]),
        )

    def _some(self, values, most):
        return self.random.sample(values, self.random.randint(1, most))

    def _maybe(self, rule, name, share, value):
        if self.random.random() < share:
            rule[name] = value()

    def _stages(self):
        parties = ["group:leads", "group:leads", "owner", "manager", "group:dba", "tim"]
        who = set(self.random.choices(parties, k=self.random.randint(1, 2)))
        return [{"from": party, "quorum": self.random.choice([1, 1, 2, 3])} for party in sorted(who)]

    def _needs(self, rule):
        one = self.random
        self._maybe(rule, "when", 0.5, self._condition)
        self._maybe(rule, "windows", 0.15, self._windows)
        self._maybe(
            rule,
            "justification",
            0.2,
            lambda: one.choice(["required", {"min_length": 10, "real": True}, {"unlike_last": 2}]),
        )
        self._maybe(
            rule,
            "ticket",
            0.2,
            lambda: one.choice(["required", {"systems": ["jira"], "checked": True, "if_unreachable": "allow"}]),
        )
        self._maybe(rule, "budget", 0.1, lambda: {"most": "4h", "per": one.choice(["4h", "1d", "1w"])})
        self._maybe(rule, "cooldown", 0.1, lambda: "3h")

    def _condition(self):
        first, second = self.random.choice(CONDITIONS), self.random.choice(CONDITIONS)
        form = self.random.choice(["{0}", "{0}", "({0}) && ({1})", "({0}) || ({1})", "!({0})"])
        return form.format(first, second)

    def _windows(self):
        start, end = self.random.choice(
            [("09:00", "17:00"), ("20:00", "11:00"), ("00:00", "24:00"), ("00:00", "12:00")]
        )
        return [
            {
                "days": self.random.choice(["mon-fri", "tue", "mon-sun"]),
                "from": start,
                "to": end,
                "timezone": "Europe/Berlin",
            }
        ]

    def _offer(self, name):
        one, longest = self.random, self.random.randrange(len(TIMES))
        rule = {
            "name": name,
            "entitlements": self._some(PATTERNS, 2),
            "to": self._some(PARTIES, 2),
            "max_duration": TIMES[longest],
        }
        self._maybe(rule, "max_total", 0.5, lambda: one.choice(TIMES[longest:]))
        self._maybe(rule, "kinds", 0.3, lambda: self._some(["person", "service", "agent"], 3))
        if "agent" in rule.get("kinds", ()):
            rule["purpose"] = "a test"
        self._maybe(rule, "asked_by", 0.3, lambda: self._some(PARTIES, 1))
        self._needs(rule)
        way = one.random()
        if way < 0.5:
            rule["approvals"] = self._stages()
        elif way < 0.85:
            rule["auto_approve"] = one.choice([True, {"most": 2, "per": "1h"}])
        else:
            rule["break_glass"] = {"review_within": "24h", "reviewers": "group:security"}
        return rule

    def _limit(self, name):
        one = self.random
        rule = {"name": name}
        self._maybe(rule, "entitlements", 0.6, lambda: self._some(PATTERNS, 2))
        self._maybe(rule, "to", 0.3, lambda: self._some(PARTIES[1:], 2))
        self._maybe(rule, "kinds", 0.2, lambda: self._some(["person", "service", "agent"], 2))
        self._needs(rule)
        self._maybe(rule, "quota", 0.1, lambda: {"most": 2, "per": "1h", "pending": 3})
        self._maybe(rule, "max_duration", 0.3, lambda: one.choice(TIMES[2:]))
        self._maybe(rule, "max_total", 0.3, lambda: "8h")
        self._maybe(rule, "approvals", 0.5, self._stages)
        if one.random() < 0.15:
            rule |= {"forbid": True, "reason": "so it is"}
        if not rule.keys() - {"name", "entitlements", "to", "kinds", "when"}:
            rule["max_duration"] = "8h"
        return rule
