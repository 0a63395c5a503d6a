"""Names in a pipeline: the worst of what a name may stand for counts."""

from hypothesis import given
from hypothesis import strategies as st

from lapse.protocols.postgres.versions import Versions


def test_a_name_has_the_value_that_the_server_agreed_to():
    versions = Versions()
    versions.commit(versions.begin(b"a", "held"))
    assert versions.worst(b"a") == "held"
    assert versions.worst(b"b") is None
    versions.commit(versions.begin(b"a", None))
    assert versions.worst(b"a") is None


def test_in_one_part_of_a_pipeline_the_last_value_counts():
    versions = Versions()
    versions.commit(versions.begin(b"", "held"))
    versions.sync()
    versions.begin(b"", None)
    assert versions.worst(b"") is None
    versions.begin(b"", "held again")
    assert versions.worst(b"") == "held again"


def test_after_a_sync_that_is_not_answered_the_worst_value_counts():
    versions = Versions()
    versions.commit(versions.begin(b"", "held"))
    skipped = versions.begin(b"", None)
    versions.sync()
    assert versions.worst(b"") == "held"
    versions.commit(skipped)
    assert versions.worst(b"") is None


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("begin"), st.sampled_from([b"", b"a"]), st.sampled_from([None, "held"])),
        st.tuples(st.just("sync"), st.just(b""), st.none()),
        st.tuples(st.just("fail"), st.just(b""), st.none()),
    ),
    max_size=30,
)


@given(STEPS, st.sampled_from([b"", b"a"]), st.integers(0, 30))
def test_a_held_value_is_never_missed_however_late_the_server_answers(steps, name, late):
    """A server that runs each step at once, but is heard of `late` steps later."""
    versions, real, skipping, told = Versions(), {}, False, []
    for what, given_name, value in steps:
        if what == "begin":
            number = versions.begin(given_name, value)
            if not skipping:
                real[given_name] = value
            told.append((versions.abandon if skipping else versions.commit, number))
        elif what == "sync":
            versions.sync()
            skipping = False
        else:
            skipping = True
        if not skipping and real.get(name) is not None:
            assert versions.worst(name) is not None
        for tell, number in told[: max(len(told) - late, 0)]:
            tell(number)
        del told[: max(len(told) - late, 0)]
