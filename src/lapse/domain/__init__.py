"""Values and pure decisions of lapse: no I/O, no clock, no logging.

Every other room imports this one; it imports none of them. Time is always an argument.
"""
