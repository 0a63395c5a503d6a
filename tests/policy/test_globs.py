import time

from hypothesis import given, settings
from hypothesis import strategies as st

from lapse.domain.wildcards import wildcard_match
from lapse.policy.globs import Globs

PATTERNS = st.text(alphabet="ab-*?", min_size=1, max_size=8)
TEXTS = st.text(alphabet="ab-", max_size=8)


def found(patterns, text):
    return sorted(Globs({pattern: pattern for pattern in patterns}).find(text))


def test_a_text_finds_the_patterns_that_match_it():
    patterns = ["pg-prod", "pg-*", "*-prod", "pg-*-eu", "*", "?g-prod", "*pro*", "mysql-*", "*-dev", "pg-prod-*"]
    assert found(patterns, "pg-prod") == ["*", "*-prod", "*pro*", "?g-prod", "pg-*", "pg-prod"]
    assert found(patterns, "pg-prod-eu") == ["*", "*pro*", "pg-*", "pg-*-eu", "pg-prod-*"]
    assert found(patterns, "x") == ["*"]


@settings(max_examples=1_000, deadline=None)
@given(st.lists(PATTERNS, max_size=12, unique=True), TEXTS)
def test_it_finds_what_matching_one_by_one_finds(patterns, text):
    assert found(patterns, text) == sorted(pattern for pattern in patterns if wildcard_match(pattern, text))


def test_a_pattern_of_many_stars_cannot_explode():
    patterns = {"a*" * n + "b": n for n in range(1, 60)} | {"*" + "a*" * n + "b*": n for n in range(1, 60)}
    globs = Globs(patterns)
    before = time.thread_time()
    assert list(globs.find("a" * 128)) == []
    assert time.thread_time() - before < 1
