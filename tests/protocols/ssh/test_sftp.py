from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lapse.protocols.ssh.sftp import FileEvent, FileOp, Packet, SftpWatch
from lapse.protocols.ssh.wire import Malformed, string, uint32

OK = 0
DENIED = 3


def packet(kind, *fields):
    body = bytes([kind]) + b"".join(fields)
    return uint32(len(body)) + body


def status(number, code=OK):
    return packet(Packet.STATUS, uint32(number), uint32(code), string("words"), string("en"))


def attrs():
    return uint32(0)


HELLO = packet(Packet.INIT, uint32(3)), packet(Packet.VERSION, uint32(3))


def talk(*turns):
    """What a watch says of `(request, answer)` pairs."""
    watch, events = SftpWatch(), []
    for asked, answer in [HELLO, *turns]:
        watch.from_client(asked)
        events += watch.from_server(answer)
    return events + list(watch.finish())


def opened(number, path, flags, handle=b"h1"):
    return (
        packet(Packet.OPEN, uint32(number), string(path), uint32(flags), attrs()),
        packet(Packet.HANDLE, uint32(number), string(handle)),
    )


def written(number, data, code=OK, handle=b"h1"):
    return packet(Packet.WRITE, uint32(number), string(handle), bytes(8), string(data)), status(number, code)


def closed(number, handle=b"h1"):
    return packet(Packet.CLOSE, uint32(number), string(handle)), status(number)


def test_an_upload_is_told_with_its_path_and_size():
    assert talk(opened(1, "/srv/a", 0x1A), written(2, b"x" * 30_000), written(3, b"y" * 12), closed(4)) == [
        FileEvent(op=FileOp.OPEN, path="/srv/a", mode="w"),
        FileEvent(op=FileOp.CLOSE, path="/srv/a", mode="w", bytes_written=30_012),
    ]


def test_a_write_that_failed_wrote_nothing():
    assert talk(opened(1, "/a", 2), written(2, b"xyz", code=DENIED), closed(3))[-1].bytes_written == 0


def test_a_download_counts_what_the_server_sent():
    read = (
        packet(Packet.READ, uint32(2), string(b"h1"), bytes(8), uint32(32_768)),
        packet(Packet.DATA, uint32(2), string(b"z" * 700)),
    )
    end = (packet(Packet.READ, uint32(3), string(b"h1"), bytes(8), uint32(9)), status(3, 1))
    event = talk(opened(1, "/etc/hosts", 1), read, end, closed(4))[-1]
    assert (event.mode, event.bytes_read, event.bytes_written) == ("r", 700, 0)


def test_an_open_that_was_refused_is_told_with_its_status():
    refused = packet(Packet.OPEN, uint32(1), string("/etc/shadow"), uint32(1), attrs()), status(1, DENIED)
    assert talk(refused) == [FileEvent(op=FileOp.OPEN, path="/etc/shadow", mode="r", status=DENIED)]


@pytest.mark.parametrize(
    ("kind", "fields", "event"),
    [
        (Packet.REMOVE, [string("/a")], FileEvent(op=FileOp.REMOVE, path="/a")),
        (Packet.MKDIR, [string("/d"), attrs()], FileEvent(op=FileOp.MKDIR, path="/d")),
        (Packet.RMDIR, [string("/d")], FileEvent(op=FileOp.RMDIR, path="/d")),
        (Packet.SETSTAT, [string("/a"), attrs()], FileEvent(op=FileOp.SETSTAT, path="/a")),
        (Packet.RENAME, [string("/a"), string("/b")], FileEvent(op=FileOp.RENAME, path="/a", to="/b")),
        (Packet.SYMLINK, [string("/a"), string("/b")], FileEvent(op=FileOp.SYMLINK, path="/a", to="/b")),
        (
            Packet.EXTENDED,
            [string("posix-rename@openssh.com"), string("/a"), string("/b")],
            FileEvent(op=FileOp.RENAME, path="/a", to="/b"),
        ),
        (
            Packet.EXTENDED,
            [string("hardlink@openssh.com"), string("/a"), string("/b")],
            FileEvent(op=FileOp.HARDLINK, path="/a", to="/b"),
        ),
        (
            Packet.EXTENDED,
            [string("lsetstat@openssh.com"), string("/a"), attrs()],
            FileEvent(op=FileOp.SETSTAT, path="/a"),
        ),
    ],
)
def test_each_change_is_told(kind, fields, event):
    assert talk((packet(kind, uint32(7), *fields), status(7))) == [event]


