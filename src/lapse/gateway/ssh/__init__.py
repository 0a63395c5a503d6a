"""SSH at the gateway: `ssh_server(host_key)` gives a function from a `GatewayContext` to its `ProtocolServer`.

A client proves who it is with a certificate of lapse's user CA, or a token; the gateway logs in on the host with a
certificate of its own for one session, and relays what the entitlement permits. Needs asyncssh (the extra `ssh`), which
is imported when the server is made.
"""

from lapse.gateway.ssh.server import ssh_server

__all__ = ["ssh_server"]
