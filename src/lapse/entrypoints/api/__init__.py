"""The HTTP API under `/api/v1`: translates calls to use cases and their answers to JSON. It adds no rules."""
