"""The demonstration: the whole way once, on a private PostgreSQL."""
