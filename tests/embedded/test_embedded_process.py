"""The real server on a real, tiny model: every claim here is about processes that exist."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from embedded_fakes import tiny_gguf, tiny_model

from autosynth_core.errors import ModelFileError
from autosynth_core.llm.embedded import EmbeddedModel, ModelFile, RunningModel, path, process, pull, shared, stop_shared

SERVER = Path(process.__file__).with_name("server.py")
LOAD_SERVER = f"import runpy; server = runpy.run_path({str(SERVER)!r})"


@pytest.fixture
def tiny(cache: Path) -> ModelFile:
    content = tiny_gguf()
    model = tiny_model(content)
    path(model).parent.mkdir(parents=True)
    path(model).write_bytes(content)
    return model


@pytest.fixture
def embedded() -> Iterator[EmbeddedModel]:
    model = EmbeddedModel()
    yield model
    model.stop()


def test_running_model_lists_itself_and_answers(tiny: ModelFile, embedded: EmbeddedModel) -> None:
    running = embedded.start(tiny)
    assert running.base_url.startswith("http://127.0.0.1:")
    assert running.base_url.endswith("/v1")
    assert [entry["id"] for entry in _ask(running, "/models")["data"]] == ["tiny-model"]
    body = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1, "logprobs": True, "top_logprobs": 20}
    body["temperature"] = 0  # an end-of-text token, which it might draw, comes without log-probabilities
    choice = _ask(running, "/chat/completions", body)["choices"][0]
    assert len(choice["logprobs"]["content"][0]["top_logprobs"]) == 20


def test_another_key_is_refused(tiny: ModelFile, embedded: EmbeddedModel) -> None:
    running = embedded.start(tiny)
    with pytest.raises(urllib.error.HTTPError, match="401") as refused:
        _ask(RunningModel(running.base_url, "guess", running.model_name, running.pid), "/models")
    refused.value.close()


def test_key_is_in_no_process_list_environment_or_repr(tiny: ModelFile, embedded: EmbeddedModel) -> None:
    running = embedded.start(tiny)
    assert running.api_key.encode() not in Path(f"/proc/{running.pid}/cmdline").read_bytes()
    assert running.api_key.encode() not in Path(f"/proc/{running.pid}/environ").read_bytes()
    assert running.api_key not in repr(running)


def test_only_loopback_is_listened_on(tiny: ModelFile, embedded: EmbeddedModel) -> None:
    running = embedded.start(tiny)
    port = int(running.base_url.split(":")[2].split("/")[0])
    rows = [line.split() for line in Path(f"/proc/{running.pid}/net/tcp").read_text().splitlines()[1:]]
    assert [row[1].split(":")[0] for row in rows if row[3] == "0A" and row[1].endswith(f":{port:04X}")] == ["0100007F"]


def test_prompt_longer_than_a_slot_is_refused_not_cut(tiny: ModelFile, embedded: EmbeddedModel) -> None:
    body = {"messages": [{"role": "user", "content": "x" * (process.CONTEXT + 1)}], "max_tokens": 1}
    with pytest.raises(urllib.error.HTTPError, match="400") as refused:
        _ask(embedded.start(tiny), "/chat/completions", body)
    assert b"exceed" in refused.value.read()
    refused.value.close()


def test_starting_twice_gives_the_same_process(tiny: ModelFile, embedded: EmbeddedModel) -> None:
    assert embedded.start(tiny) is embedded.start(tiny)


def test_stop_ends_the_process_and_may_be_repeated(tiny: ModelFile, embedded: EmbeddedModel) -> None:
    running = embedded.start(tiny)
    embedded.stop()
    assert not embedded.alive
    assert _gone(running.pid, within_s=0)
    embedded.stop()


def test_process_that_died_is_started_again_with_another_key(tiny: ModelFile, embedded: EmbeddedModel) -> None:
    first = embedded.start(tiny)
    os.kill(first.pid, signal.SIGKILL)
    while embedded.alive:  # the kernel's word reaches the thread that waits for it a moment later
        time.sleep(0.01)
    second = embedded.start(tiny)
    assert second.pid != first.pid
    assert second.api_key != first.api_key
    assert _ask(second, "/models")["data"]


def test_process_outlives_the_thread_that_asked_for_it(tiny: ModelFile, embedded: EmbeddedModel) -> None:
    got: list[RunningModel] = []
    thread = threading.Thread(target=lambda: got.append(embedded.start(tiny)))
    thread.start()
    thread.join()
    time.sleep(0.3)
    assert embedded.alive
    assert _ask(got[0], "/models")["data"]


def test_threads_share_one_process(tiny: ModelFile) -> None:
    got: list[RunningModel] = []
    threads = [threading.Thread(target=lambda: got.append(shared(tiny))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stop_shared()
    assert len(got) == 8
    assert len({running.pid for running in got}) == 1
    assert _gone(got[0].pid, within_s=1)


def test_absent_model_says_how_to_fetch_it(cache: Path, embedded: EmbeddedModel) -> None:
    with pytest.raises(ModelFileError, match="models pull tiny-model"):
        embedded.start(tiny_model())


def test_damaged_file_is_told_in_the_servers_words_and_leaves_no_process(
    tiny: ModelFile, embedded: EmbeddedModel
) -> None:
    path(tiny).write_bytes(b"GGUF" + b"\0" * (tiny.bytes - 4))
    with pytest.raises(ModelFileError, match=r"ended while loading. Its last words: .+"):
        embedded.start(tiny)
    assert not embedded.alive


@pytest.mark.parametrize(
    ("script", "says"),
    [
        pytest.param("import time; time.sleep(60)", "was not ready after 1 s", id="hangs"),
        pytest.param("import sys; sys.exit('no such luck')", "no such luck", id="exits with words"),
        pytest.param("import os; os.kill(os.getpid(), 9)", "Its last words: none", id="is killed"),
    ],
)
def test_child_that_never_answers_is_ended_and_told(tiny: ModelFile, tmp_path: Path, script: str, says: str) -> None:
    stand_in = tmp_path / "stand_in.py"
    stand_in.write_text(script)
    embedded = EmbeddedModel(load_timeout_s=1, server=stand_in)
    with pytest.raises(ModelFileError, match=says):
        embedded.start(tiny)
    assert not embedded.alive


def test_progress_that_raises_leaves_no_process(tiny: ModelFile, embedded: EmbeddedModel) -> None:
    def progress(text: str) -> None:
        raise InterruptedError(text)

    with pytest.raises(InterruptedError, match="Loading tiny-model"):
        embedded.start(tiny, progress)
    assert not embedded.alive


def test_killed_parent_leaves_no_server(tiny: ModelFile) -> None:
    code = (
        "from embedded_fakes import tiny_gguf, tiny_model; from autosynth_core.llm.embedded import shared\n"
        "import time; print(shared(tiny_model(tiny_gguf())).pid, flush=True); time.sleep(60)"
    )
    with _parent(code) as (parent, pid):
        assert not _gone(pid, within_s=0)
        parent.kill()
        assert _gone(pid, within_s=5)


def test_ending_parent_stops_its_server(tiny: ModelFile) -> None:
    code = (
        "from embedded_fakes import tiny_gguf, tiny_model; from autosynth_core.llm.embedded import shared\n"
        "print(shared(tiny_model(tiny_gguf())).pid, flush=True)"
    )
    with _parent(code) as (parent, pid):
        assert parent.wait(10) == 0
        assert _gone(pid, within_s=1)


def test_end_of_standard_input_alone_ends_the_child() -> None:
    code = (
        f"{LOAD_SERVER}; import os, sys, time; server['tie_to_parent'](os.getppid(), sys.stdin.buffer); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE) as child:
        assert child.stdin
        time.sleep(0.3)
        assert child.poll() is None
        child.stdin.close()
        assert child.wait(5) == 0


@pytest.mark.skipif(
    sys.platform != "linux", reason="the signal is Linux's; elsewhere the end of standard input does it"
)
def test_parents_death_alone_ends_the_child() -> None:
    """Its standard input is held open by this test, so that only the kernel's signal can end it."""
    reading, writing = os.pipe()
    child = (
        f"{LOAD_SERVER}; import os, sys, time; server['tie_to_parent'](os.getppid(), sys.stdin.buffer)\n"
        "print(os.getpid(), flush=True); time.sleep(60)"
    )
    code = (
        f"import subprocess, sys, time; command = [sys.executable, '-c', {child!r}]\n"
        f"subprocess.Popen(command, stdin={reading}); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, pass_fds=[reading]) as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        assert not _gone(pid, within_s=0.3)
        parent.kill()
        assert _gone(pid, within_s=5)
    os.close(reading)
    os.close(writing)


def test_child_whose_parent_is_another_by_now_ends_at_once() -> None:
    code = f"{LOAD_SERVER}; import sys, time; server['tie_to_parent'](1, sys.stdin.buffer); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE) as child:
        assert child.wait(5) == 0


def test_server_script_imports_nothing_of_the_package(tiny: ModelFile) -> None:
    code = f"{LOAD_SERVER}; import sys; print([name for name in sys.modules if name.startswith('autosynth')])"
    assert subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True).stdout == "[]\n"


