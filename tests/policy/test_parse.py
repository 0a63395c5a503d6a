import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lapse.domain.errors import InvalidInput
from lapse.policy import Policy, PolicyErrors, parse
from lapse.policy.parser import LONGEST_POLICY, MOST_FILES
from support.policy_world import limit, offer, policy

GOOD = "version: 1\n" + offer()


def problems_of(text, name="p.yaml"):
    with pytest.raises(PolicyErrors) as caught:
        parse({name: text})
    return caught.value.problems


def only(text):
    (problem,) = problems_of(text)
    return problem


def test_a_policy_keeps_its_files_and_is_named_by_their_hash():
    first = parse({"a.yaml": GOOD})
    assert first.files == {"a.yaml": GOOD}
    assert first.version.startswith("sha256:")
    assert len(first.version) == 7 + 64
    assert parse({"a.yaml": GOOD}).version == first.version
    assert parse({"a.yaml": GOOD + "# a word\n"}).version != first.version
    assert parse({"b.yaml": GOOD}).version != first.version


def test_rules_are_in_order_of_file_name_whatever_the_order_given():
    one, two = GOOD.replace("name: read", "name: one"), GOOD.replace("name: read", "name: two")
    assert [o.name for o in parse({"b": two, "a": one}).offers] == ["one", "two"]
    assert parse({"b": two, "a": one}) == parse({"a": one, "b": two})


def test_an_offer_without_max_total_is_not_extended_beyond_max_duration():
    (found,) = policy(offer()).offers
    assert found.needs.max_total == found.needs.max_duration


