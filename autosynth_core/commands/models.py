"""``models``: fetch, serve and list the built-in models."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import TextIO

from tqdm import tqdm

from autosynth_core.commands.report import print_json, say
from autosynth_core.llm import embedded

__all__ = ["models_command"]

_EVERY_S = 5.0


class Progress:
    """Loading told without flooding: one line that is rewritten on a terminal, elsewhere one every few seconds."""

    def __init__(self, stream: TextIO, clock: Callable[[], float]) -> None:
        self._stream = stream
        self._clock = clock
        self._last: float | None = None

    def __call__(self, text: str) -> None:
        now = self._clock()
        if self._stream.isatty():
            print(f"\r{text}\033[K", end="", file=self._stream, flush=True)
        elif self._last is None or now - self._last >= _EVERY_S:
            self._last = now
            print(text, file=self._stream, flush=True)

    def done(self) -> None:
        """Leave the rewritten line standing."""
        if self._stream.isatty():
            print(file=self._stream, flush=True)


def models_command(args: argparse.Namespace) -> int:
    """Dispatch ``models pull|serve|list``."""
    return {"pull": _pull, "serve": _serve, "list": _list}[args.action](args)


def _pull(args: argparse.Namespace) -> int:
    said = ""
    with tqdm(unit="B", unit_scale=True, unit_divisor=1000, dynamic_ncols=True) as bar:

        def show(progress: embedded.Progress) -> None:
            nonlocal said
            bar.total, bar.n = progress.total, progress.done
            bar.refresh()
            if progress.text != said:
                said = progress.text
                tqdm.write(said)

        path = embedded.pull(args.model, progress=show)
    if args.json:
        print_json({"model": args.model, "path": str(path)})
    else:
        print(path)
    return 0


def _serve(args: argparse.Namespace) -> int:
    done = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: done.set())
    progress = Progress(sys.stderr, time.monotonic)
    running = embedded.shared(args.model, progress=progress)
    progress.done()
    print(f"OPENAI_BASE_URL={running.base_url}")
    print(f"OPENAI_API_KEY={running.api_key}", flush=True)
    say(f"Serving {running.model_name}; end it with Ctrl-C.")
    done.wait()
    embedded.stop_shared()
    return 0


def _list(args: argparse.Namespace) -> int:
    rows = embedded.models_list()
    if args.json:
        print_json({"models": [{**asdict(row), "path": str(row.path)} for row in rows]})
        return 0
    for row in rows:
        state = f"installed at {row.path}" if row.installed else "not fetched"
        print(f"{row.name}  {row.bytes / 1e9:.2f} GB  {state}  {row.note}")
    return 0
