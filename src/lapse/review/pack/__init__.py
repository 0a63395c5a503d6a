"""The sealed pack of one review: what is in it, how it is written, and how anybody verifies it offline.

`documents` and `spreadsheet` spell the contents, `folder` writes them and the one zip of them. The modules called
`standalone_*` verify, and are at the same time the source of the `verify.py` inside a pack (`verifier`).
"""

from lapse.review.pack.standalone_verify import Problem, Verification, report_lines, verify_pack

__all__ = ["Problem", "Verification", "report_lines", "verify_pack"]
