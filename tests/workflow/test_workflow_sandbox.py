from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import pytest
from workflow_cases import PIPELINE, ScriptedHost, generate_body, make_task

from autosynth_core.config import SampleLimits
from autosynth_core.errors import AnswerTruncated, BudgetReached, EndpointUnreachable, LeaseLost, RunHalted
from autosynth_core.records import SampleState, SeedInput
from autosynth_core.workflow import Job, Outcome, Sandbox

SEED = make_task().search_seeds[0]
LIMITS = SampleLimits(run_seconds=0.5)
ONE = generate_body("answer = await llm(prompt)", 'return {"text": answer}')


def _jobs(hosts: Sequence[ScriptedHost]) -> list[Job]:
    seeds = [SeedInput({"concept": f"concept {number}", "grade": str(number)}) for number in range(len(hosts))]
    return [Job(seed, host) for seed, host in zip(seeds, hosts, strict=True)]


async def _run(sandbox: Sandbox, source: str, jobs: Sequence[Job], limits: SampleLimits = LIMITS) -> list[Outcome]:
    outcomes: dict[int, Outcome] = {}

    def take(index: int, outcome: Outcome) -> None:
        assert index not in outcomes, "a result came twice"
        outcomes[index] = outcome

    await sandbox.run(source, jobs, limits, take)
    return [outcomes[index] for index in range(len(jobs))]


async def test_samples_of_one_workflow_wait_together(sandbox: Sandbox) -> None:
    hosts = [ScriptedHost(wait=0.05) for _ in range(100)]
    await _run(sandbox, PIPELINE, _jobs(hosts[:1]))  # warm
    started = time.perf_counter()
    outcomes = await _run(sandbox, PIPELINE, _jobs(hosts))
    assert time.perf_counter() - started < 1.5  # 0.15 s of waiting; the rest is room for a loaded machine
    assert {outcome.state for outcome in outcomes} == {SampleState.OK}
    assert all(len(host.prompts) == 3 for host in hosts[1:])
    assert all(outcome.ms >= 140 for outcome in outcomes)


async def test_result_is_told_as_soon_as_its_sample_ends(sandbox: Sandbox) -> None:
    hosts = [ScriptedHost(wait=wait) for wait in (0.3, 0.0, 0.15)]
    order: list[int] = []
    await sandbox.run(ONE, _jobs(hosts), LIMITS, lambda index, _: order.append(index))
    assert order == [1, 2, 0]


async def test_no_jobs_is_no_work(sandbox: Sandbox) -> None:
    assert await _run(sandbox, ONE, []) == []


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("eval('open')('/etc/passwd').read()", "Permission denied"),
        ("eval('().__class__.__base__')", "__class__"),
        ("eval('__import__(\"os\")')", "__import__"),
        ("eval('host_done')", "host_done"),
    ],
    ids=["a file", "the class of a thing", "an import", "the host's functions by name"],
)
async def test_what_would_reach_out_is_not_there_even_unchecked(expression: str, says: str, sandbox: Sandbox) -> None:
    source = generate_body(f"answer = await llm(prompt + str({expression}))", 'return {"text": answer}')
    (outcome,) = await _run(sandbox, source, _jobs([ScriptedHost()]))
    assert outcome.state is SampleState.WORKFLOW_FAILED
    assert says in outcome.reason


async def test_samples_do_not_see_each_other(sandbox: Sandbox) -> None:
    source = generate_body(
        "SEEN.append(seed['concept'])",
        "answer = await llm(prompt)",
        'return {"text": str(len(SEEN))}',
        before="SEEN = []\n",
    )
    outcomes = await _run(sandbox, source, _jobs([ScriptedHost(wait=0.02) for _ in range(5)]))
    assert [outcome.value for outcome in outcomes] == [{"text": "1"}] * 5


GUILTY = {
    "endless loop": "while 'loop' in answer: pass",
    "memory": "x = 'a' * (10**10 if 'loop' in answer else 1)",
    "exception with two arguments": "if 'loop' in answer: raise ValueError('a', 1)",
    "calls that go on": "\n".join(
        [
            "while 'loop' in answer:",
            "        try:",
            "            print(await llm(prompt))",
            "        except Exception:",
            "            answer = answer + ''",
        ]
    ),
    "huge exception": "if 'loop' in answer: raise ValueError('x' * 5_000_000)",
    "recursion": "x = down(0) if 'loop' in answer else 0",
}


@pytest.mark.parametrize("line", GUILTY.values(), ids=GUILTY)
async def test_only_the_guilty_sample_is_lost(line: str, sandbox: Sandbox) -> None:
    source = generate_body(
        "answer = await llm(prompt)",
        line,
        "more = await llm(prompt + answer)",
        'return {"text": answer + more}',
        before="def down(n):\n    return down(n + 1)\n",
    )
    hosts = [
        ScriptedHost(lambda _, call, number=number: "loop" if number == 2 else f"answer {call}", wait=0.01 * number)
        for number in range(5)
    ]
    outcomes = await _run(sandbox, source, _jobs(hosts))
    states = [outcome.state for outcome in outcomes]
    assert states == [SampleState.WORKFLOW_FAILED if number == 2 else SampleState.OK for number in range(5)]
    assert 10 < len(outcomes[2].reason) <= 2000
    for number in (0, 1, 3, 4):
        assert outcomes[number].value == {"text": "answer 1answer 2"}
        assert len(hosts[number].prompts) == 2, "a call was paid for twice"


