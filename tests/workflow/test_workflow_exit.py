from __future__ import annotations

import subprocess
import sys

import pytest

PLAIN = """
import asyncio
from autosynth_core.workflow import Sandbox

async def main():
    async with Sandbox() as sandbox:
        await sandbox.type_check("x = 1")

"""

ENDINGS = {
    "under asyncio.run": PLAIN + "asyncio.run(main())",
    "with the loop in a thread": PLAIN
    + "import threading\nt = threading.Thread(target=asyncio.run, args=(main(),))\nt.start()\nt.join()",
}


@pytest.mark.parametrize("script", ENDINGS.values(), ids=ENDINGS)
def test_program_that_closed_its_sandbox_exits_with_status_0(script: str) -> None:
    """Without the closing wait about every fifth of these aborts with status 134."""
    runs = [subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True) for _ in range(6)]
    assert [(run.communicate(timeout=60)[1], run.returncode) for run in runs] == [("", 0)] * 6
