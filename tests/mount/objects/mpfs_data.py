"""mpfs: queues, pipe, value, array."""
import os
import pickle
import select
import struct
from errno import EMSGSIZE, ERANGE
from multiprocessing import BufferTooShort
from queue import Empty, Full

from mpfs_base import MAX_RECORD, _Object, set_limit
from mpfs_sync import _its_lock

# --- queues and pipes -----------------------------------------------------------------

class SimpleQueue(_Object):
    suffix = ".queue"
    flags = os.O_RDWR | os.O_DIRECT   # record framing, whatever the queue says

    def put(self, obj):
        os.write(self._fd(), pickle.dumps(obj))

    def get(self):
        return self._load(self._read(size=MAX_RECORD))

    @staticmethod
    def _load(record):
        if not record:
            raise EOFError   # `echo 1 > NAME.ctl/closed`, and nothing is left
        return pickle.loads(record)

    def empty(self):
        return self._size() == 0


class Queue(SimpleQueue):
    def __init__(self, path, maxsize=0):
        super().__init__(path)
        if self.created and maxsize > 0:
            self.set_ctl("maxsize", maxsize)

    def put(self, obj, block=True, timeout=None):
        fd = self._fd()
        set_limit(fd, block, timeout)
        try:
            os.write(fd, pickle.dumps(obj))
        except (BlockingIOError, TimeoutError):
            raise Full from None

    def get(self, block=True, timeout=None):
        record = self._read(block, timeout, MAX_RECORD)
        if record is None:
            raise Empty
        return self._load(record)

    def put_nowait(self, obj):
        self.put(obj, False)

    def get_nowait(self):
        return self.get(False)

    def qsize(self):
        return self._size()

    def full(self):
        return 0 < int(self.ctl("maxsize")) <= self._size()

    def shutdown(self):
        """No more puts from anybody; gets drain what is there and then raise EOFError."""
        self.set_ctl("closed", 1)


class JoinableQueue(Queue):
    def task_done(self):
        try:
            self.set_ctl("done", 1)
        except OSError as error:
            if error.errno == ERANGE:
                raise ValueError("task_done() called too many times") from error
            raise

    def join(self):
        self.ctl("join")


def Pipe(path, duplex=True):
    """Both ends of the pipe `path`; somebody else's end alone is Connection(path + "/a")."""
    path = os.fspath(path)
    if not duplex:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        return Connection(path, writable=False), Connection(path, readable=False)
    if not os.path.isdir(path):
        os.mkdir(path, 0o700)
    return Connection(f"{path}/a"), Connection(f"{path}/b")


class Connection:
    """One handle, and one only: its close is what the other end sees as EOF."""

    def __init__(self, path, readable=True, writable=True):
        self.readable, self.writable = readable, writable
        mode = (os.O_RDWR if readable and writable else
                os.O_RDONLY if readable else os.O_WRONLY)
        self._fd = None
        self._fd = os.open(path, mode | os.O_DIRECT | os.O_CLOEXEC)

    def fileno(self):
        if self._fd is None:
            raise OSError("handle is closed")
        return self._fd

    @property
    def closed(self):
        return self._fd is None

    def close(self):
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    __del__ = close

    def send(self, obj):
        self.send_bytes(pickle.dumps(obj))

    def recv(self):
        return pickle.loads(self.recv_bytes())

    def send_bytes(self, buf, offset=0, size=None):
        view = memoryview(buf).cast("B")
        size = len(view) - offset if size is None else size
        if offset < 0 or size < 0 or offset + size > len(view):
            raise ValueError("buffer length < offset + size")
        fd = self.fileno()
        if not self.writable:
            raise OSError("connection is read-only")
        if not size:
            raise NotImplementedError("the kernel never sends an empty write")
        try:
            os.write(fd, view[offset:offset + size])
        except OSError as error:
            if error.errno == EMSGSIZE:
                raise ValueError("message too large") from error
            raise

    def recv_bytes(self, maxlength=None):
        fd = self.fileno()
        if not self.readable:
            raise OSError("connection is write-only")
        if maxlength is not None and maxlength < 0:
            raise ValueError("negative maxlength")
        record = os.read(fd, MAX_RECORD)
        if not record:
            raise EOFError
        if maxlength is not None and len(record) > maxlength:
            self.close()
            raise OSError("bad message length")
        return record

    def recv_bytes_into(self, buf, offset=0):
        view = memoryview(buf).cast("B")
        if not 0 <= offset <= len(view):
            raise ValueError("offset out of range")
        record = self.recv_bytes()
        if len(record) > len(view) - offset:
            raise BufferTooShort(record)
        view[offset:offset + len(record)] = record
        return len(record)

    def poll(self, timeout=0.0):
        poll = select.poll()
        poll.register(self.fileno(), select.POLLIN)
        return bool(poll.poll(None if timeout is None else max(timeout, 0) * 1000))

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


# --- value and array ------------------------------------------------------------------

class Value(_Object):
    suffix = ".value"

    def __init__(self, path, typecode=None, value=0, lock=True):
        super().__init__(path)
        if self.created and typecode:
            self.set_ctl("typecode", typecode)
            self.value = value
        self._lock = _its_lock(self, lock) if lock else None
        self._typecode = self.ctl("typecode")

    def get_lock(self):
        return self._lock

    @property
    def value(self):
        # A read-only handle asks again at offset 0; a read-write one would first
        # give the result of its own last write.
        text = os.pread(self._fd(os.O_RDONLY), 4097, 0).decode()[:-1]
        kind = self._typecode
        return (text if kind in ("text", "u") else text.encode() if kind == "c" else
                float(text) if kind in "fd" else int(text))

    @value.setter
    def value(self, new):
        self._write(new.decode() if isinstance(new, bytes) else
                    repr(new) if isinstance(new, float) else str(new))

    def add(self, n):
        """`value += n` in one step, and what that made of it (multiprocessing has no such)."""
        self._write(f"+={n}" if n >= 0 else f"-={-n}")
        return int(self._read())


class Array(_Object):
    suffix = ".array"

    def __init__(self, path, typecode=None, size_or_initializer=None, lock=True):
        super().__init__(path)
        if self.created and typecode:
            self.set_ctl("typecode", typecode)
        self._code = self.ctl("typecode")
        self._item = struct.calcsize(self._code)
        self._lock = _its_lock(self, lock) if lock else None
        if self.created and size_or_initializer is not None:
            if isinstance(size_or_initializer, int):
                os.truncate(self.path, size_or_initializer * self._item)
            else:
                values = list(size_or_initializer)
                os.truncate(self.path, len(values) * self._item)
                self[:] = values

    def get_lock(self):
        return self._lock

    def __len__(self):
        return int(self.ctl("length"))

    def __getitem__(self, index):
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        raw = os.pread(self._fd(), self._item, self._offset(index))
        return struct.unpack(self._code, raw)[0]

    def __setitem__(self, index, value):
        if isinstance(index, slice):
            for i, item in zip(range(*index.indices(len(self))), value, strict=True):
                self[i] = item
        else:
            os.pwrite(self._fd(), struct.pack(self._code, value), self._offset(index))

    def _offset(self, index):
        length = len(self)
        if not -length <= index < length:
            raise IndexError("array index out of range")
        return index % length * self._item