PLACES = [
    ("version: 1\noffrs: []\n", 2, 1, "no key `offrs`", "did you mean `offers`?"),
    ("version: 2\noffers: []\n", 1, 10, "not a whole number from 1 to 1", ""),
    ("version: one\n" + offer(), 1, 10, "must be a whole number, not `one`", ""),
    ("version: 1\n", 1, 1, "the file has no rules", "`offers` or `limits`"),
    (GOOD.replace("max_duration: 2h", "max_duration: 2 hours"), 6, 19, "`2 hours` is not a duration", "2h30m"),
    (GOOD.replace("max_duration: 2h", "max_duration: 0s"), 6, 19, "not longer than zero", ""),
    (GOOD.replace("max_duration: 2h", "max_duration: 400d"), 6, 19, "longer than 366 days", ""),
    (GOOD.replace("max_duration: 2h", "max_duration: 8"), 6, 19, "must be text, not `8`", "in quotes"),
    (
        GOOD.replace("max_duration: 2h", "max_durration: 2h"),
        6,
        5,
        "no key `max_durration`",
        "did you mean `max_duration`?",
    ),
    (GOOD.replace("    max_duration: 2h\n", ""), 3, 5, "the key `max_duration` is missing", "longest grant"),
    (GOOD.replace("group:developers", "grup:developers"), 4, 9, "`grup:developers` is nobody", "group:NAME"),
    (GOOD.replace("group:developers", "Group"), 4, 9, "is not a principal's name", ""),
    (GOOD.replace('"pg-*/*"', "pg-prod"), 5, 19, "`pg-prod` is not an entitlement", "tag:env=prod"),
    (GOOD.replace('"pg-*/*"', '"tag:env"'), 5, 19, "is not a tag with a value", "tag:env=prod"),
    (GOOD.replace('"pg-*/*"', "[]"), 5, 19, "the list has 0 items", ""),
    (GOOD.replace('"pg-*/*"', "{a: b}"), 5, 19, "must be text, not a map", ""),
    (GOOD.replace("[{from: [owner]}]", "owner"), 7, 16, "must be a list, not `owner`", "- "),
    (GOOD.replace("[{from: [owner]}]", "[owner]"), 7, 17, "must be a map (a stage of approval)", ""),
    (GOOD.replace("[owner]", "[anyone]"), 7, 25, "approval by anyone is no approval", "name a group"),
    (GOOD.replace("[owner]", "[owner, owner]"), 7, 32, "in the list twice", ""),
    (GOOD.replace("{from:", "{quorum: 0, from:"), 7, 26, "`0` is not a whole number from 1 to 10", ""),
    (GOOD.replace("{from:", "{quorum: 1e1, from:"), 7, 26, "must be a whole number", ""),
    (
        GOOD.replace("    approvals: [{from: [owner]}]\n", ""),
        3,
        5,
        "`read` says nothing about approval",
        "auto_approve: true",
    ),
    (GOOD + "    auto_approve: true\n", 8, 19, "either `approvals` or `auto_approve`", "leave one"),
    (GOOD + "    auto_approve: maybe\n", 8, 19, "must be `true` or `false`, not `maybe`", ""),
    (GOOD + "    max_total: 1h\n", 8, 16, "`max_total` (1h) is shorter than `max_duration` (2h)", "extensions"),
    (GOOD + "    justification: needed\n", 8, 20, "must be `required` or a map, not `needed`", ""),
    (GOOD + "    ticket: {if_unreachable: allow}\n", 8, 30, "nothing is looked up", "checked: true"),
    (GOOD + "    ticket: {checked: true, if_unreachable: maybe}\n", 8, 45, "neither `deny` nor `allow`", ""),
    (GOOD + "    kinds: [robot]\n", 8, 13, "`robot` is not a kind of principal", "agent"),
    (GOOD + "    kinds: [agent]\n", 8, 12, "an offer to agents says for what", "add `purpose`"),
    (GOOD + "    approvals_in: parallel\n", 8, 19, "no stages to put in order", "leave it out"),
    (GOOD + "    approvals_in: random\n", 8, 19, "neither `order` nor `parallel`", ""),
    (GOOD + "    budget: {most: 8d, per: 7d}\n", 8, 20, "longer than the time it is for", "`per`"),
    (
        GOOD + "    break_glass: {review_within: 1d, reviewers: owner}\n",
        8,
        18,
        "either `approvals` or `break_glass`",
        "",
    ),
    (GOOD.replace("{from:", "{quorum: any, from:"), 7, 26, "must be a whole number, not `any`", ""),
    (GOOD.replace("[owner]}", "[owner], except: [owner]}"), 7, 41, "in `from` and in `except`", ""),
    (
        GOOD.replace("[owner]}", "[owner], escalate: [{after: 1h, to: a}, {after: 60m, to: b}]}"),
        7,
        43,
        "two escalations come at the same time",
        "join",
    ),
    (GOOD.replace("[owner]", "['oncall:DB']"), 7, 25, "`DB` is not a name of a rota", ""),
    (GOOD + "    ticket: {systems: [JIRA]}\n", 8, 24, "`JIRA` is not a ticket system", "lowercase"),
    (GOOD + "    description: ''\n", 8, 18, "this text is empty", ""),
    (GOOD + '    description: "a\\u0007b"\n', 8, 18, "contains a control character", ""),
    (GOOD + "    windows: [{from: '9', to: '17:00', timezone: UTC}]\n", 8, 22, "`9` is not a time of day", "22:00"),
    (GOOD + "    windows: [{from: '24:00', to: '17:00', timezone: UTC}]\n", 8, 22, "cannot begin at 24:00", ""),
    (GOOD + "    windows: [{from: '17:00', to: '17:00', timezone: UTC}]\n", 8, 35, "ends when it begins", "24:00"),
    (GOOD + "    windows: [{days: [lun], from: '1:00', to: '2:00', timezone: UTC}]\n", 8, 23, "`lun` is not a day", ""),
    (
        GOOD + "    windows: [{from: '01:00', to: '02:00', timezone: Europe/Berln}]\n",
        8,
        54,
        "not a time zone",
        "`Europe/Berlin`",
    ),
    (GOOD + "    windows: [{from: '01:00', to: '02:00', timezone: ../../etc/passwd}]\n", 8, 54, "not a time zone", ""),
    (GOOD + "    windows: [{from: '01:00', to: '02:00', timezone: Europe}]\n", 8, 54, "not a time zone", ""),
    (
        GOOD.replace("to: group:developers", "when: 'principal.nam == \"x\"'\n    to: anyone"),
        4,
        22,
        "no attribute `nam`",
        "`name`",
    ),
    (GOOD.replace("to: group:developers", "when: 'true &&'\n    to: anyone"), 4, 19, "the end of the condition", ""),
    (
        GOOD.replace("to: group:developers", "when: |\n      true &&\n      wrong\n    to: anyone"),
        6,
        7,
        "no variable `wrong`",
        "",
    ),
    (GOOD.replace("to: group:developers", "when:\n    to: anyone"), 4, 5, "must be a condition", ""),
    (GOOD.replace("to: group:developers", "when: [a]\n    to: anyone"), 4, 11, "must be a condition", ""),
    (GOOD.replace('    entitlements: "pg-*/*"\n', ""), 3, 5, "does not say what it offers", "`when`"),
    (GOOD.replace("name: read", "name: Read"), 3, 11, "`Read` is not a name of a rule", ""),
    (
        GOOD.replace("[{from: [owner]}]", "[{from: owner}, {quorum: 2, from: [owner]}]"),
        7,
        16,
        "ask the same people",
        "quorum",
    ),
    (GOOD.replace("[{from: [owner]}]", "[{name: a, from: owner}, {name: a, from: bob}]"), 7, 16, "the same name", ""),
    ("version: 1\n" + limit("entitlements: '*/*'"), 3, 5, "the limit has no effect", "`forbid`"),
    ("version: 1\n" + limit("forbid: true"), 3, 5, "forbids without a `reason`", "say why"),
    ("version: 1\n" + limit("forbid: false\nreason: none"), 4, 13, "`forbid: false` does nothing", ""),
    ("version: 1\n" + limit("max_duration: 1h\nreason: none"), 5, 13, "`reason` is for limits with `forbid: true`", ""),
    ("version: 1\n" + limit("max_duration: 2h\nmax_total: 1h"), 5, 16, "is shorter than", ""),
    ("version: 1\nversion: 1\n" + offer(), 2, 1, "`version` is here twice", "line 1"),
    ("version: 1\noffers: &a []\n", 2, 9, "anchors and aliases", "write the value out"),
    ("version: 1\noffers: *a\n", 2, 9, "anchors and aliases", ""),
    ("version: !!int 1\n", 1, 10, "the tag", ""),
    ("version: !!python/object/apply:os.system [ls]\n", 1, 10, "the tag", ""),
    ("%YAML 1.1\n---\nversion: 1\n", 1, 1, "directives", ""),
    (GOOD + "---\n" + GOOD, 8, 1, "one document", ""),
    ("{[a]: 1}", 1, 2, "a key is a single word", ""),
    ("[" * 5_000, 1, 17, "nested more than 16 deep", ""),
    ("a: b: c", 1, 5, "this is not YAML", ""),
    ("a: \x00", 1, 4, "this is not YAML", ""),
    ("a: '", 1, 5, "this is not YAML", ""),
    ("", 1, 1, "the file is empty", "version: 1"),
    ("# nothing\n", 1, 1, "the file is empty", ""),
    ("- a\n", 1, 1, "must be a map (a policy file), not a list", ""),
    ("just words", 1, 1, "must be a map (a policy file), not `just words`", ""),
    ("x" * 262_145, 1, 1, "the file has 262145 characters", "split"),
]