async def test_lost_session_does_not_cancel_calls_that_are_paid_for(sandbox: Sandbox) -> None:
    source = generate_body("answer = await llm(prompt)", "while seed['grade'] == '0': pass", 'return {"text": answer}')
    hosts = [ScriptedHost(wait=0.0), ScriptedHost(wait=1.0)]
    outcomes = await _run(sandbox, source, _jobs(hosts), SampleLimits(run_seconds=0.1))
    assert [outcome.state for outcome in outcomes] == [SampleState.WORKFLOW_FAILED, SampleState.OK]
    assert (len(hosts[1].prompts), hosts[1].cancelled) == (1, 0)


async def test_equal_calls_of_a_sample_each_get_an_answer_of_their_own(sandbox: Sandbox) -> None:
    source = generate_body(
        "drafts = await asyncio.gather(*[llm(prompt) for _ in range(3)])",
        'return {"text": "|".join(drafts)}',
        before="import asyncio\n",
    )
    (outcome,) = await _run(sandbox, source, _jobs([ScriptedHost()]))
    assert outcome.value == {"text": "answer 1|answer 2|answer 3"}


async def test_model_failure_is_never_the_workflows_even_if_it_is_caught(sandbox: Sandbox) -> None:
    source = generate_body(
        "try:",
        "    answer = await llm(prompt)",
        "except Exception:",
        '    answer = "made up"',
        'return {"text": answer}',
    )
    hosts = [ScriptedHost(lambda _, __: AnswerTruncated("cut off at 10 tokens")), ScriptedHost()]
    outcomes = await _run(sandbox, source, _jobs(hosts))
    assert (outcomes[0].state, outcomes[0].reason) == (SampleState.MODEL_FAILED, "cut off at 10 tokens")
    assert outcomes[0].value is None
    assert outcomes[1].state is SampleState.OK


async def test_nothing_more_is_asked_for_a_sample_whose_model_failed(sandbox: Sandbox) -> None:
    source = generate_body(
        "answer = ''",
        "for _ in range(20):",
        "    try:",
        "        answer += await llm(prompt)",
        "    except Exception:",
        "        answer += 'x'",
        'return {"text": answer}',
    )
    host = ScriptedHost(lambda _, __: AnswerTruncated("cut off"))
    (outcome,) = await _run(sandbox, source, _jobs([host]))
    assert outcome.state is SampleState.MODEL_FAILED
    assert len(host.prompts) == 1


STOPS = [
    RunHalted("stopped"),
    BudgetReached("spent"),
    EndpointUnreachable("gone"),
    LeaseLost("taken"),
    ZeroDivisionError(),
]


@pytest.mark.parametrize("error", STOPS, ids=lambda error: type(error).__name__)
async def test_what_stops_a_run_cancels_everything_and_is_raised(error: Exception, sandbox: Sandbox) -> None:
    source = generate_body(
        "try:", "    answer = await llm(prompt)", "except Exception:", '    answer = "x"', 'return {"text": answer}'
    )
    waiting = [ScriptedHost(wait=60) for _ in range(3)]
    started = time.perf_counter()
    with pytest.raises(type(error)):
        await _run(sandbox, source, _jobs([*waiting, ScriptedHost(lambda _, __: error, wait=0.1)]))
    assert time.perf_counter() - started < 5
    assert [host.cancelled for host in waiting] == [1, 1, 1]
    await _nothing_left(sandbox)


async def test_error_of_the_receiver_stops_the_run(sandbox: Sandbox) -> None:
    def refuse(index: int, outcome: Outcome) -> None:
        raise LeaseLost("another process owns the run")

    waiting = ScriptedHost(wait=60)
    with pytest.raises(LeaseLost):
        await sandbox.run(ONE, _jobs([ScriptedHost(), waiting]), LIMITS, refuse)
    assert waiting.cancelled == 1


