"""What roles are really used for, and the narrower roles that would do: exact rights, as their target spells them.

`model` has the values, `check` compares rights with use, `peers` looks at movers and teams, and the rest writes the
narrower role for one kind of target each. Where use is not known, nothing is proposed. See `docs/review-adjust.md`.
"""
