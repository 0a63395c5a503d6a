"""Step 5, adjust: policy changes that the record supports, each with its evidence, its patch and what it would do.

Nothing is applied here: a proposal is filed like any other change of policy, and a second person puts it in force. Each
finder looks at one thing (`durations`, `unused`, `approvers`, `standing`); `docs/review-adjust.md` defines them all.
"""
