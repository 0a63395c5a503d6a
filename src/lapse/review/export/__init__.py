"""A review in the formats that other tools read: OSCAL for assessors, OCSF for event stores, SARIF for code review.

Pure: a review's values in, bytes out, the same for the same values. Written against `ReviewResult` and `Finding` alone,
by the names of the fields they need, so that new ones do no harm. Called when a pack is sealed.
"""

from lapse.review.export.examine import examine_document
from lapse.review.export.ocsf import ocsf_lines
from lapse.review.export.oscal import oscal_document
from lapse.review.export.sarif import sarif_document

__all__ = ["examine_document", "ocsf_lines", "oscal_document", "sarif_document"]
