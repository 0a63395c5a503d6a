"""The command line: a client of the HTTP API, over the network or in this very process. It adds no rules."""
