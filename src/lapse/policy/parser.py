"""Read policy files into a `Policy`, or say everything that is wrong with them.

Called when a policy is checked, activated or replayed. The result depends on the files alone. Never raises
anything but `PolicyErrors`, whatever the text.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence

from lapse.domain.names import is_printable, shown
from lapse.policy.language import MOST_RULES, POLICY_FILE, PolicyFile
from lapse.policy.problems import PolicyErrors, Problem
from lapse.policy.rules import Claim, Limit, Offer, Policy
from lapse.policy.shape import Sink, Unreadable
from lapse.policy.yaml_tree import read_tree

MOST_FILES = 100
LONGEST_POLICY = 1_048_576
"""Characters in all files together."""

_LONGEST_FILE_NAME = 200


def parse(files: Mapping[str, str]) -> Policy:
    """The policy that `files` (name to text) say, in order of file name and line.

    Raises:
        PolicyErrors: with all problems of all files, each with line and column.
    """
    _check_set(files)
    problems: list[Problem] = []
    read: list[PolicyFile] = []
    for name in sorted(files):
        sink = Sink(name)
        file = _read_file(name, files[name], sink)
        problems += sink.problems
        read += [file] if file is not None else []
    offers = tuple(offer for file in read for offer in file.offers)
    limits = tuple(limit for file in read for limit in file.limits)
    claims = tuple(claim for file in read for claim in file.claims)
    problems += _duplicates((*offers, *limits))
    problems += _duplicates(claims)
    if problems:
        raise PolicyErrors(problems)
    return Policy(
        version=version_of(files),
        files=dict(files),
        offers=offers,
        limits=limits,
        facts=tuple(fact for file in read for fact in file.facts),
        claims=claims,
    )


def version_of(files: Mapping[str, str]) -> str:
    """`sha256:` and the hash of the files' names and texts as canonical JSON: the same files, the same version."""
    body = json.dumps(dict(files), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(body.encode()).hexdigest()


def _check_set(files: Mapping[str, str]) -> None:
    if not files:
        raise _whole("policy", "there is no policy file", "write one, e.g. `policy.yaml`")
    for name in files:
        if not name or len(name) > _LONGEST_FILE_NAME or not is_printable(name):
            raise _whole(shown(name) or "policy", "this is not a file name", "use 1 to 200 printable characters")
    if len(files) > MOST_FILES:
        raise _whole("policy", f"there are {len(files)} policy files, {MOST_FILES} at most", "join some of them")
    size = sum(map(len, files.values()))
    if size > LONGEST_POLICY:
        raise _whole("policy", f"the policy has {size} characters, {LONGEST_POLICY} at most", "make it smaller")


def _whole(file: str, message: str, hint: str) -> PolicyErrors:
    return PolicyErrors([Problem(file=file, line=1, column=1, message=message, hint=hint)])


def _read_file(name: str, text: str, sink: Sink) -> PolicyFile | None:
    try:
        tree = read_tree(name, text)
        if tree is None:
            sink.problems.append(
                Problem(file=name, line=1, column=1, message="the file is empty", hint="begin with `version: 1`")
            )
            return None
        return POLICY_FILE.read(tree, sink)
    except PolicyErrors as error:
        sink.problems += error.problems
    except Unreadable:
        pass
    return None


def _duplicates(rules: Sequence[Offer | Limit | Claim]) -> list[Problem]:
    """One name, one rule: names are what the ledger and the people have. Too many rules are a problem, too."""
    first: dict[str, Offer | Limit | Claim] = {}
    problems = []
    what = "claim" if rules and isinstance(rules[0], Claim) else "rule"
    for rule in rules:
        seen = first.setdefault(rule.name, rule)
        if seen is not rule:
            message = f"there is a {what} `{rule.name}` already, at {seen.file}:{seen.line}"
            problems.append(Problem(file=rule.file, line=rule.line, column=1, message=message, hint="rename one"))
    if len(rules) > MOST_RULES:
        rule = rules[MOST_RULES]
        message = f"the policy has {len(rules)} rules, {MOST_RULES} at most"
        problems.append(Problem(file=rule.file, line=rule.line, column=1, message=message))
    return problems
