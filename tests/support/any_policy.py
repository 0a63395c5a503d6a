"""Any policy and any question in the small company of `policy_world`, for property tests."""

from __future__ import annotations

from hypothesis import strategies as st

from lapse.domain.requests import Ticket
from lapse.policy import parse
from support.policy_world import HOUR, TUESDAY, ask

PARTIES = st.sampled_from(
    ["anyone", "group:developers", "group:dba", "group:contractors", "alice", "carl", "[bob, lea]"]
)
PATTERNS = st.sampled_from(["*/*", "pg-*/*", "*/reader", "tag:env=prod", "pg-prod/admin", "[wiki/*, tag:data=*]"])
TIMES = st.sampled_from(["1h", "2h", "4h", "8h"])
CONDITIONS = st.sampled_from(
    [
        "principal.kind == 'person'",
        "resource.tags.env == 'prod'",
        "context.risk < 5",
        "request.duration > duration('1h')",
        "'dba' in principal.groups || requester.name == 'lea'",
        "int(request.justification) > 3",
        "context.flag",
        "has(resource.tags.data) && request.is_extension",
    ]
)
STAGES = st.lists(
    st.sampled_from(
        ["{from: owner}", "{quorum: 2, from: [owner]}", "{from: group:leads}", "{quorum: 3, from: manager}"]
    ),
    min_size=1,
    max_size=2,
    unique_by=lambda stage: stage.split("from: ")[1].strip("[]}"),
).map(lambda stages: f"[{', '.join(stages)}]")
WINDOW = st.sampled_from(["mon-fri", "tue", "sat"]).flatmap(
    lambda days: st.sampled_from([("09:00", "17:00"), ("20:00", "11:00"), ("00:00", "24:00")]).map(
        lambda clock: f'[{{days: {days}, from: "{clock[0]}", to: "{clock[1]}", timezone: Europe/Berlin}}]'
    )
)
NEEDS = {
    "when": CONDITIONS,
    "windows": WINDOW,
    "ticket": st.sampled_from(["required", "{systems: [jira]}"]),
    "justification": st.sampled_from(["required", "{min_length: 5}"]),
}


def rule(values):
    return "  - {" + ", ".join(f'{key}: "{v}"' if key == "when" else f"{key}: {v}" for key, v in values.items()) + "}\n"


OFFERS = st.fixed_dictionaries(
    {"to": PARTIES, "entitlements": PATTERNS.map(lambda p: p if p[0] == "[" else f'"{p}"'), "max_duration": TIMES},
    optional={**NEEDS, "approvals": STAGES},
).map(lambda values: values if "approvals" in values else {**values, "auto_approve": "true"})
LIMITS = st.fixed_dictionaries(
    {},
    optional={
        **NEEDS,
        "to": PARTIES,
        "entitlements": PATTERNS.map(lambda p: p if p[0] == "[" else f'"{p}"'),
        "max_duration": TIMES,
        "approvals": STAGES,
        "forbid": st.just("true"),
    },
).map(lambda values: {**values, "reason": "so it is"} if "forbid" in values else {**values, "max_total": "12h"})


def policy(offers, limits):
    text = "version: 1\n"
    for kind, rules in (("offers", offers), ("limits", limits)):
        if rules:
            text += f"{kind}:\n" + "".join(rule({"name": f"{kind}-{n}", **values}) for n, values in enumerate(rules))
    return parse({"p.yaml": text})


def _ask(who, what, hours, more, early, facts):
    chain = {"is_extension": True, "total_duration": (hours + more) * HOUR} if more else {}
    return ask(who[0], what, hours, beneficiary=who[-1], at=TUESDAY + early * HOUR, **chain, **facts)


ASKS = st.builds(
    _ask,
    st.sampled_from([("alice",), ("carl",), ("carl-admin",), ("tim",), ("alice", "bot"), ("lea", "alice"), ("gone",)]),
    st.sampled_from(["pg-prod/reader", "pg-prod/admin", "pg-people/writer", "pg-dev/admin", "wiki/reader"]),
    st.sampled_from([0.5, 1, 2, 3, 8, 20]),
    st.sampled_from([0, 0, 1, 5]),
    st.integers(-30, 100),
    st.fixed_dictionaries(
        {},
        optional={
            "justification": st.sampled_from(["", "7", "because of it"]),
            "ticket": st.sampled_from([None, Ticket(system="jira", number="A-1"), Ticket(system="x", number="1")]),
            "context": st.sampled_from([{}, {"risk": 3}, {"risk": 9, "flag": True}, {"flag": "yes"}]),
        },
    ),
)


OFFER_LISTS = st.lists(OFFERS, max_size=4)
LIMIT_LISTS = st.lists(LIMITS, max_size=3)
