"""Reading what Kubernetes keeps and logs: manifests of RBAC, and the audit log of its API server.

Called by the kinds of sources.
"""