def test_a_listing_is_told_and_its_handle_is_no_file():
    listing = (
        packet(Packet.OPENDIR, uint32(1), string("/srv")),
        packet(Packet.HANDLE, uint32(1), string(b"d")),
    )
    assert talk(listing, closed(2, b"d")) == [FileEvent(op=FileOp.LIST, path="/srv")]


def test_looking_at_attributes_is_not_told():
    stat = packet(Packet.STAT, uint32(1), string("/a")), packet(Packet.ATTRS, uint32(1), attrs())
    limits = packet(Packet.EXTENDED, uint32(2), string("limits@openssh.com")), status(2, 8)
    assert talk(stat, limits) == []


def test_a_change_of_an_open_file_names_its_path():
    chmod = packet(Packet.FSETSTAT, uint32(2), string(b"h1"), attrs()), status(2)
    assert talk(opened(1, "/a", 2), chmod)[1] == FileEvent(op=FileOp.SETSTAT, path="/a")


def test_a_copy_on_the_server_names_both_files():
    copy = packet(Packet.EXTENDED, uint32(3), string("copy-data"), string(b"h1"), bytes(16), string(b"h2"), bytes(8))
    events = talk(opened(1, "/a", 1), opened(2, "/b", 2, b"h2"), (copy, status(3)))
    assert events[2] == FileEvent(op=FileOp.COPY, path="/a", to="/b")


def test_a_file_that_nobody_closed_is_told_at_the_end():
    assert talk(opened(1, "/a", 2), written(2, b"abc"))[-1] == FileEvent(
        op=FileOp.CLOSE, path="/a", mode="w", bytes_written=3
    )


def test_an_answer_to_nothing_is_malformed():
    with pytest.raises(Malformed, match="no request"):
        list(SftpWatch().from_server(status(1)))


def test_a_packet_that_claims_a_gigabyte_is_malformed():
    with pytest.raises(Malformed, match="1,073,741,824 bytes"):
        SftpWatch().from_client(uint32(2**30) + b"\6")


def test_requests_without_answers_are_bounded():
    watch = SftpWatch()
    watch.from_client(b"".join(packet(Packet.STAT, uint32(number), string("/a")) for number in range(16_384)))
    with pytest.raises(Malformed, match="too many requests"):
        watch.from_client(packet(Packet.STAT, uint32(20_000), string("/a")))


def test_open_files_are_bounded():
    with pytest.raises(Malformed, match="too many files"):
        talk(*(opened(number, "/a", 1, b"%d" % number) for number in range(5_000)))


def test_a_handle_that_is_guessed_before_it_is_told_hides_nothing():
    asked, answer = opened(1, "/a", 2)
    write, done = written(2, b"secret")
    close, gone = closed(3)
    watch = SftpWatch()
    watch.from_client(asked + write + close)
    assert list(watch.from_server(answer + done + gone))[-1].bytes_written == 6


@given(st.lists(st.integers(1, 40_000), max_size=30), st.binary(min_size=1, max_size=60_000))
def test_where_the_bytes_are_cut_changes_nothing(cuts, content):
    asked = opened(1, "/a", 2)[0] + written(2, content)[0] + closed(3)[0]
    answers = opened(1, "/a", 2)[1] + status(2) + status(3)
    watch, at = SftpWatch(), 0
    for cut in cuts:
        watch.from_client(asked[at : at + cut])
        at += cut
    watch.from_client(asked[at:])
    events = [event for one in answers for event in watch.from_server(bytes([one]))]
    assert events == [
        FileEvent(op=FileOp.OPEN, path="/a", mode="w"),
        FileEvent(op=FileOp.CLOSE, path="/a", mode="w", bytes_written=len(content)),
    ]


@given(st.binary(max_size=300))
def test_garbage_is_understood_or_malformed(data):
    watch = SftpWatch()
    for feed in (watch.from_client, watch.from_server):
        with suppress(Malformed):
            list(feed(data) or ())
