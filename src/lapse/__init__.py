"""lapse: just-in-time access that ends on time, and the security review that proves it did."""

__version__ = "0.1.0"
