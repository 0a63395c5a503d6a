"""Tables of the reviews themselves: which there were, what was decided in them, whether their populations add up."""

from __future__ import annotations

from lapse.review.evidence.columns import BOOL, INT, TEXT, TIME, Column, Table
from lapse.review.evidence.shared import ACCOUNT, RESOURCE, must

REVIEWS = (
    Table(
        "reviews",
        "Earlier reviews, one row a resource that each covered.",
        (
            must("review_id", TEXT, "id of the review"),
            RESOURCE,
            must("started_at", TIME, "when it was started"),
            Column("title", TEXT, "title"),
            Column("period_start", TIME, "first instant of the time under review"),
            Column("period_end", TIME, "first instant after it"),
            Column("due_at", TIME, "by when its items had to be decided"),
            Column("sealed_at", TIME, "when it was sealed; null is not yet"),
            Column("signed_at", TIME, "when the second person signed it off; null is not yet"),
            Column("signed_by", TEXT, "who signed it off, separated by `;`"),
        ),
    ),
    Table(
        "review_decisions",
        "The items of earlier reviews: what was decided, by whom, and whether it was carried out.",
        (
            must("item_id", TEXT, "id of the item"),
            must("review_id", TEXT, "review it was in"),
            RESOURCE,
            ACCOUNT,
            Column("role", TEXT, "role it was about"),
            Column("grant_id", TEXT, "grant it was about"),
            Column("principal", TEXT, "whose access it was"),
            must("decision", TEXT, "`keep`, `shorten`, `narrow`, `revoke`, `cannot_say` or `undecided`"),
            Column("decided_by", TEXT, "who decided"),
            Column("decided_at", TIME, "when"),
            Column("by_default", BOOL, "whether nobody decided and the review's default was taken"),
            Column("sensitive", BOOL, "whether the item was ranked as grave"),
            Column("act", TEXT, "id of the act: items decided in one go have the same"),
            Column("opened_at", TIME, "when the reviewer opened its evidence; null is not recorded"),
            Column("carry_out_by", TIME, "by when the decision had to be carried out"),
            Column("carried_out_at", TIME, "when the target was seen without it"),
            Column("outcome", TEXT, "what came of it"),
        ),
    ),
    Table(
        "reconciliations",
        "Each collected table against a second, independent count of its source.",
        (
            must("table_name", TEXT, "evidence table"),
            must("rows_read", INT, "rows read, those left out or rejected included"),
            must("matches", BOOL, "whether the counts agree and nothing was lost"),
            Column("rows_counted", INT, "the second count; null where the source offers none"),
            Column("rows_rejected", INT, "rows that could not be read"),
            Column("source", TEXT, "where the table comes from"),
            Column("detail", TEXT, "what is wrong, in words"),
        ),
        derived=True,
    ),
)
