"""Wire protocols without I/O: bytes in, events and commands out. No clock, no socket, no asyncio.

Called by `gateway`, which moves the bytes. One folder a protocol.
"""
