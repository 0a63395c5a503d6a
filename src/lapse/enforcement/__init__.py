"""The enforcer: what should be, minus what is, carried out and read back. Level-triggered, with timers on top.

After kill -9 at any point the next start converges, because every step is decided from the store and the target,
never from memory.
"""
