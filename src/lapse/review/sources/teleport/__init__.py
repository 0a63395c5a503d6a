"""Reading the audit log of Teleport: sessions, use, access requests with the votes on them, certificates.

Called by the kind of source `teleport`.
"""
