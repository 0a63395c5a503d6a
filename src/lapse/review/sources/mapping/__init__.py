"""Evidence out of any records, by a file that says which field of them is which column.

Called by the kinds of sources `mapped` and `ocsf`.
"""
