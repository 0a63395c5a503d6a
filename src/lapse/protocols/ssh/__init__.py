"""SSH without I/O: certificates, revocation lists, and what an entitlement permits. Used by gateway and connector."""
