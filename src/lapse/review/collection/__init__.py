"""Step 2a: all that a review is about, read into one frozen snapshot: the store, targets, files of other systems."""