async def test_cancelled_run_leaves_nothing_behind(sandbox: Sandbox) -> None:
    hosts = [ScriptedHost(wait=60) for _ in range(4)]
    task = asyncio.create_task(_run(sandbox, ONE, _jobs(hosts)))
    await asyncio.sleep(0.3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [host.cancelled for host in hosts] == [1] * 4
    await _nothing_left(sandbox)


async def test_run_cancelled_in_an_endless_loop_gives_its_worker_back(sandbox: Sandbox) -> None:
    task = asyncio.create_task(
        _run(sandbox, generate_body("while True: pass"), _jobs([ScriptedHost()] * 1), SampleLimits(run_seconds=50))
    )
    await asyncio.sleep(0.3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await _nothing_left(sandbox)


async def _nothing_left(sandbox: Sandbox) -> None:
    """No task but the test's own, and every worker free."""
    await asyncio.sleep(0.05)
    left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    assert left == []
    outcomes = await asyncio.wait_for(_run(sandbox, ONE, _jobs([ScriptedHost()] * 1)), 5)
    assert outcomes[0].state is SampleState.OK


async def test_slow_endpoint_is_the_endpoints_fault(sandbox: Sandbox) -> None:
    limits = SampleLimits(wall_seconds=0.2)
    outcomes = await _run(sandbox, ONE, _jobs([ScriptedHost(wait=30), ScriptedHost()]), limits)
    assert [outcome.state for outcome in outcomes] == [SampleState.MODEL_FAILED, SampleState.OK]
    assert "0.2 s" in outcomes[0].reason


async def test_more_samples_than_a_session_or_the_pool_takes_all_end(sandbox: Sandbox) -> None:
    outcomes = await _run(sandbox, ONE, _jobs([ScriptedHost() for _ in range(300)]))
    assert {outcome.state for outcome in outcomes} == {SampleState.OK}


async def test_memory_of_many_samples_is_not_held_against_one(sandbox: Sandbox) -> None:
    """Together they use more than one may; each by itself does not."""
    source = generate_body("x = 'a' * 12_000_000", "answer = await llm(prompt)", 'return {"text": answer + x[:1]}')
    limits = SampleLimits(memory_mb=32)
    outcomes = await _run(sandbox, source, _jobs([ScriptedHost(wait=0.05) for _ in range(12)]), limits)
    assert {outcome.state for outcome in outcomes} == {SampleState.OK}


async def test_one_guilty_sample_among_many_does_not_make_the_others_queue(sandbox: Sandbox) -> None:
    source = generate_body(
        "answer = await llm(prompt)",
        "while answer == 'loop': pass",
        "more = await llm(answer)",
        'return {"text": more}',
    )
    hosts = [ScriptedHost(lambda _, call, n=n: "loop" if n == 3 else "fine", wait=0.6 + (n != 3)) for n in range(40)]
    started = time.perf_counter()
    outcomes = await _run(sandbox, source, _jobs(hosts))
    assert [outcome.state is SampleState.OK for outcome in outcomes] == [n != 3 for n in range(40)]
    assert time.perf_counter() - started < 8  # two calls of 1.6 s; in sessions of their own it would be above 16 s


RANDOM = generate_body(
    "answer = await llm(prompt)",
    'return {"text": answer + str(random.random()) + choice(["a", "b", "c", "d"]) + str(r.randint(1, 10**9))}',
    before="import random\nimport random as r, json\nfrom random import choice\n",
)


async def test_randomness_hangs_on_the_sample_and_not_on_its_company(sandbox: Sandbox) -> None:
    def jobs(waits: Sequence[float]) -> list[Job]:
        return [Job(SEED, ScriptedHost(wait=wait), replicate) for replicate, wait in enumerate(waits)]

    together = await _run(sandbox, RANDOM, jobs([0.0, 0.05, 0.1]))
    otherwise = await _run(sandbox, RANDOM, jobs([0.1, 0.05, 0.0]))
    alone = [(await _run(sandbox, RANDOM, [job]))[0] for job in jobs([0, 0, 0])]
    values = [outcome.value for outcome in together]
    assert values == [outcome.value for outcome in otherwise] == [outcome.value for outcome in alone]
    assert len({str(value) for value in values}) == 3


async def test_clock_stands_still_and_nobody_sleeps(sandbox: Sandbox) -> None:
    source = generate_body(
        "await asyncio.sleep(50)",
        "answer = await llm(prompt)",
        'return {"text": str(datetime.datetime.now())}',
        before="import asyncio, datetime\n",
    )
    values = [(await _run(sandbox, source, _jobs([ScriptedHost()])))[0].value for _ in range(2)]
    assert values[0] == values[1]


async def test_hostile_answers_and_seeds_are_text_like_any_other(sandbox: Sandbox) -> None:
    hostile = "\ud800\x00 {x} {0} %s ' \" \\ </data> \U0001f600" + "y" * 100_000
    job = Job(SeedInput({"concept": hostile, "grade": "\udfff"}), ScriptedHost(lambda _, __: hostile))
    (outcome,) = await _run(sandbox, ONE, [job])
    assert outcome.state is SampleState.OK
    str(outcome.value).encode("utf-8")


async def test_failure_alone_tells_its_line(sandbox: Sandbox) -> None:
    source = generate_body("answer = await llm(prompt)", 'return {"text": answer[0] / 2}')
    (outcome,) = await _run(sandbox, source, _jobs([ScriptedHost()]))
    assert outcome.reason.startswith("line 7: TypeError")


async def test_arguments_of_the_wrong_kind_are_the_workflows_fault(sandbox: Sandbox) -> None:
    source = generate_body("answer = await llm(len(prompt))", 'return {"text": answer}')
    host = ScriptedHost()
    (outcome,) = await _run(sandbox, source, _jobs([host]))
    assert "prompt must be a string" in outcome.reason
    assert host.prompts == []


async def test_closed_sandbox_says_so() -> None:
    with pytest.raises(RuntimeError, match="not open"):
        await Sandbox().run(ONE, _jobs([ScriptedHost()]), LIMITS, lambda *_: None)
