from __future__ import annotations

from urllib.parse import parse_qsl, unquote, urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lapse.domain.errors import InvalidInput
from lapse.web.urls import UrlTemplate, check_url, origin_of

NUMBER = frozenset({"number"})
TEMPLATES = (
    "https://tickets.example.com/api/{number}",
    "https://tickets.example.com:8443/a/{number}/b?x=1",
    "https://tickets.example.com/api?id={number}&full=true",
)
HOSTILE = st.one_of(
    st.text(max_size=250),
    st.text(alphabet="/.%?#@:\\&=+;{}0aé\u202e\r\n\x00 ", max_size=60),
    st.sampled_from(["..", ".", "../..", "%2e%2e", "//evil.example", "\\\\evil", "@evil.example/", "1#", "{number}"]),
)


@given(st.sampled_from(TEMPLATES), HOSTILE)
def test_whatever_is_filled_in_host_and_path_keep_their_structure(text, value):
    template = UrlTemplate.parse(text, NUMBER)
    try:
        url = template.fill(number=value)
    except InvalidInput:
        return
    harmless = urlsplit(template.fill(number="x"))
    # What goes over the wire is what the library makes of it.
    sent = urlsplit(str(httpx.URL(url)))
    for parts in (urlsplit(url), sent):
        assert (parts.scheme, parts.netloc) == (harmless.scheme, harmless.netloc)
        assert not parts.fragment
        assert parts.path.count("/") == harmless.path.count("/")
        assert len(parse_qsl(parts.query, keep_blank_values=True)) == len(parse_qsl(harmless.query))
    assert origin_of(url) == origin_of(text)
    raw = httpx.URL(url).raw_path.decode()
    assert raw.count("/") == template.fill(number="x").split("//", 1)[1].count("/")
    assert raw.count("?") == harmless.geturl().count("?")


VISIBLE = st.text(st.characters(exclude_categories=["C", "Z"]), max_size=99)


@given(VISIBLE.map("n{}".format))
def test_what_is_filled_in_arrives_as_it_is(value):
    url = UrlTemplate.parse(TEMPLATES[0], NUMBER).fill(number=value)
    assert unquote(httpx.URL(url).raw_path.decode().removeprefix("/api/")) == value


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("ftp://host/x", "is not a URL to call"),
        ("file:///etc/passwd", "is not a URL to call"),
        ("gopher://host/", "is not a URL to call"),
        ("https:///x", "is not a URL to call"),
        ("host/x", "is not a URL to call"),
        ("https://host:port/", "is not a URL"),
        ("https://host/ x", "is not a URL"),
        ("https://hóst/", "is not a URL"),
        ("https://[::1/", "is not a URL"),
        ("https://" + "x" * 3000, "is not a URL"),
        ("https://ann:secret@host/", "must not hold a user or password"),
        ("https://host/#part", "has a fragment"),
        ("http://tickets.example.com/", "is called without TLS"),
    ],
)
def test_addresses_that_are_refused(url, why):
    with pytest.raises(InvalidInput, match=why) as raised:
        check_url(url)
    assert "secret" not in raised.value.message


@pytest.mark.parametrize("url", ["https://host/x?y=1", "http://127.0.0.1:80/", "http://localhost/", "http://[::1]:1/"])
def test_addresses_that_are_taken(url):
    assert check_url(url) == url


def test_another_machine_without_tls_must_be_meant():
    assert check_url("http://tickets.example.com/", plain=True)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("https://{number}.example.com/", "must not choose the host"),
        ("https://host:{number}/", "is not a URL"),
        ("{number}://host/", "is not a URL to call"),
        ("https://host/{nummer}", "`{nummer}` means nothing"),
        ("https://host/{number", "a brace too many"),
        ("https://host/{}", "a brace too many"),
    ],
)
def test_templates_that_are_refused(text, why):
    with pytest.raises(InvalidInput, match=why):
        UrlTemplate.parse(text, NUMBER)