@pytest.mark.parametrize(("text", "line", "column", "message", "hint"), PLACES, ids=[p[3][:40] for p in PLACES])
def test_every_mistake_is_named_where_it_stands(text, line, column, message, hint):
    problem = next(p for p in problems_of(text) if message in p.message)
    assert (problem.file, problem.line, problem.column) == ("p.yaml", line, column)
    assert hint in problem.hint
    assert problem.message == problem.message.rstrip(".")


def test_all_mistakes_of_all_files_are_told_at_once():
    bad = GOOD.replace("2h", "soon").replace("group:developers", "everyone!").replace("[owner]", "[Owner]")
    with pytest.raises(PolicyErrors) as caught:
        parse({"b.yaml": bad, "a.yaml": "version: 7\nlimit: []\n"})
    assert [(p.file, p.line) for p in caught.value.problems] == [
        ("a.yaml", 1), ("a.yaml", 2), ("b.yaml", 4), ("b.yaml", 6), ("b.yaml", 7),
    ]  # fmt: skip
    assert caught.value.message.startswith("a.yaml:1:10: `7` is not")
    assert caught.value.message.endswith("; 4 more")
    assert isinstance(caught.value, InvalidInput)
    assert str(caught.value.problems[1]).startswith("a.yaml:2:1: there is no key `limit` in a policy file (did you")


