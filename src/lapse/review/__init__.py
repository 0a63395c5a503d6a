"""The security review: scope, collect, audit, validate, workflows, adjust, seal.

Each stage takes and returns a value. Called by `entrypoints` through `bootstrap`; needs no gateway and no store.
"""
