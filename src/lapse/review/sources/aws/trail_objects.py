"""What a request was about, as CloudTrail records it: the first ARN of its resources, else what its parameters name.

Called by `trail_rows`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from lapse.review.sources.aws.trail_records import Record
from lapse.review.sources.aws.trail_who import part_of


class _Asked(msgspec.Struct, rename="camel", gc=False):
    """Parameters that name what a request is about; others of the same name may be of any type."""

    bucket_name: Any = None
    key: Any = None
    role_arn: Any = None
    role_name: Any = None
    policy_arn: Any = None
    user_name: Any = None
    group_name: Any = None
    function_name: Any = None
    secret_id: Any = None
    key_id: Any = None
    table_name: Any = None
    instance_id: Any = None
    db_instance_identifier: Any = msgspec.field(name="dBInstanceIdentifier", default=None)
    cluster_name: Any = None
    stack_name: Any = None
    topic_arn: Any = None
    queue_url: Any = None
    stream_name: Any = None
    repository_name: Any = None
    log_group_name: Any = None
    resource_arn: Any = None
    name: Any = None


_PREFIXES = {"role_name": "role/", "user_name": "user/", "group_name": "group/"}
_IN_ORDER = tuple(_PREFIXES.get(name, "") for name in _Asked.__struct_fields__)


def object_of(record: Record) -> str | None:
    """What the request was about, where that is said."""
    if record.resources:
        for touched in record.resources:
            if touched.arn:
                return touched.arn
    raw = record.request_parameters
    if len(memoryview(raw)) <= len(b"null"):
        return None
    asked = part_of(raw, _Asked)
    if isinstance(asked.bucket_name, str):
        key = f"/{asked.key}" if isinstance(asked.key, str) and asked.key else ""
        return f"arn:aws:s3:::{asked.bucket_name}{key}"
    for value, prefix in zip(msgspec.structs.astuple(asked), _IN_ORDER, strict=True):
        if value and isinstance(value, str):
            return prefix + value
    return None
