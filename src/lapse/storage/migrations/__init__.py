"""The schema's history: one numbered file in `versions/` for each change, run by `run`.

Revisions are four digits and count up, so that an older program knows a newer schema when it sees one.
"""
