"""The figures of a review that a manager reads: exposure by tier and over time, expiry, approvals, the trend.

`model` has the values, `exposure` and `approvals` ask the engine, `trend` compares with earlier reviews, `settings`
says which objective and weights hold. `docs/review-figures.md` defines every figure.
"""
