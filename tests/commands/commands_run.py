"""Commands as a person runs them: in a process of their own, or, where only the answer matters, in this one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from autosynth_core.__main__ import main

ROOT = Path(__file__).parents[2]
SMALL = ("--iterations", "2", "--seed-inputs", "2", "--workers", "2", "--expansion", "edits")


class Ended(NamedTuple):
    """How a command ended: its status, standard output and standard error."""

    status: int
    out: str
    said: str

    @property
    def json(self) -> dict[str, Any]:
        """The last line of standard output."""
        return dict(json.loads(self.out.splitlines()[-1]))


def start(*words: object, **environment: str) -> subprocess.Popen[str]:
    """``python -m autosynth_core`` with these words."""
    return subprocess.Popen(
        [sys.executable, "-m", "autosynth_core", *map(str, words)],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str], within_s: float = 60.0) -> Ended:
    try:
        out, said = process.communicate(timeout=within_s)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return Ended(process.returncode, out, said)


def command(*words: object, **environment: str) -> Ended:
    return finish(start(*words, **environment))


def inside(capsys: pytest.CaptureFixture[str], *words: object) -> Ended:
    """The same in this process."""
    capsys.readouterr()
    try:
        status = main([str(word) for word in words])
    except SystemExit as ending:  # argparse
        status = int(ending.code or 0)
    captured = capsys.readouterr()
    return Ended(status, captured.out, captured.err)


def is_one_clear_sentence(ended: Ended) -> bool:
    """No traceback, and not more than a few lines that end as a sentence does."""
    lines = ended.said.strip().splitlines()
    return 1 <= len(lines) <= 2 and "Traceback" not in ended.said and lines[-1].endswith(".")
