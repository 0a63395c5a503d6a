"""The shape of `when:`: a CEL condition whose faults are reported where they stand in the YAML file."""

from __future__ import annotations

from lapse.policy.expressions.condition import Condition, ConditionFaults, compile_condition
from lapse.policy.expressions.reader import LONGEST
from lapse.policy.shape import Schema, Sink
from lapse.policy.yaml_tree import Scalar, Tree


class ConditionShape:
    """Text that is a CEL condition."""

    def read(self, tree: Tree, sink: Sink) -> Condition:
        """The compiled condition; every fault is reported with its own line and column."""
        if not isinstance(tree, Scalar) or tree.kind == "null":
            raise sink.report(tree.place, "this must be a condition", 'as in `when: principal.department == "it"`')
        try:
            return compile_condition(tree.text)
        except ConditionFaults as error:
            for fault in error.faults:
                unusable = sink.report(tree.place_of(fault.at), fault.message, fault.hint)
            raise unusable from None

    def schema(self) -> Schema:
        """A string (a schema cannot say what CEL is), or `true` and `false`, which are conditions too."""
        return {"type": ["string", "boolean"], "minLength": 1, "maxLength": LONGEST}
