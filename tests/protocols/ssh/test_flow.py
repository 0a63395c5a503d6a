import pytest
from hypothesis import given
from hypothesis import strategies as st

from lapse.protocols.ssh.flow import DATA_KIND, LONGEST_DATA, STDERR_KIND, WINDOW, Flow
from lapse.protocols.ssh.wire import Malformed, Message, Reader, string

EXIT = bytes([Message.REQUEST]) + string("exit-status") + b"\0\0\0\0\0"


class Sink:
    def __init__(self):
        self.messages = []

    def __call__(self, *pieces):
        self.messages.append(b"".join(bytes(piece) for piece in pieces))

    @property
    def data(self):
        return b"".join(Reader(m, 5).string() for m in self.messages if m[0] == Message.DATA)


def flow_to(sink, *, window=100, longest=32_768):
    flow = Flow(sink)
    flow.opened(9, window, longest)
    return flow


def test_data_passes_at_once_where_the_window_allows():
    sink = Sink()
    flow_to(sink).data(DATA_KIND, memoryview(b"hello"))
    assert sink.messages == [b"\x5e\0\0\0\x09\0\0\0\5hello"]


def test_what_goes_to_stderr_stays_apart():
    sink = Sink()
    flow_to(sink).data(STDERR_KIND, memoryview(b"oh"))
    assert sink.messages == [b"\x5f\0\0\0\x09\0\0\0\1\0\0\0\2oh"]


def test_an_exit_status_never_overtakes_queued_data():
    sink = Sink()
    flow = flow_to(sink, window=3)
    flow.data(DATA_KIND, memoryview(b"abcdef"))
    flow.mark(EXIT)
    assert sink.data == b"abc"
    assert len(sink.messages) == 1
    flow.adjust(3)
    assert sink.data == b"abcdef"
    assert sink.messages[-1][5:] == EXIT[1:]


def test_nothing_leaves_before_the_sink_has_opened_the_channel():
    sink = Sink()
    flow = Flow(sink)
    flow.data(DATA_KIND, memoryview(b"early"))
    flow.mark(EXIT)
    assert not sink.messages
    flow.opened(1, 100, 100)
    assert sink.data == b"early"
    assert len(sink.messages) == 2


def test_credit_is_given_for_what_was_passed_on_only():
    sink = Sink()
    flow = flow_to(sink, window=1_000, longest=500)
    flow.data(DATA_KIND, memoryview(bytes(3_000)))
    assert flow.take_credit() == 0
    assert flow.take_credit(all_of_it=True) == 1_000
    assert flow.queued == 2_000
    assert flow.source_window == WINDOW - 2_000


def test_a_sink_that_is_gone_lets_the_source_run_on():
    flow = flow_to(Sink(), window=0)
    flow.data(DATA_KIND, memoryview(b"abc"))
    flow.drop()
    flow.data(DATA_KIND, memoryview(b"def"))
    flow.mark(EXIT)
    assert flow.take_credit(all_of_it=True) == 6
    assert flow.queued == 0


def test_a_peer_that_ignores_its_window_is_cut_off():
    flow = flow_to(Sink(), window=0)
    for _ in range(WINDOW // LONGEST_DATA):
        flow.data(DATA_KIND, memoryview(bytes(LONGEST_DATA)))
    with pytest.raises(Malformed, match="window"):
        flow.data(DATA_KIND, memoryview(b"x"))


def test_a_message_longer_than_agreed_is_malformed():
    with pytest.raises(Malformed):
        flow_to(Sink()).data(DATA_KIND, memoryview(bytes(LONGEST_DATA + 1)))


def test_a_window_beyond_what_ssh_allows_is_malformed():
    with pytest.raises(Malformed):
        flow_to(Sink(), window=2**32 - 1).adjust(1)


def test_a_channel_without_a_packet_size_is_malformed():
    with pytest.raises(Malformed):
        flow_to(Sink(), longest=0)


def test_requests_cannot_pile_up():
    flow = flow_to(Sink(), window=0)
    flow.data(DATA_KIND, memoryview(b"x"))
    for _ in range(1_024):
        flow.mark(EXIT)
    with pytest.raises(Malformed, match="too many"):
        flow.mark(EXIT)


def test_single_bytes_do_not_cost_a_hundred_times_their_size():
    flow = flow_to(Sink(), window=0)
    for _ in range(50_000):
        flow.data(DATA_KIND, memoryview(b"x"))
    assert flow.queued == 50_000
    assert len(flow._queue) < 10


@given(st.lists(st.tuples(st.sampled_from("dea"), st.integers(0, 700)), max_size=60))
def test_whatever_happens_all_data_arrives_in_order_and_within_the_window(steps):
    sink = Sink()
    flow = flow_to(sink, window=200, longest=64)
    given_, allowed, marks = b"", 200, 0
    for what, size in steps:
        if what == "d":
            piece = bytes((len(given_) + i) % 251 for i in range(size))
            given_ += piece
            flow.data(DATA_KIND, memoryview(piece))
        elif what == "e":
            flow.mark(EXIT)
            marks += 1
        else:
            flow.adjust(size)
            allowed += size
        assert len(sink.data) <= allowed
        assert sink.data == given_[: len(sink.data)]
        assert flow.queued == len(given_) - len(sink.data)
        assert all(len(m) <= 9 + 64 for m in sink.messages if m[0] == Message.DATA)
    flow.adjust(100_000)
    assert sink.data == given_
    assert sum(m[0] == Message.REQUEST for m in sink.messages) == marks
