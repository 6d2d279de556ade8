"""What was read of a run, kept until the run changes: pages refresh every other second, and most of it is the same.

Owns the only cache of the views: by database, run and ``Store.tree_version``.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

from autosynth_core.store import Store

__all__ = ["Kept"]

T = TypeVar("T")

_KEPT = 16


class Kept(Generic[T]):
    """``read`` for a run, once for each state of the run. Usable from several threads at once."""

    def __init__(self, read: Callable[[Store, str], T]) -> None:
        self._read = read
        self._found: OrderedDict[tuple[str, str, int], T] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, store: Store, run_id: str) -> T:
        """Raises what ``read`` raises; that is not kept."""
        key = (str(store.path), run_id, store.tree_version(run_id))
        with self._lock:
            if key in self._found:
                self._found.move_to_end(key)
                return self._found[key]
        found = self._read(store, run_id)
        with self._lock:
            self._found[key] = found
            while len(self._found) > _KEPT:
                self._found.popitem(last=False)
        return found
