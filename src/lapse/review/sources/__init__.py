"""Readers of what other systems recorded: files in, rows of the evidence tables out. No network.

One module a kind of file. `registry` lists them, `reading` is what they write through: every record that a file has
ends as a row, as left out with the reason, or as rejected with an example. Called by `collect`.
"""
