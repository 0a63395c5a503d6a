"""The one place that chooses implementations and wires them together. Entry points start here."""
