"""Entry points translate and present; they have no rules."""
