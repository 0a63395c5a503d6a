"""The report on paper: PDF/A by its own marks, whole, the same bytes each time, and no name is ever read as markup."""

from __future__ import annotations

import io
import re
import sys
from dataclasses import replace

import pypdf
import pytest

from lapse.domain.errors import Unavailable
from lapse.review.report import ReportFacts, can_make_pdf, render_pdf
from lapse.review.report.pdf import LONGEST_TEXT, set_text
from lapse.review.seal import seal
from support.sample_review import ITEMS, MADE, SampleSigner, renamed, sample_contents, sample_result

FACTS = ReportFacts(
    title="Production databases, third quarter 2026",
    made_at=MADE,
    made_by="olga.petrova",
    product_version="0.1.0",
    key="lapse.example.com/ledger+b5860354",
    evidence_sha256="ab" * 32,
    ledger={"origin": "lapse.example.com/ledger", "checkpoint_size": 40, "entries": 14, "root_sha256": "cd" * 32},
)


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return sample_result(tmp_path_factory.mktemp("snapshot"))


@pytest.fixture(scope="module")
def pdf(result):
    return render_pdf(result, FACTS)


def text_of(raw):
    pages = [page.extract_text() for page in pypdf.PdfReader(io.BytesIO(raw)).pages]
    return re.sub(r"[\s\u200b]+", " ", " ".join(pages))


def test_it_says_that_it_is_an_archivable_and_accessible_pdf(pdf):
    reader = pypdf.PdfReader(io.BytesIO(pdf))
    meta = reader.xmp_metadata.stream.get_data().decode()
    assert re.search(r"<pdfaid:part>2</pdfaid:part>", meta)
    assert re.search(r"<pdfaid:conformance>A</pdfaid:conformance>", meta)
    assert re.search(r"<pdfuaid:part>1</pdfuaid:part>", meta)
    root = reader.trailer["/Root"]
    assert root["/MarkInfo"]["/Marked"]
    assert root["/StructTreeRoot"]
    assert str(root["/Lang"]) == "en"
    assert root["/OutputIntents"][0]["/S"] == "/GTS_PDFA1"
    assert "/Encrypt" not in reader.trailer


def test_nothing_in_it_runs_or_reaches_out(pdf):
    reader = pypdf.PdfReader(io.BytesIO(pdf))
    assert not {"/OpenAction", "/AA", "/AcroForm"} & set(reader.trailer["/Root"])
    for mark in (b"/JavaScript", b"/JS", b"/Launch", b"/URI", b"/EmbeddedFile", b"/RichMedia"):
        assert mark not in pdf


def test_every_font_is_embedded(pdf):
    found = set()
    for page in pypdf.PdfReader(io.BytesIO(pdf)).pages:
        for font in page["/Resources"].get("/Font", {}).values():
            (inner,) = font.get_object()["/DescendantFonts"]
            descriptor = inner.get_object()["/FontDescriptor"].get_object()
            assert {"/FontFile2", "/FontFile3"} & set(descriptor)
            found.add(str(descriptor["/FontName"]).partition("+")[2])
    assert found
    assert all(name.startswith(("Libertinus", "DejaVu", "NewCM")) for name in found)


def test_it_says_what_the_page_says(pdf):
    text = text_of(pdf)
    for sentence in (
        "2 critical findings and 5 high ones need action.",
        "Of 215 grants due to end, 3 have not been seen to end.",
        "They are neither findings nor passes.",
        "90 DIFFERS",
        "NOT carried out yet",
        "14 of them in the pack",
        "olga.petrova",
    ):
        assert sentence in text
    assert "abababab" in text


def test_the_same_review_gives_the_same_bytes(result, pdf):
    assert render_pdf(result, FACTS) == pdf
    assert pypdf.PdfReader(io.BytesIO(pdf)).metadata.creation_date == MADE


@pytest.mark.parametrize(
    "hostile",
    ['#read("/etc/passwd")', "*bold* _it_ $x$ @ref <label>", "`code` ``` raw", "\\ \" ' {}[]()", "= no heading",
     "\u4e2d\u6587 \u0627\u0644 \U0001f600", "\u202egnp\0\x1b[31m", "x" * 3_000, " "],
)  # fmt: skip
def test_hostile_names_are_shown_and_do_nothing(result, hostile):
    raw = render_pdf(renamed(result, hostile), replace(FACTS, title=hostile.strip() or "-", made_by=hostile))
    text = text_of(raw)
    assert "root:" not in text
    if hostile.startswith("#read"):
        assert "#read(" in text


def test_what_the_fonts_lack_is_shown_as_an_escape():
    assert set_text("\u4e2d x \U0001f600") == "\\u4e2d x \\U0001f600"
    text = "Zażółć gęślą jaźń, Ελλάδα, Привет \N{EN DASH} ≥ 5"
    assert set_text(text) == text


def test_a_long_word_may_break_and_a_short_one_does_not():
    assert set_text("ab" * 32).count("\u200b") == 7
    assert "\u200b" not in set_text("pg-prod/reader")


def test_a_text_that_fills_pages_is_cut():
    assert len(set_text("word " * 1_000)) == LONGEST_TEXT
    assert set_text("word " * 1_000).endswith("…")


def test_a_review_of_very_many_things_stays_readable(result):
    many = replace(result, items=tuple(replace(ITEMS[0], id=f"it_{n}", risk=n) for n in range(5_000)))
    assert "4,800 more items in items.csv." in text_of(render_pdf(many, FACTS))


def test_without_the_extra_the_pack_says_so(monkeypatch, tmp_path, result):
    monkeypatch.setitem(sys.modules, "typst", None)
    with pytest.raises(Unavailable, match="nothing here that makes PDFs") as caught:
        render_pdf(result, FACTS)
    assert caught.value.hint == "pip install lapse[pdf]"
    for place in ("lapse.review.seal", "lapse.review.pack.documents"):
        monkeypatch.setattr(f"{place}.can_make_pdf", lambda: False)
    signer = SampleSigner()
    folder = seal(sample_contents(tmp_path / "snapshot", signer), signer=signer, into=tmp_path / "sealed").folder
    assert not (folder / "report.pdf").exists()
    assert "pip install lapse[pdf]" in (folder / "README.txt").read_text()


def test_it_can_be_made_here():
    assert can_make_pdf()
