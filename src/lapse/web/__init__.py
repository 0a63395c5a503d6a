"""Calls to systems elsewhere over HTTP, bounded in time and size. Used by rooms that ask or tell other systems."""
