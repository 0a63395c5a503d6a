"""Which clause of which framework a detector is evidence for, one YAML file a framework, and what a review says to it.

`catalog` reads the files and refuses contradictions, `results` judges each clause, `documents` writes the folders of a
pack. Titles are paraphrases of ours; no standard's own text is in here.
"""

from lapse.review.frameworks.catalog import Clause, Framework, all_frameworks, frameworks_in_scope, frameworks_named
from lapse.review.frameworks.results import ClauseResult, Outcome, clause_results

__all__ = [
    "Clause",
    "ClauseResult",
    "Framework",
    "Outcome",
    "all_frameworks",
    "clause_results",
    "frameworks_in_scope",
    "frameworks_named",
]
