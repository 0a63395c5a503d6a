"""AWS IAM: who is in an account with which rights, from what `aws iam get-account-authorization-details` prints.

Guarantee: each user, role, group and policy is taken in, skipped with the reason, or rejected with its place; what the
files do not say is a gap or a problem, never nothing. Called through `SOURCE`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from lapse.review.sources.aws.iam_details import DetailsReader
from lapse.review.sources.aws.iam_estate import Estate
from lapse.review.sources.aws.iam_rows import AccountRows
from lapse.review.sources.aws.names import RESOURCE_OPTION, ResourceNames
from lapse.review.sources.clocks import taken_at
from lapse.review.sources.notes import Notes
from lapse.review.sources.reading import Reading
from lapse.review.sources.source import Options, Source


def read(path: Path, options: Options, reading: Reading) -> None:
    """Read the file or the folder `path`."""
    names, notes = ResourceNames(options), Notes()
    stated = taken_at(options) if options.get("taken_at") else None
    details = DetailsReader(reading, notes).read(path)
    at = stated or min(details.written_at, datetime.now(UTC))
    for number, account in sorted(details.accounts.items()):
        AccountRows(Estate(account, details.shared), names.of(number), at, reading, notes).write()
    if details.accounts:
        reading.at(at)
    notes.report(reading)


SOURCE = Source(
    kind="aws-iam",
    title="AWS IAM, account authorization details",
    tables=(
        "resources",
        "accounts",
        "access_observed",
        "role_privileges",
        "escalation_edges",
        "target_reads",
    ),
    read=read,
    options={
        **RESOURCE_OPTION,
        "taken_at": "when the files were taken (default: when the newest of them was written)",
    },
)
