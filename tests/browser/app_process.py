"""The app in a process of its own, as a user starts it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Self

ROOT = Path(__file__).parents[2]


class App:
    """``streamlit run app.py`` in a process of its own, over one database. May be killed and started again."""

    def __init__(self, database: Path, environment: dict[str, str]) -> None:
        self.database = database
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self.port = _free_port()
        self.log = database.with_suffix(".log")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Self:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(self.port)],
                cwd=ROOT,
                env={
                    **os.environ,
                    "AUTOSYNTH_DB": str(self.database),
                    "STREAMLIT_SERVER_FILE_WATCHER_TYPE": "none",  # a file edited meanwhile must not reload the app
                    **self._environment,
                },
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=1):
                    return self
            except OSError:
                time.sleep(0.2)
        raise TimeoutError(f"the app did not come up: {self.log.read_text()[-2000:]}")

    def kill(self) -> None:
        """``kill -9``, to the app and everything it started."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
