"""A lock on a file that ends with its process, so that two fetches of one model never write the same bytes."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

POLL_S = 0.5

if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
else:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


@contextmanager
def locked(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the lock on ``path`` (the file is made and stays). ``waiting`` is called every 0.5 s while another holds it.

    Threads of one process exclude each other too. OSError when the file can't be made.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)  # not inheritable: PEP 446
    try:
        while not _try_lock(descriptor):
            waiting()
            time.sleep(POLL_S)
        yield
    finally:
        os.close(descriptor)  # the system releases the lock with it, also after a kill
