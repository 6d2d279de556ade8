from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from workflow_cases import PIPELINE, make_task

from autosynth_core.errors import InputError
from autosynth_core.records import FieldKind, OutputField, SeedInput, Task
from autosynth_core.workflow import export_script, plain_workflow

Reply = Callable[[dict[str, Any]], tuple[int, str]]


@pytest.fixture
def endpoint() -> Iterator[tuple[str, list[dict[str, Any]], list[Reply]]]:
    """A tiny server that speaks the OpenAI protocol: its URL, what it was asked, and how it replies."""
    asked: list[dict[str, Any]] = []
    replies: list[Reply] = [lambda _: (200, "an answer")]

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append(request)
            status, text = replies[0](request)
            message = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
            body = {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [message]}
            data = json.dumps(body if status == 200 else {"error": {"message": text}}).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1", asked, replies
    server.shutdown()
    thread.join()
    server.server_close()


def _run(
    folder: Path, source: str, task: Task, url: str, *arguments: str, stdin: str = ""
) -> tuple[int, list[Any], str]:
    script = folder / "workflow.py"
    script.write_text(export_script(source, task), encoding="utf-8")
    environment = {"OPENAI_BASE_URL": url, "OPENAI_API_KEY": "k", "PATH": os.environ["PATH"], "PYTHONUTF8": "1"}
    command = [sys.executable, str(script), "--model", "m", *arguments]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60, env=environment, cwd=folder)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


SEEDS = [{"concept": "the cell \U0001f600", "grade": "7"}, {"concept": "{atom}", "grade": "9"}]


def test_exported_pipeline_makes_a_sample_a_seed(endpoint: Any, tmp_path: Path) -> None:
    url, asked, _ = endpoint
    lines = "\n".join(json.dumps(seed) for seed in SEEDS) + "\n\n"
    status, results, errors = _run(tmp_path, PIPELINE, make_task(), url, stdin=lines)
    assert (status, errors) == (0, "")
    assert results == [{"seed": seed, "output": {"text": "an answer"}} for seed in SEEDS]
    assert len(asked) == 6
    assert sorted(request["temperature"] for request in asked) == [0.2, 0.2, 0.7, 0.7, 0.7, 0.7]
    assert "Explain {atom} to grade 9." in [request["messages"][0]["content"] for request in asked]


DIALOGUE = make_task(OutputField("title", ""), OutputField("dialogue", "", FieldKind.TURNS), title='"""\n\\ {x}')
TALK = {"title": "t", "dialogue": [{"speaker": "a", "text": "b"}, {"speaker": "c", "text": "d"}]}


@pytest.mark.parametrize("schemas", [True, False], ids=["an endpoint with schemas", "an endpoint without schemas"])
def test_exported_json_is_parsed_and_asked_for_again(schemas: bool, endpoint: Any, tmp_path: Path) -> None:
    url, asked, replies = endpoint

    def reply(request: dict[str, Any]) -> tuple[int, str]:
        if not schemas and "response_format" in request:
            return 400, "response_format is not supported"
        return 200, "no JSON" if len(asked) < 3 else f"```json\n{json.dumps(TALK)}\n```"

    replies[0] = reply
    source = "from __future__ import annotations\n" + plain_workflow(DIALOGUE)
    status, results, errors = _run(tmp_path, source, DIALOGUE, url, "--seed", json.dumps(SEEDS[0]))
    if schemas:
        assert (status, results) == (1, [{"seed": SEEDS[0], "error": "ValueError: substring not found"}])
        status, results, errors = _run(tmp_path, source, DIALOGUE, url, "--seed", json.dumps(SEEDS[0]))
    assert (status, results, errors) == (0, [{"seed": SEEDS[0], "output": TALK}], "")


def test_one_samples_failure_is_told_and_costs_no_other(endpoint: Any, tmp_path: Path) -> None:
    url, _, replies = endpoint
    replies[0] = lambda request: (404, "gone") if "atom" in str(request) else (200, "fine")
    lines = "\n".join(map(json.dumps, SEEDS))
    status, results, _ = _run(tmp_path, PIPELINE, make_task(), url, "--parallel", "1", stdin=lines)
    assert status == 1
    assert results[0]["output"] == {"text": "fine"}
    assert "NotFoundError" in results[1]["error"]


