from __future__ import annotations

import ast

import pytest

from autosynth_core.workflow.driver import with_own_randomness
from autosynth_core.workflow.syntax import without_future

RANDOM = {
    "plain": "import random\nx = 1",
    "renamed": "import random as r; x = r.random()\ny = 2",
    "with others": "import json, random as r, re\nx = 1",
    "names": "from random import choice, shuffle as mix\nx = 1",
    "names over lines": "from random import (\n    choice,\n    # why\n    mix,\n); x = 'é'; import random\ny = 3",
    "in a function": "def f():\n    'é'; import random\n    return random\nx = 1",
    "windows line ends": "import json\r\nfrom random import (\r\n  choice,\r\n)\r\nx = 1",
}


@pytest.mark.parametrize("source", RANDOM.values(), ids=RANDOM)
def test_own_randomness_takes_the_modules_place_and_moves_no_line(source: str) -> None:
    bound = with_own_randomness(source)
    before, after = ast.parse(source), ast.parse(bound)
    assert before.body[-1].lineno == after.body[-1].lineno
    assert ast.unparse(before.body[-1]) == ast.unparse(after.body[-1])
    imported = [node for node in ast.walk(after) if isinstance(node, ast.Import | ast.ImportFrom)]
    assert not any("random" in ast.unparse(node) for node in imported)


def test_source_without_random_stays_as_it_is() -> None:
    source = "import json\n# import random\nx = 'import random'\n"
    assert with_own_randomness(source) == source


def test_future_imports_leave_no_trace_but_their_line() -> None:
    source = '"""Doc."""\nfrom __future__ import (\n    annotations,\n)\nx = 1\n'
    tree = ast.parse(without_future(source))
    assert tree.body[-1].lineno == 5
    assert "__future__" not in ast.unparse(tree)
