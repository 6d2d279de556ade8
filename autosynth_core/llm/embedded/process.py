"""The parent's side of the embedded model: start the child, know whether it lives, stop it.

``shared`` gives one process a model to the whole application. It is started from a thread of its own that stays as
long as the child: Linux ties a child's life to the *thread* that started it, and threads of a web page end.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import queue
import secrets
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from autosynth_core.errors import ModelFileError
from autosynth_core.llm.embedded import files
from autosynth_core.llm.embedded.files import DEFAULT_MODEL, ModelFile

SLOTS = 4  # requests served at once
CONTEXT = 4096  # tokens a slot, prompt and answer together
LOAD_TIMEOUT_S = 180.0
STOP_TIMEOUT_S = 2.0
_POLL_S = 0.25
_LAST_LINES = 30

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class RunningModel:
    """A model that answers. ``base_url`` ends in /v1; the key is new with every start."""

    base_url: str
    api_key: str = field(repr=False)
    model_name: str
    pid: int


class _Child(NamedTuple):
    process: subprocess.Popen[bytes]
    said: deque[str]  # its last lines on standard error


class EmbeddedModel:
    """One child process at a time, serving one model. Its methods may be called from any thread."""

    def __init__(self, *, load_timeout_s: float = LOAD_TIMEOUT_S, server: Path | None = None) -> None:
        self._load_timeout_s = load_timeout_s
        self._server = server or Path(__file__).with_name("server.py")
        self._lock = threading.Lock()
        self._child: _Child | None = None
        self._running: RunningModel | None = None

    @property
    def alive(self) -> bool:
        """Whether the child is there."""
        child = self._child
        return child is not None and child.process.poll() is None

    def start(self, model: ModelFile | str = DEFAULT_MODEL, progress: Say = lambda _: None) -> RunningModel:
        """The running model, started where it is not. One instance serves one model: stop it before another.

        Takes some seconds: loading. ModelFileError when the file is not here, or the child does not come up.
        """
        chosen = files.model_file(model)
        with self._lock:
            if self._running and self.alive and self._running.model_name == chosen.name:
                return self._running
            self._end()
            path = _file_of(chosen)
            self._running = self._start(chosen, path, progress)
            return self._running

    def stop(self) -> None:
        """End the child. Does nothing where there is none."""
        with self._lock:
            self._end()

    def _start(self, model: ModelFile, path: Path, progress: Say) -> RunningModel:
        key = secrets.token_urlsafe(32)
        order = {"key": key, "path": str(path), "name": model.name, "slots": SLOTS, "context": CONTEXT}
        answers: queue.Queue[_Child | OSError | bytes] = queue.Queue()
        keeper = threading.Thread(
            target=_keep, args=(self._server, order, answers), daemon=True, name=f"keeper of {model.name}"
        )
        keeper.start()
        born = answers.get()
        if not isinstance(born, _Child):
            raise ModelFileError(f"The built-in model's process can't be started: {born!s}.")
        self._child = born
        with contextlib.ExitStack() as on_failure:
            on_failure.callback(
                self._end
            )  # also when ``progress`` raises or the user interrupts: leave no child behind
            line = self._wait_for_answer(born, answers, model, progress)
            running = RunningModel(json.loads(line)["base_url"], key, model.name, born.process.pid)
            on_failure.pop_all()
        return running

    def _wait_for_answer(
        self, child: _Child, answers: queue.Queue[_Child | OSError | bytes], model: ModelFile, progress: Say
    ) -> bytes:
        started = time.monotonic()
        while (waited := time.monotonic() - started) < self._load_timeout_s:
            progress(f"Loading {model.name}: {waited:.0f} s")
            try:
                line = answers.get(timeout=_POLL_S)
            except queue.Empty:
                continue
            if isinstance(line, bytes) and line:
                return line
            child.process.wait()
            raise ModelFileError(f"The built-in model {model.name} ended while loading. Its last words: {_tail(child)}")
        raise ModelFileError(
            f"The built-in model {model.name} was not ready after {self._load_timeout_s:.0f} s; close other programs "
            f"and try again. Its last words: {_tail(child)}"
        )

    def _end(self) -> None:
        """The end of its standard input is the child's sign to go; a kill follows where it does not."""
        child, self._child, self._running = self._child, None, None
        if child is None:
            return
        with contextlib.suppress(OSError):
            if child.process.stdin:
                child.process.stdin.close()
        try:
            child.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            child.process.kill()
            child.process.wait()


def _keep(server: Path, order: dict[str, object], answers: queue.Queue[_Child | OSError | bytes]) -> None:
    """Start the child, hand over its first line (b"" when it ended without one), and stay until it is gone."""
    try:
        process = subprocess.Popen(  # noqa: S603 - our interpreter, our file
            [sys.executable, "-P", str(server)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # a terminal's Ctrl-C is for the parent, which ends its calls first
        )
    except OSError as error:
        answers.put(error)
        return
    said: deque[str] = deque(maxlen=_LAST_LINES)
    listener = threading.Thread(target=_listen, args=(process, said), daemon=True, name="the model's words")
    listener.start()
    answers.put(_Child(process, said))
    with contextlib.suppress(OSError):  # a child that is gone already shows as an empty answer below
        _send(process, {**order, "parent": os.getpid(), "threads": _processors()})
    if process.stdout:
        line = process.stdout.readline()
        if not line:
            listener.join(STOP_TIMEOUT_S)  # so that its last words are complete
        answers.put(line)
        process.stdout.close()
    process.wait()


def _send(process: subprocess.Popen[bytes], order: dict[str, object]) -> None:
    if process.stdin:
        process.stdin.write(json.dumps(order).encode() + b"\n")
        process.stdin.flush()


def _listen(process: subprocess.Popen[bytes], said: deque[str]) -> None:
    if process.stderr:
        with process.stderr:
            for line in process.stderr:
                said.append(line.decode("utf-8", "replace").rstrip())


def _tail(child: _Child) -> str:
    return " | ".join(line for line in list(child.said)[-6:] if line)[-800:] or "none."


def _file_of(model: ModelFile) -> Path:
    if not files.installed(model):
        raise ModelFileError(
            f"The built-in model {model.name} is not on this machine yet ({model.bytes / 1e9:.1f} GB). Fetch it with "
            f"`python -m autosynth_core models pull {model.name}`, or on the Settings page."
        )
    return files.path(model)


def _processors() -> int:
    """Processors that this process may use, at least one."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0)) or 1
    return os.cpu_count() or 1


# --- one for the whole application ------------------------------------------------------------------------------------

_shared: dict[str, EmbeddedModel] = {}
_shared_lock = threading.Lock()


def shared(model: ModelFile | str = DEFAULT_MODEL, progress: Say = lambda _: None) -> RunningModel:
    """The application's one running process of this model: started when it is first asked for, and again if it died.

    Ask anew at the start of each run: after a restart the address and the key are others.
    """
    chosen = files.model_file(model)
    with _shared_lock:
        if not _shared:
            atexit.register(stop_shared)
        owner = _shared.setdefault(chosen.name, EmbeddedModel())
    return owner.start(chosen, progress)


def stop_shared() -> None:
    """End every process that ``shared`` started. Called at the interpreter's end; safe to call before."""
    with _shared_lock:
        owners = list(_shared.values())
    for owner in owners:
        owner.stop()
