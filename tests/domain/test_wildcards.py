import re

from hypothesis import given
from hypothesis import strategies as st

from lapse.domain.wildcards import wildcard_match


@given(st.text(alphabet="ab*?", max_size=12), st.text(alphabet="abc", max_size=12))
def test_wildcards_mean_what_the_regular_expression_means(pattern, text):
    expression = "".join({"*": ".*", "?": "."}.get(char, char) for char in pattern)
    assert wildcard_match(pattern, text) is bool(re.fullmatch(expression, text))


def test_many_wildcards_do_not_explode():
    assert not wildcard_match("*a" * 60 + "b", "a" * 128)
