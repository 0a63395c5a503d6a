"""Detectors, their cases and pages, and what becomes of findings from one look to the next."""
