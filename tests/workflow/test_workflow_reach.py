"""What a recipe may name, for it is run as a person's own code once it was taken away."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest
from workflow_cases import PIPELINE

from autosynth_core.workflow.reach import check_reach

REFUSED = {
    "a builtin that imports": "X = __import__('os')",
    "a builtin that runs": "X = eval('1')",
    "a builtin under another name": "run = exec",
    "a parameter's name to hide behind": "def f(open):\n    return open",
    "the loader": "X = __loader__",
    "builtins": "X = __builtins__",
    "a module's module": "import json\nX = json.codecs",
    "a module's module by import": "from random import _os",
    "a process": "import asyncio\nX = asyncio.create_subprocess_shell",
    "a module handed about": "import json\nX = [json]",
    "a module under another name": "import asyncio as a\nX = a.subprocess",
    "the class of a thing": "X = ().__class__",
    "a frame": "X = f().cr_frame",
    "the loop of a future": "X = f().get_loop()",
    "getattr by a dunder name": "X = getattr(1, '__class__')",
    "getattr by a name made up": "X = getattr(1, '__cla' + 'ss__')",
    "getattr as a value": "g = getattr",
    "setattr by a dunder name": "setattr(f, '__code__', 1)",
    "a class by hand": "X = type('X', (), {})",
    "the class of classes": "X = type(type(1))",
    "a class called": "X = type(1)('1')",
    "a metaclass": "class A(metaclass=f):\n    pass",
    "annotations set by hand": "class A:\n    __annotations__ = {}",
    "annotations set by a pattern": "match 1:\n    case __annotations__:\n        pass",
    "annotations set by an exception": "try:\n    pass\nexcept ValueError as __annotations__:\n    pass",
    "a pattern that looks inside": "match 1:\n    case object(__class__=c):\n        pass",
    "a method that builds": "class A:\n    def __reduce__(self):\n        return f, ()",
    "the script's own names": "async def f():\n    return _studio_lent.client",
    "the script's own names in capitals": "_STUDIO_SEED_FIELDS = []",
    "the script's own names as globals": "def f():\n    global _studio_lent",
    "letters that Python reads as others": "X = \uff45\uff56\uff41\uff4c('1')",
}


@pytest.mark.parametrize("source", REFUSED.values(), ids=REFUSED)
def test_a_name_that_leads_out_is_refused_with_its_line(source: str) -> None:
    reason = check_reach(ast.parse(source))
    assert reason.startswith("line ")
    assert "can't be used here" in reason


ALLOWED = {
    "what recipes are made of": PIPELINE,
    "modules": "import json, re as r\nfrom math import e\nX = (json.dumps(e), r.compile('a'))",
    "looking at a class": "def f(x):\n    return type(x).__name__, type(x) is str, f'{type(x)}', isinstance(x, str)",
    "a plain class": "class A:\n    def __init__(self):\n        self._x = 1\n\n    def x(self):\n        return self",
    "getattr by name": "def f(x):\n    return getattr(x, 'text', '')",
    "names like modules": "def f(seed):\n    return {'json': seed['type'], 'open': 1}",
    "the future": "from __future__ import annotations",
}


@pytest.mark.parametrize("source", ALLOWED.values(), ids=ALLOWED)
def test_what_recipes_do_is_let_through(source: str) -> None:
    assert check_reach(ast.parse(source)) == ""


def test_the_experts_workflows_are_let_through() -> None:
    files = (Path(__file__).parents[2] / "data" / "tasks").glob("*.json")
    experts = [json.loads(file.read_text()).get("expert_workflow") for file in files]
    assert len(list(filter(None, experts))) >= 4
    assert [check_reach(ast.parse(source)) for source in experts if source] == [""] * len(list(filter(None, experts)))
