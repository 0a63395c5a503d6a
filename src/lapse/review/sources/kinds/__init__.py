"""The kinds of sources: each module here is one, and has a `SOURCE`."""
