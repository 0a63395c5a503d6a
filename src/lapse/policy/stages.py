"""How approvals are written: stages, who may decide in them, escalation, and what follows break-glass."""

from __future__ import annotations

from lapse.domain.names import check_name
from lapse.domain.terms import Escalation, PostReview, Stage
from lapse.policy.parts import DURATION, MOST_ITEMS, NAME_SCHEMA
from lapse.policy.patterns import ANYONE, parse_approver
from lapse.policy.shape import Found, Key, Many, OrWord, Record, Sink, Text, Whole, Word

MOST_STAGES = 5
MOST_VOTES = 10
MOST_ESCALATIONS = 5

STAGE_NAME = Text(lambda text: check_name(text, what="name of a stage"), NAME_SCHEMA)
APPROVERS = Many(
    Text(parse_approver, {"not": {"const": ANYONE}, "examples": ["owner", "manager", "group:dba", "oncall:database"]}),
    MOST_ITEMS,
    or_one=True,
)

ESCALATION = Record(
    "an escalation",
    (
        Key("after", DURATION, "How long the stage has been open by then.", required=True),
        Key("to", APPROVERS, "Who may decide as well from then on.", required=True),
    ),
    lambda found, _: Escalation(after=found.get("after"), approvers=found.get("to")),
)


def _build_stage(found: Found, sink: Sink) -> Stage:
    quorum, steps = found.get("quorum", 1), found.get("escalate", ())
    if len({step.after for step in steps}) < len(steps):
        raise sink.report(found.place_of("escalate"), "two escalations come at the same time", "join them into one")
    if set(found.get("except", ())) & set(found.get("from")):
        raise sink.report(found.place_of("except"), "the same party is in `from` and in `except`", "keep one")
    return Stage(
        name=found.get("name", ""),
        quorum=1 if quorum is ALL else quorum,
        approvers=found.get("from"),
        everyone=quorum is ALL,
        excluded=found.get("except", ()),
        escalations=tuple(sorted(steps, key=lambda step: step.after)),
        remind_after=found.get("remind_after"),
    )


ALL = "all"
STAGE = Record(
    "a stage of approval",
    (
        Key("name", STAGE_NAME, "What people call this stage; made from `from` if left out."),
        Key(
            "quorum",
            OrWord(Word(ALL, ALL), Whole(1, MOST_VOTES)),
            "How many distinct persons must say yes, or `all` who may; 1 if left out.",
        ),
        Key(
            "from",
            APPROVERS,
            "Who may: `group:NAME`, `owner` of the resource, `manager` of the beneficiary, `oncall:ROTA`, or names.",
            required=True,
        ),
        Key("except", APPROVERS, "Who may not, though they are in `from`."),
        Key("escalate", Many(ESCALATION, MOST_ESCALATIONS), "Who may decide as well once nobody did for a while."),
        Key("remind_after", DURATION, "When those who may decide are reminded."),
    ),
    _build_stage,
)
APPROVALS = Many(STAGE, MOST_STAGES)
POST_REVIEW = Record(
    "what follows break-glass",
    (
        Key("review_within", DURATION, "By when somebody must have looked at it.", required=True),
        Key("reviewers", APPROVERS, "Who may; never the person who used it.", required=True),
    ),
    lambda found, _: PostReview(within=found.get("review_within"), reviewers=found.get("reviewers")),
)
