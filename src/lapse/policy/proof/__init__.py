"""Proofs about policies: whether what must never be possible is impossible, for all requests at once.

How the parts fit, for whoever asks another question about a policy than a claim does:

    asked = AskedModel()                          # a request of which nothing is known
    conditions = ConditionModel(asked)            # makes formulas of CEL
    rules = RulesModel(policy, asked, conditions) # `rules.allowed`, `rules.fits(offer)`, `rules.chosen(offer)`,
                                                  # `rules.votes(offer)`, `rules.longest(offer)`, `rules.denied` ...
    wanted = [rules.fits(offer), asked.duration > 3600]
    background = [*conditions.finish(), *world(asked, policy.facts)]     # last, when all formulas are made
    found = Solver(asked, background, clock=time.monotonic).find(wanted) # a request, or None: there is none
    case = case_of(asked, found)                  # that request as a small catalog and an `Ask`, for the evaluator

Two policies can be put over the same `asked` and `conditions`. What the model cannot say exactly is in
`conditions.unmodelled`: it may then find a request that the evaluator answers otherwise, never miss one. So what was
found counts only when `evaluate` says the same of the case.

`decide` proves claims, `diff` compares two policies, `findings` and `paths` look for what nobody asked about; the last
three ask through `question`, which puts what is found to the evaluator.

z3 is an optional dependency (`lapse[prove]`) and slow to import: import the modules of this package late.
"""