@pytest.mark.parametrize("seed", ["{", "[]", '{"concept": "x"}'], ids=["no JSON", "no object", "a field is missing"])
def test_bad_seed_gets_one_sentence(seed: str, tmp_path: Path) -> None:
    status, results, errors = _run(tmp_path, PIPELINE, make_task(), "http://127.0.0.1:9/v1", "--seed", seed)
    assert (status, results) == (2, [])
    assert "a seed input" in errors
    assert "Traceback" not in errors


HARMFUL = {
    "an import": "import os\n" + PIPELINE,
    "code at the top": "print(1)\n" + PIPELINE,
    "a call at the top": 'X = __import__("os").system("touch harmed")\n' + PIPELINE,
    "a file": PIPELINE.replace("await llm(", "open('harmed', 'w') or await llm(", 1),
    "the client": PIPELINE.replace("    return draft", "    return _studio_lent.client"),
    "no workflow": "X = 1\n",
}


@pytest.mark.parametrize("source", HARMFUL.values(), ids=HARMFUL)
def test_a_recipe_that_preflight_would_stop_is_not_exported(source: str) -> None:
    with pytest.raises(InputError, match=r"^This recipe can't be taken away \(.*\); choose another\.$"):
        export_script(source, make_task())


@pytest.mark.parametrize("source", ["def (((", "", "x = '\0'", "x = '\ud800'", "(" * 5000], ids=repr)
def test_a_recipe_that_is_no_program_is_not_exported(source: str) -> None:
    with pytest.raises(InputError):
        export_script(source, make_task())


NASTY = '+__import__("os").system("touch harmed")+'


def test_names_and_titles_are_never_code(tmp_path: Path) -> None:
    seeds = (SeedInput({"concept": "a", "grade": "b", "<output_fields>": "c", "<workflow>": "d", "'\n1/0\n'": "e"}),)
    task = make_task(OutputField(NASTY, "<seed_fields>"), search_seeds=seeds, title="<workflow> <seed_fields>")
    script = export_script(PIPELINE, task)
    tree = ast.parse(script)
    fields = {
        each.targets[0].id: ast.literal_eval(each.value)
        for each in tree.body
        if isinstance(each, ast.Assign) and isinstance(each.targets[0], ast.Name) and "_FIELDS" in each.targets[0].id
    }
    assert fields == {"_STUDIO_SEED_FIELDS": sorted(seeds[0].values), "_STUDIO_OUTPUT_FIELDS": {NASTY: False}}
    assert script.count("async def generate(") == 1


@pytest.mark.parametrize(
    "title",
    [
        "Decoding: phonics",
        "coding: utf-7 +AAo-import os",
        "a\rimport os",
        "a\x0cimport os",
        "\x85x\u2028import os",
        "\0",
        "",
    ],
    ids=ascii,
)
def test_a_title_is_a_comment_and_nothing_else(title: str, endpoint: Any, tmp_path: Path) -> None:
    task = make_task(title=title)
    assert ast.dump(ast.parse(export_script(PIPELINE, task).encode())) == ast.dump(
        ast.parse(export_script(PIPELINE, make_task()))
    )
    url, _, _ = endpoint
    status, results, errors = _run(tmp_path, PIPELINE, task, url, "--seed", json.dumps(SEEDS[0]))
    assert (status, len(results), errors) == (0, 1, "")


def test_a_recipes_own_helpers_are_not_replaced(endpoint: Any, tmp_path: Path) -> None:
    url, _, _ = endpoint
    helpers = "\n\ndef _messages(text):\n    return text\n\n\ndef _checked(text):\n    return _messages(text) + '!'\n"
    source = PIPELINE.replace("    return draft\n", '    return {"text": _checked(draft["text"])}\n') + helpers
    _, results, _ = _run(tmp_path, source, make_task(), url, "--seed", json.dumps(SEEDS[0]))
    assert results == [{"seed": SEEDS[0], "output": {"text": "an answer!"}}]
