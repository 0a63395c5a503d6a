"""Use cases: one function each, a change of state and its ledger entry in one transaction.

Entry points call these and add no rules of their own; so the API, the web, the CLI and MCP cannot diverge.
"""
