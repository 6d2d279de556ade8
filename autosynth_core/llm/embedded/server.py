"""The child process: serves one model on loopback, and ends when its parent does.

It is run as a script by its path, so that it imports the standard library and xllamacpp and nothing of this package:
the parent's imports would cost it a second and a hundred megabytes. What it is to do comes as one JSON line on
standard input (``parent``, ``key``, ``path``, ``name``, ``slots``, ``context``, ``threads``), so that the key is
never seen in a list of processes. Once healthy it writes one JSON line, ``{"base_url": ..., "model": ...}``, on
standard output; llama.cpp's own words go to standard error.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import threading
import urllib.request
from typing import Any, BinaryIO

_PR_SET_PDEATHSIG = 1
_PROMPT_CACHE_MIB = 1024  # of prompts that lost their slot; llama.cpp's own default is 8192
_HEALTH_TIMEOUT_S = 60.0


def tie_to_parent(parent: int, stdin: BinaryIO) -> None:
    """End this process when process ``parent`` ends, however it ends.

    Linux kills it by signal as soon as the thread that started it is gone; everywhere the end of ``stdin``, whose
    other end the parent holds, does the same. Neither needs the parent's help.
    """
    threading.Thread(target=_exit_at_end_of, args=(stdin,), daemon=True, name="parent's end").start()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the line above
            os._exit(0)


def _exit_at_end_of(stdin: BinaryIO) -> None:
    while stdin.read(1):
        pass
    os._exit(0)  # not sys.exit: llama.cpp's threads are in the middle of their work


def serve(order: dict[str, Any]) -> Any:
    """Load the model and listen on a free port of 127.0.0.1. Returns the server, which lives as long as it is held."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = order["path"]
    params.model_alias = {order["name"]}
    params.hostnames, params.port = ["127.0.0.1"], 0
    params.api_keys = [order["key"]]
    params.n_parallel = order["slots"]
    params.n_ctx = order["slots"] * order["context"]  # shared out among the slots
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = order["threads"]
    params.cache_ram_mib = _PROMPT_CACHE_MIB
    params.ui = False
    params.offline = True
    return xllamacpp.Server(params)


def wait_healthy(address: str) -> None:
    """Return when ``/health`` says OK. OSError when it does not."""
    with urllib.request.urlopen(f"{address}/health", timeout=_HEALTH_TIMEOUT_S) as response:  # noqa: S310 - our own, on loopback
        response.read()


def main() -> None:
    """Read the order, serve, and wait for the parent's end."""
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever llama.cpp prints must not be mistaken for the answer
    stdin = sys.stdin.buffer
    order = json.loads(stdin.readline())
    tie_to_parent(order["parent"], stdin)
    server = serve(order)
    wait_healthy(server.listening_address)
    print(json.dumps({"base_url": f"{server.listening_address}/v1", "model": order["name"]}), file=answer, flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
