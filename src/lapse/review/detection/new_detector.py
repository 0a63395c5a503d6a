"""The two files that a detector of one's own begins with: the SQL with its front matter, and its cases. Pure.

Called by whoever makes a new one. What is written passes its own cases, so that there is something to change.
"""

from __future__ import annotations

from lapse.domain.errors import InvalidInput
from lapse.domain.names import shown
from lapse.review.detection.detector import all_detectors, is_detector_id

_SQL = """\
/*
id: {id}
version: "1"
step: 2
title: Access on a resource that is named so
question: Which accounts hold a role that is called `forbidden`?
severity: medium
confidence: fact
needs: [access_observed]
optional: []
parameters:
  fewest: {{default: 1, doc: roles from which on it is found}}
clauses: [internal rule 1]
remediation: Take it away.
would_clear: The account holds no such role any more.
*/
SELECT
    a.resource || '/' || a.account AS subject,
    a.principal,
    a.resource,
    '`' || a.account || '` holds ' || CAST(count(*) AS VARCHAR) || ' forbidden roles' AS summary,
    a.account,
    count(*) AS roles
FROM access_observed a
WHERE a.role = 'forbidden'
GROUP BY a.resource, a.account, a.principal
HAVING count(*) >= $fewest
ORDER BY 1
"""
_CASES = """\
- name: somebody holds it
  tables:
    access_observed: [{resource: pg, account: ann, role: forbidden}]
  finds: [pg/ann]
- name: another role
  tables:
    access_observed: [{resource: pg, account: ann, role: reader}]
"""


def new_detector(name: str) -> dict[str, str]:
    """File name to text, for a detector called `name`: `NAME.sql` and `cases/NAME.yaml`.

    Raises:
        InvalidInput: it is no id, or that of a detector that comes with lapse.
    """
    if not is_detector_id(name) or name in {detector.id for detector in all_detectors()}:
        raise InvalidInput(
            f"`{shown(name)}` cannot be the id of a detector of your own",
            hint="an id is some capitals and a number that no other has, like X1",
        )
    return {f"{name}.sql": _SQL.format(id=name), f"cases/{name}.yaml": _CASES}
