"""JSON objects out of files of any layout: one a line, spread over lines, in arrays, cut off, in other encodings."""

from __future__ import annotations

import gzip
import json

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lapse.review.sources import json_values
from lapse.review.sources.json_values import decoded, json_objects

ANY = msgspec.json.Decoder()


class Tally:
    """As much of `Reading` as reading files takes."""

    def __init__(self):
        self.rejected, self.files, self.problems = [], [], []

    def file(self, name, path):
        self.files.append(name)

    def tell(self, size):
        pass

    def reject(self, where, why):
        self.rejected.append((where, why))

    def problem(self, table, what, **more):
        self.problems.append(what)


def read(folder, data, name="log.json"):
    file, tally = folder / name, Tally()
    file.write_bytes(data)
    found = list(json_objects(file, name, tally))
    assert tally.files == [name]
    return [(place, ANY.decode(text)) for place, text in found], tally.rejected


def values(found):
    return [value for _, value in found]


ONE, TWO = {"a": 1, "b": 'x}]"\\'}, {"c": [{"d": "{"}, []]}


@pytest.mark.parametrize(
    "data",
    [
        json.dumps(ONE) + "\n" + json.dumps(TWO),
        json.dumps(ONE) + "\r\n\r\n" + json.dumps(TWO) + "\r\n",
        json.dumps([ONE, TWO]),
        json.dumps([ONE]) + "\n" + json.dumps([TWO]),
        json.dumps([ONE, TWO], indent=2),
        json.dumps(ONE, indent=2) + "\n" + json.dumps(TWO, indent=2),
        json.dumps([[ONE], [[TWO]]]),
        "[" + json.dumps(ONE) + "\n,\n" + json.dumps(TWO) + "\n]\n",
        json.dumps([ONE]) + json.dumps(TWO),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_objects_are_found_however_they_are_laid_out(tmp_path, data, encoding):
    found, rejected = read(tmp_path, data.encode(encoding))
    assert (values(found), rejected) == ([ONE, TWO], [])


def test_places_are_lines_or_numbers_of_records(tmp_path):
    found, _ = read(tmp_path, b'\n{"a":1}\n{"a":2}')
    assert [place for place, _ in found] == ["log.json:2", "log.json:3"]
    found, _ = read(tmp_path, b'[{"a":1},\n{"a":2}]')
    assert [place for place, _ in found] == ["log.json: record 1", "log.json: record 2"]


@pytest.mark.parametrize(
    ("data", "count", "why"),
    [
        (b'[{"a": 1}, {"a"', 1, "the file ends inside of it"),
        (b'[{"a": 1}', 1, "the file ends inside of an array"),
        (b'[{"a": 1}]]', 1, "a bracket is closed that was never opened"),
        (b'[{"a": 1}, 7]', 1, "it is no JSON object"),
        (b'["x{", {"a": 1}]', 1, "it is no JSON object"),
        (b'{"a": 1}\nnonsense\n', 1, "it is no JSON object"),
        (b"[1]\n", 0, "it is no JSON object"),
        (b'{\n"a": 1', 0, "the file ends inside of it"),
    ],
)
def test_what_is_no_object_is_rejected_and_what_is_one_is_found(tmp_path, data, count, why):
    found, rejected = read(tmp_path, data)
    assert len(found) == count
    assert [text for _, text in rejected] == [why]


def test_a_packed_file_that_ends_early_gives_its_beginning(tmp_path):
    data = gzip.compress(json.dumps([{"n": n} for n in range(5000)]).encode())
    found, rejected = read(tmp_path, data[:-50], "log.json.gz")
    assert found == [] or values(found)[0] == {"n": 0}
    assert "the file cannot be read further" in rejected[-1][1]


def test_an_object_that_is_too_long_is_left_out_and_the_next_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(json_values, "LONGEST_LINE", 1000)
    long = json.dumps({"n": list(range(400_000))})
    found, rejected = read(tmp_path, f'[{{"a": 1}}, {long}, {{"b": 2}}]'.encode())
    assert values(found) == [{"a": 1}, {"b": 2}]
    assert [why for _, why in rejected] == ["it is longer than 1000 bytes"]


def test_a_text_that_is_too_long_ends_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(json_values, "LONGEST_LINE", 1000)
    found, rejected = read(tmp_path, b'[{"a": 1}, {"b": "' + b"x" * 2_000_000 + b'"}]')
    assert values(found) == [{"a": 1}]
    assert "nothing after it could be read" in rejected[-1][1]


def test_what_is_not_utf8_is_read_as_windows_1252():
    assert decoded(ANY, b'{"a": "M\xfcller"}') == ({"a": "Müller"}, True)
    assert decoded(ANY, '{"a": "Müller"}'.encode()) == ({"a": "Müller"}, False)
    with pytest.raises(ValueError, match="nested too deeply"):
        decoded(ANY, b"[" * 100_000)
    with pytest.raises(ValueError, match="malformed"):
        decoded(ANY, b"{nonsense}")


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=10,
)
things = st.lists(st.dictionaries(st.text(max_size=6), plain, min_size=1, max_size=4), min_size=1, max_size=6)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)
@given(things, st.sampled_from([None, 1]), st.booleans(), st.integers(1, 50))
def test_arrays_are_cut_into_their_elements_wherever_the_pieces_end(tmp_path, whole, indent, ascii_only, size):
    data = json.dumps(whole, indent=indent, ensure_ascii=ascii_only).encode()
    splitter = json_values._Splitter("x", Tally())
    found = [text for at in range(0, len(data), size) for _, text in splitter.feed(data[at : at + size])]
    splitter.finish()
    assert [json.loads(text) for text in found] == whole
    assert splitter._reading.rejected == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)
@given(st.binary(max_size=60) | st.text(alphabet='[]{}",: \n\\1a', max_size=40).map(str.encode))
def test_any_bytes_are_objects_or_rejected(tmp_path, data):
    file, tally = tmp_path / "x.json", Tally()
    file.write_bytes(data)
    found = list(json_objects(file, "x.json", tally))
    assert found or tally.rejected or not data.strip(b" \t\r\n,[]\xef\xbb\xbf\xff\xfe") or data.strip()
