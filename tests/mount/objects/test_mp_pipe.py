"""mpfs.Pipe and Connection against Python 3.11's documentation."""
import array
import select
import threading

import pytest

from mpfs import BufferTooShort, Connection, Pipe


@pytest.fixture
def ends(ipc):
    with (pair := Pipe(ipc / "x.pipe"))[0], pair[1]:
        yield pair


def test_objects_go_both_ways(ends):
    a, b = ends
    a.send([1, "hello", None]), b.send({"two": 2})
    assert b.recv() == [1, "hello", None] and a.recv() == {"two": 2}


def test_unrelated_processes_open_an_end_each(ipc, python, output):
    (ipc / "x.pipe").mkdir()
    one = python("c = Connection(ARGS[0]); c.send([42, None, 'hello']); print(c.recv())",
                 ipc / "x.pipe/a")
    two = python("c = Connection(ARGS[0]); print(c.recv()); c.send('thanks')", ipc / "x.pipe/b")
    assert output(two) == ["[42, None, 'hello']"]
    assert output(one) == ["thanks"]


def test_bytes_keep_their_boundaries(ends):
    a, b = ends
    for message in (b"thank you", b"\n", b"x" * 100_000):
        a.send_bytes(message)
    assert [b.recv_bytes() for _ in range(3)] == [b"thank you", b"\n", b"x" * 100_000]


def test_send_bytes_takes_offset_and_size(ends):
    a, b = ends
    a.send_bytes(b"0123456789", 7), a.send_bytes(b"0123456789", 2, 3)
    assert [b.recv_bytes(), b.recv_bytes()] == [b"789", b"234"]
    for wrong in ((11,), (0, 11), (-1,), (0, -1)):
        with pytest.raises(ValueError):
            a.send_bytes(b"0123456789", *wrong)


def test_recv_bytes_into(ends):
    a, b = ends
    target = array.array("i", range(5))
    a.send_bytes(array.array("i", [10, 20]))
    assert b.recv_bytes_into(target, target.itemsize) == 2 * target.itemsize
    assert list(target) == [0, 10, 20, 3, 4]
    a.send_bytes(b"x" * 100)
    with pytest.raises(BufferTooShort) as error:
        b.recv_bytes_into(target)
    assert error.value.args[0] == b"x" * 100, "the whole message is in the exception"


def test_a_message_over_maxlength_is_an_oserror_and_the_end_of_the_connection(ends):
    a, b = ends
    a.send_bytes(b"12345"), a.send_bytes(b"123456")
    assert b.recv_bytes(5) == b"12345"
    with pytest.raises(OSError):
        b.recv_bytes(5)
    with pytest.raises(OSError):
        b.recv_bytes()


def test_a_message_that_is_too_large_is_a_value_error(ends):
    with pytest.raises(ValueError):
        ends[0].send_bytes(bytes(2 << 20))


def test_eof_error_when_the_other_end_is_closed_and_nothing_is_left(ends):
    a, b = ends
    a.send("last")
    a.close()
    assert b.recv() == "last"
    for call in (b.recv, b.recv_bytes):
        with pytest.raises(EOFError):
            call()


def test_broken_pipe_error_when_nobody_reads_any_more(ends):
    a, b = ends
    b.close()
    with pytest.raises(BrokenPipeError):
        a.send("hello?")


def test_eof_error_when_the_other_process_dies(ipc, python):
    (ipc / "x.pipe").mkdir()
    other = python("c = Connection(ARGS[0]); c.send('alive'); c.recv()", ipc / "x.pipe/a")
    b = Connection(ipc / "x.pipe/b")
    assert b.recv() == "alive"
    other.kill()
    with pytest.raises(EOFError):
        b.recv()
    with pytest.raises(BrokenPipeError):
        b.send("hello?")


def test_poll(ends):
    a, b = ends
    assert b.poll() is False and b.poll(0.05) is False
    a.send(1), a.send(2)
    assert b.poll() is True and b.poll(None) is True
    assert b.recv() == 1 and b.poll() is True
    assert b.recv() == 2 and b.poll() is False
    a.close()
    assert b.poll(10) is True, "the end can be read"
    with pytest.raises(EOFError):
        b.recv()


def test_poll_waits_for_a_message(ends):
    a, b = ends
    sender = threading.Thread(target=a.send, args=("x",))
    sender.start()
    assert b.poll(20) is True
    sender.join()


def test_select_takes_many_connections(ipc):
    pairs = [Pipe(ipc / f"{i}.pipe") for i in range(3)]
    readers = [pair[1] for pair in pairs]
    pairs[1][0].send("here")
    assert select.select(readers, [], [], 20)[0] == [readers[1]]
    for pair in pairs:
        pair[0].close(), pair[1].close()


def test_one_way_pipe_has_a_reading_and_a_writing_end(ipc):
    reader, writer = Pipe(ipc / "x.pipe", duplex=False)
    writer.send("one way")
    assert reader.recv() == "one way"
    assert (reader.writable, writer.readable) == (False, False)
    with pytest.raises(OSError):
        reader.send("back")
    with pytest.raises(OSError):
        writer.recv()
    writer.close()
    with pytest.raises(EOFError):
        reader.recv()
    reader.close()


def test_a_closed_connection_raises_oserror(ends):
    a, _ = ends
    a.close(), a.close()
    assert a.closed
    for call in (a.fileno, a.recv, lambda: a.send(1), a.poll):
        with pytest.raises(OSError):
            call()
