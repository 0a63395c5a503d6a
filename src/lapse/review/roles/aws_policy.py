"""The narrower AWS policy: exactly the actions that were used, on what they were used on. Pure; called by `spelling`.

Guarantee: it allows nothing that the rights it is made from do not allow (conditions and denies of the policy in force
are not in evidence: see the note). Many resources of one action become a pattern, inside what was allowed.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import takewhile

from lapse.domain.wildcards import wildcard_match
from lapse.review.roles.model import Right, RightState

MOST_RESOURCES = 10
"""Of one action; with more of them their common beginning is named."""
LONGEST_POLICY = 6_144
"""Characters, white space not counted, of a managed policy (IAM and STS quotas)."""
CONDITIONS = "conditions, denies and boundaries of the policy in force are not in evidence: take them over"
TOO_LONG = "it is longer than a managed policy may be: split it"


def policy_of(rights: Iterable[Right]) -> str:
    """The policy document for the used rights, as JSON."""
    allowed: dict[str, set[str]] = defaultdict(set)
    for right in rights:
        if right.state is RightState.USED:
            for action, resources in _exact(right):
                allowed[action] |= resources
    by_resources: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for action, resources in allowed.items():
        by_resources[tuple(sorted(resources))].append(action)
    statements = [
        {"Effect": "Allow", "Action": sorted(actions), "Resource": list(resources)}
        for resources, actions in sorted(by_resources.items())
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": statements}, indent=2, ensure_ascii=True) + "\n"


def is_too_long(policy: str) -> bool:
    """Whether AWS would refuse it for its length."""
    return sum(not char.isspace() for char in policy) > LONGEST_POLICY


def _exact(right: Right) -> Iterator[tuple[str, set[str]]]:
    if not right.wildcard:
        yield right.action, {right.object}
        return
    seen: dict[str, set[str]] = defaultdict(set)
    for action, name in right.used_as:
        seen[action].add(name)
    for action, names in seen.items():
        yield action, _resources(right.object, names)


def _resources(allowed: str, names: set[str]) -> set[str]:
    """The ARNs that were used; where it is not known for all what they are, what was allowed."""
    if not all(name.startswith("arn:") and not set("*?") & set(name) for name in names):
        return {allowed}
    if len(names) <= MOST_RESOURCES:
        return set(names)
    first, last = min(names), max(names)
    common = "".join(one for one, _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False)))
    place = max(common.rfind("/"), common.rfind(":"))
    # Below service and account a pattern would say more than what was seen.
    pattern = f"{common[: place + 1]}*"
    inside = allowed == "*" or (allowed.endswith("*") and pattern.startswith(allowed.rstrip("*")))
    specific = pattern.count(":") >= 5  # noqa: PLR2004  the colons of an ARN
    return {pattern} if inside and specific and wildcard_match(allowed, pattern) else {allowed}
