"""The report of a review: one HTML file that a person wants to read, and that needs nothing else to be read.

`render` makes it, `view` decides what is said and in which order, `charts` computes the pictures, `words` spells
figures for people. The templates hold no rules; they escape every name. `pdf` sets the same for paper.
"""

from lapse.review.report.pdf import can_make_pdf, render_pdf
from lapse.review.report.render import ReportFacts, render_report

__all__ = ["ReportFacts", "can_make_pdf", "render_pdf", "render_report"]
