"""How commands speak: a line a person reads, or one JSON object as the last line of standard output."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from autosynth_core.commands.yardstick import yardstick_of
from autosynth_core.errors import StoreError
from autosynth_core.records import Usage
from autosynth_core.search import NodeScore
from autosynth_core.store import Store
from autosynth_core.views import Gain, header

__all__ = ["existing", "is_there", "plain", "print_json", "say", "status_of"]


def existing(path: Path, *, reading: bool = False) -> Store:
    """The database at ``path``, which is not made here. Only to be read, it may be one that can't be written.

    Raises StoreError with what to do.
    """
    if not is_there(path):
        raise StoreError(f"There is no database at {path}; give its path with --db.")
    writable = os.access(path, os.W_OK) and os.access(path.absolute().parent, os.W_OK)
    return Store.open(path, read_only=reading and not writable)


def is_there(path: Path) -> bool:
    """Whether there is something at ``path``. Raises StoreError for a path that can't be looked up."""
    try:
        return path.exists()
    except OSError as error:
        raise StoreError(f"{path} can't be looked up ({error.strerror}); give another path with --db.") from error


def plain(text: str) -> str:
    """``text`` without what steers a terminal: reasons and descriptions are models' words."""
    return "".join(letter if letter.isprintable() or letter == "\n" else " " for letter in text)


def say(text: str) -> None:
    """A line for a person, on standard error, so that standard output holds results alone."""
    print(plain(text), file=sys.stderr, flush=True)


def print_json(value: dict[str, Any]) -> None:
    """One object on one line of standard output, in ASCII: it must be readable whatever the terminal's encoding."""
    print(json.dumps(value), flush=True)


def status_of(store: Store, run_id: str) -> dict[str, Any]:
    """What ``search``, ``resume`` and ``status`` report. ``iterations`` does not count the first workflow."""
    head = header(store, run_id)
    return {
        "run_id": head.run_id,
        "state": head.state.value,
        "reason": store.run(run_id).reason,
        "iterations": head.done,
        "nodes": len(store.nodes(run_id)),
        "broken": head.broken,
        "duplicates": head.duplicates,
        "unscored": head.unscored,
        "first": _score(head.first),
        "best": _score(head.best),
        "gain": _gain(head.gain),
        "usage": _usage(head.usage),
        "failures": dict(head.usage.failures),
        **yardstick_of(store, run_id),
    }


def _score(score: NodeScore | None) -> dict[str, Any] | None:
    """``reward`` and ``ci`` in 0..1, the scores on 1..5."""
    if score is None:
        return None
    return {
        "node": score.node,
        "reward": round(score.reward.total, 4),
        "ci": [round(score.reward.low, 4), round(score.reward.high, 4)],
        "sample_score": round(score.sample_score, 3),
        "workflow_score": round(score.workflow_score, 3),
    }


def _gain(gain: Gain | None) -> dict[str, Any] | None:
    """The best against the first: ``reward`` in 0..1, the scores in points of 1..5, the verdict on the samples."""
    if gain is None:
        return None
    return {
        "reward": round(gain.reward, 4),
        "sample_score": round(gain.samples, 3),
        "workflow_score": round(gain.workflow, 3),
        "verdict": gain.verdict.value,
    }


def _usage(usage: Usage) -> dict[str, Any]:
    """``usd`` is null when nothing that was used has a known price; ``unpriced`` calls are missing from it."""
    priced = usage.calls == 0 or usage.unpriced < usage.calls
    return {
        "calls": usage.calls,
        "cached": usage.cached,
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "usd": round(usage.usd, 6) if priced else None,
        "unpriced": usage.unpriced,
    }
