"""How a notice reads for people. Used by mail and chat; everything in it is one printable line."""

from __future__ import annotations

from lapse.domain.names import shown
from lapse.domain.notices import Notice, NoticeKind

TITLES = {
    NoticeKind.APPROVAL_WANTED: "A request waits for you",
    NoticeKind.REMINDER: "A request still waits for you",
    NoticeKind.ESCALATED: "A request was passed on to you",
    NoticeKind.COUNTER_OFFER: "You are offered less than you asked for",
    NoticeKind.DECIDED: "Your request was decided",
    NoticeKind.BREAK_GLASS: "BREAK-GLASS was used",
    NoticeKind.REVIEW_DUE: "A use of break-glass must be reviewed",
    NoticeKind.POLICY_PROPOSED: "A change of the policy waits for a second person",
    NoticeKind.HOLD_ASKED: "A statement waits for you",
    NoticeKind.ITEMS_ASKED: "Permissions wait for your review",
    NoticeKind.ITEMS_REMINDER: "Permissions still wait for your review",
    NoticeKind.REVIEW_MISSED: "Periods were not reviewed",
    NoticeKind.FINDINGS_NEW: "New findings",
    NoticeKind.LOOK_FAILED: "New evidence could not be looked at",
    NoticeKind.TEST: "A test of lapse's notices",
}
LONGEST = 2_000


def title(notice: Notice) -> str:
    """What happened, in a few words."""
    return f"{TITLES.get(notice.kind, notice.kind.value)} ({shown(notice.subject)})"


def sentence(notice: Notice) -> str:
    """The notice's text, printable."""
    return shown(notice.text.replace("\n", " "), LONGEST)
