"""What the embedded model does on this machine: loading, speed, the OpenAI features, the prompt cache, memory.

    python benchmarks/embedded_model.py [--model NAME] [--json]

Fetches the model when it is not here. Takes two to four minutes on two cores. The last line of ``--json`` is one
JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from autosynth_core.llm.embedded import CALL_EXTRA, DEFAULT_MODEL, EmbeddedModel, RunningModel, pull

QUESTION = "Explain to a pupil of ten how a cell is like a city, in about 150 words. Variant {number}."
SAMPLE = " ".join(
    f"Sentence {number}: the mitochondria are like power plants, since they turn food into energy for the whole city."
    for number in range(40)
)
METRICS = ["Are the parts mapped one to one?", "Are the limits told?", "Would a pupil follow?", "Is it true?"]
SCHEMA = {
    "type": "object",
    "properties": {
        "metrics": {
            "type": "array",
            "minItems": 2,
            "maxItems": 2,
            "items": {
                "type": "object",
                "properties": {
                    "name": {"type": "string", "minLength": 3, "maxLength": 40},
                    "description": {"type": "string", "minLength": 20, "maxLength": 160},
                },
                "required": ["name", "description"],
                "additionalProperties": False,
            },
        }
    },
    "required": ["metrics"],
    "additionalProperties": False,
}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--model", default=DEFAULT_MODEL)
    arguments.add_argument("--json", action="store_true", help="end with one JSON object")
    chosen = arguments.parse_args()
    pull(chosen.model)
    embedded = EmbeddedModel()
    try:
        figures = _measure(embedded, chosen.model)
    finally:
        embedded.stop()
    for name, value in figures.items():
        print(f"{name:36} {value}")
    if chosen.json:
        print(json.dumps(figures))


def _measure(embedded: EmbeddedModel, model: str) -> dict[str, Any]:
    running, load_s = _timed(lambda: embedded.start(model))
    figures: dict[str, Any] = {"model": model, "cores": os.cpu_count(), "load_s": load_s}
    figures["memory_loaded_mb"] = _memory_mb(running)
    figures |= _speed(running) | _schema(running) | _verdicts(running) | _slots(running)
    figures["memory_peak_mb"] = _memory_mb(running, "VmHWM")
    return figures


def _speed(running: RunningModel) -> dict[str, Any]:
    """Tokens a second of answers, one request alone and four at once."""

    def write(number: int) -> int:
        return int(_chat(running, QUESTION.format(number=number), max_tokens=120)["usage"]["completion_tokens"])

    one, one_s = _timed(lambda: write(0))
    with ThreadPoolExecutor(4) as pool:
        four, four_s = _timed(lambda: sum(pool.map(write, range(1, 5))))
    return {"tokens_s_one": round(one / one_s, 1), "tokens_s_four": round(four / four_s, 1)}


def _schema(running: RunningModel) -> dict[str, Any]:
    form = {"type": "json_schema", "json_schema": {"name": "metrics", "schema": SCHEMA, "strict": True}}
    prompt = "Write two metrics, as JSON, to judge analogies for pupils."
    answer, took = _timed(lambda: _chat(running, prompt, max_tokens=300, response_format=form))
    try:
        filled = len(json.loads(_text(answer))["metrics"]) == 2
    except ValueError:
        filled = False
    return {"json_schema": filled, "json_schema_s": took}


def _verdicts(running: RunningModel) -> dict[str, Any]:
    """One-token verdicts on one long sample: the first reads it, the next ones find it in the prompt cache."""
    prompts = [f"A sample:\n{SAMPLE}\n\nMetric: {metric}\nScore it from 1 to 5 with one digit." for metric in METRICS]
    timed = [_timed(lambda prompt=prompt: _digit(running, prompt)) for prompt in prompts]
    _digit(running, prompts[0])  # so that both of the next find the same in the cache: it moves the second decimal
    plain, penalised = (_digit(running, prompts[0], repeat_penalty=penalty) for penalty in (1.0, 1.5))
    return {
        "verdict_prompt_tokens": timed[0][0]["usage"]["prompt_tokens"],
        "verdict_first_s": timed[0][1],
        "verdict_next_s": [took for _, took in timed[1:]],
        "verdict_next_cached_tokens": [_cached(answer) for answer, _ in timed[1:]],
        "logprobs_returned": len(_alternatives(plain)),
        "logprobs_ignore_repeat_penalty": _alternatives(plain) == _alternatives(penalised),
    }


def _slots(running: RunningModel) -> dict[str, Any]:
    """Whether a slot can be chosen, and whether a prompt that lost its slot is still found."""
    long = [f"Sample {number}.\n{SAMPLE}\n\nScore it from 1 to 5 with one digit." for number in range(6)]
    for number in (0, 1):
        _digit(running, long[number], id_slot=number)
    same, same_s = _timed(lambda: _digit(running, long[0], id_slot=0))
    other, other_s = _timed(lambda: _digit(running, long[1], id_slot=2))
    for prompt in long[2:]:
        _digit(running, prompt, id_slot=0)
    back, back_s = _timed(lambda: _digit(running, long[2]))
    return {
        "chosen_slot_cached_tokens": _cached(same),
        "chosen_slot_s": same_s,
        "other_slot_cached_tokens": _cached(other),
        "other_slot_s": other_s,
        "evicted_prompt_cached_tokens": _cached(back),
        "evicted_prompt_s": back_s,
    }


def _digit(running: RunningModel, prompt: str, **extra: object) -> Any:
    return _chat(running, prompt, max_tokens=1, temperature=0, logprobs=True, top_logprobs=20, **extra)


def _chat(running: RunningModel, prompt: str, **parameters: object) -> Any:
    body = {"model": running.model_name, "messages": [{"role": "user", "content": prompt}], **CALL_EXTRA, **parameters}
    request = urllib.request.Request(
        f"{running.base_url}/chat/completions",
        data=json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {running.api_key}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=300) as response:
        return json.load(response)


def _text(answer: Any) -> str:
    return str(answer["choices"][0]["message"]["content"])


def _alternatives(answer: Any) -> dict[str, float]:
    choices = answer["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
    return {choice["token"]: round(choice["logprob"], 2) for choice in choices}


def _cached(answer: Any) -> int:
    """Prompt tokens that were not read anew."""
    return int(answer["timings"]["cache_n"])


def _memory_mb(running: RunningModel, key: str = "VmRSS") -> int | None:
    """Resident memory in MB; the mapped file counts. None where /proc is not there."""
    try:
        lines = Path(f"/proc/{running.pid}/status").read_text().splitlines()
    except OSError:
        return None
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith(key))


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    started = time.perf_counter()
    result = work()
    return result, round(time.perf_counter() - started, 2)


if __name__ == "__main__":
    main()
