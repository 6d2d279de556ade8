"""The few lines of Python that run workflows inside the sandbox, and how their randomness is made repeatable.

Owns what happens on the far side of the sandbox's wall; ``sandbox`` owns this side. Each sample gets a namespace of its
own by ``exec``, which has no way to the driver's names, to the host's, or to another sample's. Values cross the wall as
JSON text: so they are plain, finite, measured, and paid for with the sample's own memory.
"""

from __future__ import annotations

import ast

from autosynth_core.workflow.contract import DEFAULT_MAX_TOKENS, DEFAULT_TEMPERATURE
from autosynth_core.workflow.syntax import parse, replace_statements

CALL = "host_call"
DONE = "host_done"
MAX_JSON = 2_000_000  # characters of one value that crosses the wall; a prompt at its limit, escaped, is 1.2 million
_RANDOM = "_random_of_this_sample"

_COMMON = f"""
import asyncio, json, random

class Randomness:
    pass

def randomness(seed):
    source, lent = random.Random(seed), Randomness()
    lent.Random = random.Random
    lent.betavariate = lambda *a, **k: source.betavariate(*a, **k)
    lent.choice = lambda *a, **k: source.choice(*a, **k)
    lent.choices = lambda *a, **k: source.choices(*a, **k)
    lent.expovariate = lambda *a, **k: source.expovariate(*a, **k)
    lent.gauss = lambda *a, **k: source.gauss(*a, **k)
    lent.getrandbits = lambda *a, **k: source.getrandbits(*a, **k)
    lent.randint = lambda *a, **k: source.randint(*a, **k)
    lent.random = lambda *a, **k: source.random(*a, **k)
    lent.randrange = lambda *a, **k: source.randrange(*a, **k)
    lent.sample = lambda *a, **k: source.sample(*a, **k)
    lent.seed = lambda *a, **k: source.seed(*a, **k)
    lent.shuffle = lambda *a, **k: source.shuffle(*a, **k)
    lent.triangular = lambda *a, **k: source.triangular(*a, **k)
    lent.uniform = lambda *a, **k: source.uniform(*a, **k)
    return lent

def pack(what, value):
    text = json.dumps(value)
    if len(text) > {MAX_JSON}:
        raise ValueError(what + " is too large")
    return text

def lend(index):
    async def llm(
        prompt, *, system=None, temperature={DEFAULT_TEMPERATURE}, max_tokens={DEFAULT_MAX_TOKENS}
    ):
        asked = {{"prompt": prompt, "system": system, "temperature": temperature, "max_tokens": max_tokens}}
        return await {CALL}(index, "llm", pack("the prompt", asked))

    async def llm_json(
        prompt, *, schema, system=None, temperature={DEFAULT_TEMPERATURE}, max_tokens={DEFAULT_MAX_TOKENS}
    ):
        asked = {{
            "prompt": prompt, "schema": schema, "system": system, "temperature": temperature, "max_tokens": max_tokens
        }}
        return json.loads(await {CALL}(index, "llm_json", pack("the prompt", asked)))

    async def chat(messages, *, temperature={DEFAULT_TEMPERATURE}, max_tokens={DEFAULT_MAX_TOKENS}):
        asked = {{"messages": messages, "temperature": temperature, "max_tokens": max_tokens}}
        return await {CALL}(index, "chat", pack("the list of messages", asked))

    return {{"llm": llm, "llm_json": llm_json, "chat": chat}}

async def make(job):
    names = lend(job["index"])
    names["{_RANDOM}"] = randomness(job["random"])
    names["__name__"] = "workflow"
    exec(workflow_source, names)
    value = await names["generate"](job["seed"])
    await {DONE}(job["index"], True, pack("the result", value))
"""

ALONE = (
    _COMMON
    + """
for job in jobs:
    await make(job)
"""
)
"""One sample, whose exception ends the session: so its traceback, with line numbers, reaches the host."""

SHARED = (
    _COMMON
    + f"""
async def guarded(job):
    try:
        await make(job)
    except BaseException as error:
        await {DONE}(job["index"], False, type(error).__name__ + ": " + str(error)[:2000])

await asyncio.gather(*[guarded(job) for job in jobs])
"""
)
"""Many samples at once, each of whose exceptions is its own. Limits still end the session for all."""


def with_own_randomness(source: str) -> str:
    """``source`` with its imports of ``random`` bound to the sample's own generator, line numbers kept.

    The module's one state would be drawn from in whatever order the samples' answers happen to arrive.
    """
    imports = [node for node in ast.walk(parse(source)) if isinstance(node, ast.Import | ast.ImportFrom)]
    bound = [(node, _bound(node)) for node in imports]
    return replace_statements(source, [(node, text) for node, text in bound if text is not None])


def _bound(node: ast.Import | ast.ImportFrom) -> str | None:
    """The statement that takes an import's place; None when it is of other modules only."""
    if isinstance(node, ast.ImportFrom):
        if node.module != "random" or node.level:
            return None
        pairs = [(alias.asname or alias.name, f"{_RANDOM}.{alias.name}") for alias in node.names]
    else:
        if all(alias.name != "random" for alias in node.names):
            return None
        pairs = [(alias.asname or "random", _RANDOM) for alias in node.names if alias.name == "random"]
    others = [] if isinstance(node, ast.ImportFrom) else [alias for alias in node.names if alias.name != "random"]
    kept = f"{ast.unparse(ast.Import(others))}; " if others else ""
    targets, values = zip(*pairs, strict=True)
    if len(pairs) == 1:
        return f"{kept}{targets[0]} = ({values[0]})"
    return f"{kept}{', '.join(targets)} = ({', '.join(values)})"
