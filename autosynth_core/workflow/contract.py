"""What a workflow is: the functions it is lent, the modules it may import, and how to tell a model so.

Owns the contract's words and names. That a text keeps to it is checked in ``preflight``; that it can't do otherwise is
seen to in ``sandbox``.
"""

from __future__ import annotations

from autosynth_core.prompts import render
from autosynth_core.records import FieldKind, OutputField, Task

ENTRY = "generate"
HOST_FUNCTIONS = ("llm", "llm_json", "chat")
DEFAULT_TEMPERATURE = 0.7
DEFAULT_MAX_TOKENS = 1024
MAX_TEMPERATURE = 2.0
MAX_MAX_TOKENS = 8192
MAX_PROMPT_CHARS = 200_000

ALLOWED_MODULES = frozenset(
    {
        "__future__",
        "asyncio",
        "collections",
        "copy",
        "dataclasses",
        "datetime",
        "functools",
        "hashlib",
        "itertools",
        "json",
        "math",
        "random",
        "re",
        "typing",
    }
)
"""All of them exist in Monty, and none reaches anything outside it."""

STUBS = """
from typing import Any

seed: dict[str, str]

async def llm(
    prompt: str, *, system: str | None = None, temperature: float = 0.7, max_tokens: int = 1024
) -> str: ...

async def llm_json(
    prompt: str,
    *,
    schema: dict[str, Any],
    system: str | None = None,
    temperature: float = 0.7,
    max_tokens: int = 1024,
) -> dict[str, Any]: ...

async def chat(
    messages: list[dict[str, str]], *, temperature: float = 0.7, max_tokens: int = 1024
) -> str: ...
"""
"""What the type checker is told. The inputs belong here too, or they count as undefined."""


def contract_text(task: Task) -> str:
    """What a model that writes a workflow for ``task`` must know of the form, in plain words."""
    return render(
        "workflow_contract",
        seed_fields="\n".join(f'- seed["{name}"]' for name in task.seed_fields),
        output_fields="\n".join(_field_line(field) for field in task.output_fields),
        modules=", ".join(sorted(ALLOWED_MODULES - {"__future__"})),
    )


def _field_line(field: OutputField) -> str:
    kind = 'a list of at least two {"speaker": str, "text": str}' if field.kind is FieldKind.TURNS else "a string"
    return f'- "{field.name}": {kind}. {field.description}'.rstrip(". ") + "."