@pytest.mark.model
def test_real_model_fills_a_schema_and_prefers_the_right_digit(embedded: EmbeddedModel) -> None:
    pull()
    running = embedded.start()
    schema = {
        "type": "object",
        "properties": {"capital": {"type": "string", "minLength": 3, "maxLength": 20}},
        "required": ["capital"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}
    body = {"messages": [{"role": "user", "content": "The capital of France, as JSON."}], "max_tokens": 40}
    answer = _ask(running, "/chat/completions", {**body, "temperature": 0, "response_format": form})
    assert json.loads(answer["choices"][0]["message"]["content"]) == {"capital": "Paris"}
    body = {"messages": [{"role": "user", "content": "What is 2 + 2? Answer with one digit."}], "max_tokens": 1}
    answer = _ask(running, "/chat/completions", {**body, "temperature": 0, "logprobs": True, "top_logprobs": 5})
    assert answer["choices"][0]["logprobs"]["content"][0]["top_logprobs"][0]["token"] == "4"


def _ask(running: RunningModel, route: str, body: dict[str, Any] | None = None) -> Any:
    request = urllib.request.Request(
        running.base_url + route,
        data=json.dumps(body).encode() if body else None,
        headers={"Authorization": f"Bearer {running.api_key}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)


def _gone(pid: int, *, within_s: float) -> bool:
    """Whether the process is no more, or a zombie that nobody has waited for, at the latest after so many seconds."""
    until = time.monotonic() + within_s
    while _exists(pid):
        if time.monotonic() >= until:
            return False
        time.sleep(0.02)
    return True


def _exists(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


@contextlib.contextmanager
def _parent(code: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    here = Path(__file__).parent
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(here), str(here.parents[1])])}
    with subprocess.Popen([sys.executable, "-c", code], env=env, stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        try:
            yield parent, int(parent.stdout.readline())
        finally:
            parent.kill()
