"""A review and the policy agree on which words say nothing."""

from __future__ import annotations

import re

from lapse.policy.justifications import _EMPTY_WORDS
from lapse.review.detection.detector import all_detectors


def test_the_words_that_say_nothing_are_those_of_the_policy():
    sql = next(detector.sql for detector in all_detectors() if detector.id == "C16")
    words = re.findall(r"'\|?([a-z|]+)'", sql[sql.index("regexp_matches") :])
    assert "|".join(words).split("|") == sorted(_EMPTY_WORDS)
