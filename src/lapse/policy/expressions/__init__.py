"""Conditions (`when:`): a typed, bounded subset of CEL, checked when read and run by a compiled engine."""