def test_two_faults_of_one_condition_are_both_told():
    text = GOOD + "    when: principl.name == 'a' || resource.tgs.env == 'b'\n"
    assert [(p.line, p.column) for p in problems_of(text)] == [(8, 11), (8, 44)]


def test_a_fault_in_text_with_escapes_is_told_at_its_beginning():
    text = GOOD + '    when: "prin\\x63ipal.namex == 1"\n'
    assert [(p.line, p.column) for p in problems_of(text)] == [(8, 11)]


def test_a_rule_name_is_used_once_in_the_whole_policy():
    with pytest.raises(PolicyErrors) as caught:
        parse({"a.yaml": GOOD, "b.yaml": "version: 1\n" + limit("max_duration: 1h", name="read")})
    (problem,) = caught.value.problems
    assert (problem.file, problem.line) == ("b.yaml", 3)
    assert problem.message == "there is a rule `read` already, at a.yaml:3"


def test_sizes_are_bounded():
    with pytest.raises(PolicyErrors, match="101 policy files"):
        parse({f"{n}.yaml": GOOD for n in range(MOST_FILES + 1)})
    with pytest.raises(PolicyErrors, match=f"{LONGEST_POLICY} at most"):
        parse({f"{n}.yaml": "#" * 200_000 for n in range(6)})
    with pytest.raises(PolicyErrors, match="there is no policy file"):
        parse({})
    with pytest.raises(PolicyErrors, match="not a file name"):
        parse({"a\nb": GOOD})
    many = "\n".join(f"  - {{name: l{n}, max_duration: 1h}}" for n in range(1200))
    files = {f"{n}.yaml": "version: 1\nlimits:\n" + many.replace("name: l", f"name: f{n}-") for n in range(2)}
    with pytest.raises(PolicyErrors, match="2400 rules, 2000 at most"):
        parse(files)


def test_stages_without_a_name_get_one_made_of_who_may_approve():
    stages = "approvals: [{from: [owner, 'group:dba']}, {from: lea}, {name: lea, from: tim}, {from: [%s]}]"
    names = ", ".join(f"group:{'x' * 30}{n}" for n in range(3))
    (found,) = policy(offer(approved_by="").replace("auto_approve: true", stages % names)).offers
    assert [s.name for s in found.needs.stages] == ["owner-or-dba", "lea", "lea-2", "stage-4"]


@settings(max_examples=300)
@given(st.dictionaries(st.text(max_size=8), st.text(max_size=300), max_size=3))
def test_any_text_gives_a_policy_or_its_problems(files):
    try:
        assert isinstance(parse(files), Policy)
    except PolicyErrors as error:
        assert error.problems  # noqa: PT017  either outcome is right


LEAVES = st.sampled_from(
    [
        "2h",
        "required",
        "true",
        "1",
        "owner",
        "group:x",
        "mon-fri",
        "'22:00'",
        "UTC",
        "null",
        "a.b == 1",
        "~",
        "-1",
        "'",
        "*/*",
    ]
)
RULE_KEYS = ("name", "to", "when", "entitlements", "max_duration", "approvals", "windows", "ticket", "forbid")
KEYS = st.sampled_from(("version", "offers", "limits", "from", "quorum", *RULE_KEYS))
NEARLY = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: "[" + ", ".join(items) + "]")
        | st.dictionaries(KEYS, inner, max_size=6).map(
            lambda d: "{" + ", ".join(f"{k}: {v}" for k, v in d.items()) + "}"
        )
    ),
    max_leaves=20,
)


@settings(max_examples=300)
@given(st.dictionaries(KEYS, NEARLY, max_size=6))
def test_nearly_right_files_give_a_policy_or_its_problems(keys):
    text = "\n".join(f"{key}: {value}" for key, value in keys.items())
    try:
        assert isinstance(parse({"p.yaml": text}), Policy)
    except PolicyErrors as error:
        assert all(p.line >= 1 and p.column >= 1 and p.message for p in error.problems)  # noqa: PT017


@settings(max_examples=200)
@given(st.integers(0, len(GOOD) - 1), st.integers(0, 30), st.text(max_size=6))
def test_a_damaged_policy_gives_a_policy_or_its_problems(at, length, insert):
    try:
        assert isinstance(parse({"p.yaml": GOOD[:at] + insert + GOOD[at + length :]}), Policy)
    except PolicyErrors as error:
        assert error.problems  # noqa: PT017
