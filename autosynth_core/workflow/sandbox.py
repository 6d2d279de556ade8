"""Where workflows run: Monty, a Python interpreter in worker processes that reaches nothing but what it is lent.

Owns the pool of workers, the limits of a sample, and the telling apart of who is at fault: a workflow (its sample is
``WORKFLOW_FAILED``), an endpoint (``MODEL_FAILED``), or neither (the error is raised and the run stops). What the host
functions do is the caller's business; so is whether a value is an output (``output``).

What is covered and what is not stands in docs/threat-model.md.
"""

from __future__ import annotations

import asyncio
import datetime
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import pydantic_monty

from autosynth_core.config import SampleLimits
from autosynth_core.errors import AnswerError, RunHalted
from autosynth_core.records import SampleState, SeedInput
from autosynth_core.workflow import driver
from autosynth_core.workflow.contract import STUBS
from autosynth_core.workflow.hostcall import Host, HostCall, read_call
from autosynth_core.workflow.output import clean
from autosynth_core.workflow.syntax import without_future

GROUP = 64  # samples of one session; together they get what one may use, so more would only meet the limits sooner
ALONE_AT_ONCE = 4  # sessions of one sample each; more on few cores would use up each other's time
CLOSING_WAIT = 0.15  # s; an interpreter that exits within 0.1 s of the pool's end aborts with status 134
_FINISHED_GRACE = 0.05  # s for a session to end by itself once all its samples are finished
_AFTER_END = 200  # calls a finished sample may still try before it costs its session
_TYPE_SECONDS = 5.0
_TOO_NESTED = (
    "Monty's parser takes the program for too deeply nested: in a module of more than 4 kB it counts brackets that are "
    "not closed, and dashes and stars, in prompts too; use fewer of them, or shorten the prompts"
)
_CLOCK = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)  # stands still: the same seed takes the same path


@dataclass(frozen=True, slots=True)
class Job:
    """One sample to make. ``replicate`` tells apart samples of one seed input, also in their randomness."""

    seed: SeedInput
    host: Host
    replicate: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job ended. ``value`` is what ``generate`` returned (parsed JSON), None unless ``state`` is OK."""

    state: SampleState
    value: object
    reason: str
    ms: int  # from the session's start, waiting for answers included


class Sandbox:
    """A pool of sandbox workers. Use as ``async with Sandbox() as sandbox``.

    ``processes`` caps the live workers; a session that waits for a model holds one (some 10 MB, no CPU).
    """

    def __init__(self, processes: int = 16) -> None:
        self._processes = processes
        self._pool: pydantic_monty.AsyncMonty | None = None
        self._alone = asyncio.Semaphore(min(ALONE_AT_ONCE, processes))

    async def __aenter__(self) -> Self:
        pool = pydantic_monty.AsyncMonty(max_processes=self._processes)
        await pool.__aenter__()
        self._pool = pool
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.__aexit__(kind, error, traceback)
            await asyncio.sleep(CLOSING_WAIT)

    async def type_check(self, source: str) -> str | None:
        """What Monty's parser and type checker hold against ``source``, a finding a line; None when nothing.

        The top level of the module is run, within limits and without host functions; how that ends is not reported.
        Raises SyntaxError when ``source`` is no Python at all.
        """
        limits: pydantic_monty.ResourceLimits = {"max_feed_duration_secs": _TYPE_SECONDS, "max_memory": 64_000_000}
        session = self._live_pool().checkout(
            script_name="workflow.py",
            limits=limits,
            type_check=True,
            type_check_stubs=STUBS,
            type_check_format="pylint",
        )
        try:
            async with session as live:
                await live.feed_run(without_future(source), print_callback=_drop_print)
        except pydantic_monty.MontyTypingError as error:
            return str(error).strip()
        except pydantic_monty.MontySyntaxError as error:
            return _TOO_NESTED if "too deeply nested" in str(error) else str(error).strip()
        except pydantic_monty.MontyRuntimeError as error:
            return _unsupported(error)
        except pydantic_monty.MontyCrashedError:
            return "the type checker gave up on this text; write it more simply"
        return None

    async def run(
        self, source: str, jobs: Sequence[Job], limits: SampleLimits, on_result: Callable[[int, Outcome], None]
    ) -> None:
        """Make every job's sample; call ``on_result(index, outcome)`` once for each, as each ends.

        Samples share sessions, and together get what one alone may use. When a session is lost by that, those of its
        samples that were running, not waiting, are made again in sessions of their own, and the others together.
        Calls already asked for are not asked again.

        Raises what a host function raised, other than AnswerError, and what ``on_result`` raised: at once, after
        everything in flight was cancelled.
        """
        batch = _Batch(driver.with_own_randomness(source), limits, on_result)
        samples = [_Sample(index, job) for index, job in enumerate(jobs)]
        groups = [samples[start : start + GROUP] for start in range(0, len(samples), GROUP)]
        work = [asyncio.ensure_future(self._run_group(batch, group)) for group in groups]
        try:
            await _until_done_or_aborted(work, batch.aborted)
        finally:
            await _cancel([*work, *(task for sample in samples for task in sample.tasks())])
            if batch.aborted.done():
                batch.aborted.exception()  # retrieved, also when run() itself is being cancelled
            else:
                batch.aborted.cancel()

    async def _run_group(self, batch: _Batch, group: list[_Sample]) -> None:
        """Run the samples together. Those that a lost session was running are tried alone; the rest together again."""
        alone: list[asyncio.Future[None]] = []
        left = group
        try:
            while len(left) > 1:
                await self._session(batch, left, shared=True)
                left = [sample for sample in left if sample.outcome is None]
                suspects = [sample for sample in left if not sample.was_waiting] or left
                alone += [asyncio.ensure_future(self._run_alone(batch, sample)) for sample in suspects]
                left = [sample for sample in left if sample not in suspects]
            alone += [asyncio.ensure_future(self._run_alone(batch, sample)) for sample in left]
            await asyncio.gather(*alone)
        finally:
            await _cancel(alone)

    async def _run_alone(self, batch: _Batch, sample: _Sample) -> None:
        async with self._alone:
            for _ in range(2):  # a worker may be killed from outside; the second time it counts as the workflow's
                reason = await self._session(batch, [sample], shared=False)
                if sample.outcome is not None:
                    return
                if reason:
                    break
        batch.finish(sample, SampleState.WORKFLOW_FAILED, reason=reason or "the workflow crashed its sandbox")

    async def _session(self, batch: _Batch, group: list[_Sample], *, shared: bool) -> str:
        """Run the samples in one session. Returns why it ended early, "" when it did not or nobody knows."""
        session = _Session(batch, group)
        feed = asyncio.ensure_future(self._feed(session, shared=shared))
        try:
            either: set[asyncio.Future[Any]] = {feed, session.ended}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not feed.done():
                await asyncio.wait({feed}, timeout=_FINISHED_GRACE)
            return await feed if feed.done() else ""
        finally:
            for sample in group:
                sample.was_waiting = sample.waiting > 0
            session.ended.cancel()
            await _cancel([feed, *session.waiting])

    async def _feed(self, session: _Session, *, shared: bool) -> str:
        limits = session.batch.limits
        checkout = self._live_pool().checkout(
            script_name="driver.py",
            limits={
                "max_feed_duration_secs": limits.run_seconds,
                "max_memory": limits.memory_mb * 1_000_000,
                "max_suspensions": 1000 + len(session.samples) * (4 * limits.host_calls + _AFTER_END),
            },
            os_policy={
                "sleep": "zero",
                "datetime": _CLOCK,
                "random_start": {"seed": session.samples[0].random_seed},
            },
        )
        try:
            async with checkout as live:
                session.start()
                await live.feed_run(
                    driver.SHARED if shared else driver.ALONE,
                    inputs={
                        "workflow_source": session.batch.source,
                        "jobs": [sample.as_input() for sample in session.samples],
                    },
                    external_lookup={driver.CALL: session.host_call, driver.DONE: session.host_done},
                    print_callback=_drop_print,
                )
        except pydantic_monty.MontyCrashedError as error:
            return limit_reason("time", limits) if error.timed_out else ""
        except (pydantic_monty.MontyRuntimeError, pydantic_monty.MontySyntaxError) as error:
            return _failure(error, limits)
        return ""

    def _live_pool(self) -> pydantic_monty.AsyncMonty:
        if self._pool is None:
            raise RuntimeError("the sandbox is not open; use it as an async context manager")
        return self._pool


@dataclass(slots=True, eq=False)
class _Sample:
    """A job under way. What it has asked for outlives its session."""

    index: int
    job: Job
    outcome: Outcome | None = None
    started: float = 0.0
    seen: dict[str, int] = field(default_factory=dict)  # in this session: how often each call was made
    asked: dict[str, list[asyncio.Task[Any]]] = field(default_factory=dict)  # in all sessions
    calls: int = 0
    tokens: int = 0
    after_end: int = 0
    waiting: int = 0  # calls without an answer yet
    was_waiting: bool = False  # when its last session ended: so its own code was not what ended it

    @property
    def random_seed(self) -> str:
        return f"{self.job.seed.id}:{self.job.replicate}"

    def as_input(self) -> dict[str, Any]:
        seed = {clean(name): clean(text) for name, text in self.job.seed.values.items()}
        return {"index": self.index, "seed": seed, "random": self.random_seed}

    def tasks(self) -> list[asyncio.Task[Any]]:
        return [task for tasks in self.asked.values() for task in tasks]

    def restart(self) -> None:
        self.started = time.monotonic()
        self.seen.clear()
        self.calls = self.tokens = self.waiting = 0

    def ask(self, call: HostCall) -> asyncio.Task[Any]:
        """The call's answer on its way; the same one when a lost session's sample asks again."""
        number = self.seen.get(call.key, 0)
        self.seen[call.key] = number + 1
        asked = self.asked.setdefault(call.key, [])
        if number == len(asked):
            asked.append(asyncio.ensure_future(_answer(call, self.job.host)))
        return asked[number]


@dataclass(slots=True)
class _Batch:
    """One ``run``: what its sessions share."""

    source: str
    limits: SampleLimits
    on_result: Callable[[int, Outcome], None]
    aborted: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def abort(self, error: BaseException) -> None:
        if not self.aborted.done():
            self.aborted.set_exception(error)

    def finish(self, sample: _Sample, state: SampleState, value: object = None, reason: str = "") -> None:
        """Report how the sample ended, the first time it is known."""
        if sample.outcome is not None or self.aborted.done():
            return
        ms = round((time.monotonic() - sample.started) * 1000)
        sample.outcome = Outcome(state, value, clean(reason)[:2000], ms)
        try:
            self.on_result(sample.index, sample.outcome)
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is raised from run(), not into the sandbox
            self.abort(error)


class _Session:
    """The host's side of one sandbox session."""

    def __init__(self, batch: _Batch, samples: list[_Sample]) -> None:
        self.batch = batch
        self.samples = samples
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting: set[asyncio.Task[Any]] = set()
        self._by_index = {sample.index: sample for sample in samples}

    def start(self) -> None:
        for sample in self.samples:
            sample.restart()

    async def host_call(self, index: int, function: str, arguments: str) -> str:
        """Answer one call of a workflow. What it raises is raised at the workflow's ``await``."""
        sample = self._by_index[index]
        if sample.outcome is not None:
            self._count_after_end(sample)
            raise RuntimeError("this sample has ended")
        call = read_call(function, arguments)  # ValueError or TypeError: the workflow's to catch
        self._charge(sample, call)
        try:
            return await self._awaited(sample, call)
        except AnswerError as error:
            self._finish(sample, SampleState.MODEL_FAILED, reason=str(error))
            raise RuntimeError(str(error)[:500]) from error

    async def host_done(self, index: int, ok: bool, text: str) -> None:
        """Take a sample's value, or the exception that ended it."""
        sample = self._by_index[index]
        if not ok:
            self._finish(sample, SampleState.WORKFLOW_FAILED, reason=text)
            return
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            self._finish(sample, SampleState.WORKFLOW_FAILED, reason="generate's result is nested too deeply")
            return
        self._finish(sample, SampleState.OK, value)

    def _charge(self, sample: _Sample, call: HostCall) -> None:
        limits = self.batch.limits
        sample.calls += 1
        sample.tokens += call.max_tokens
        if sample.calls > limits.host_calls:
            reason = limit_reason("calls", limits)
        elif sample.tokens > limits.tokens:
            reason = limit_reason("tokens", limits)
        else:
            return
        self._finish(sample, SampleState.WORKFLOW_FAILED, reason=reason)
        raise RuntimeError(reason)

    async def _awaited(self, sample: _Sample, call: HostCall) -> str:
        mine = asyncio.current_task()
        if mine is not None:
            self.waiting.add(mine)
            mine.add_done_callback(self.waiting.discard)
        task = sample.ask(call)
        left = sample.started + self.batch.limits.wall_seconds - time.monotonic()
        sample.waiting += 1
        done, _ = await asyncio.wait({task}, timeout=max(left, 0.0))
        sample.waiting -= 1
        if not done:
            reason = f"no answer within the {self.batch.limits.wall_seconds:g} s that a sample may take"
            self._finish(sample, SampleState.MODEL_FAILED, reason=reason)
            raise RuntimeError(reason)
        error = RunHalted("a call was cancelled") if task.cancelled() else task.exception()
        if error is None:
            return str(task.result())
        if not isinstance(error, AnswerError):
            self.batch.abort(error)
        raise error

    def _finish(self, sample: _Sample, state: SampleState, value: object = None, reason: str = "") -> None:
        self.batch.finish(sample, state, value, reason)
        if all(other.outcome is not None for other in self.samples):
            self._end()

    def _count_after_end(self, sample: _Sample) -> None:
        """A workflow that goes on calling after its sample ended must not hold up the others."""
        sample.after_end += 1
        if sample.after_end > _AFTER_END:
            self._end()

    def _end(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)


def limit_reason(limit: str, limits: SampleLimits) -> str:
    """The sentence for a limit that was met."""
    reasons = {
        "time": f"its own code ran longer than {limits.run_seconds:g} s; look for a loop that does not end",
        "memory": f"it used more than {limits.memory_mb} MB of memory; build no huge strings or lists",
        "calls": f"it made more than {limits.host_calls} model calls for one sample; give every loop a fixed end",
        "tokens": f"it asked for more than {limits.tokens} answer tokens for one sample; lower max_tokens",
    }
    return reasons[limit]


async def _answer(call: HostCall, host: Host) -> str:
    """The answer as the sandbox takes it: text, for llm_json as JSON."""
    answer = await call.ask(host)
    return clean(answer) if isinstance(answer, str) else clean(json.dumps(answer))


async def _until_done_or_aborted(work: Sequence[asyncio.Future[None]], aborted: asyncio.Future[None]) -> None:
    """Wait for all of ``work``; raise at once what the first of it, or ``aborted``, raises."""
    left: set[asyncio.Future[None]] = set(work)
    while left:
        done, _ = await asyncio.wait({*left, aborted}, return_when=asyncio.FIRST_COMPLETED)
        if aborted in done:
            aborted.result()
        for task in done:
            task.result()
        left -= done
    if aborted.done():
        aborted.result()


async def _cancel(tasks: Sequence[asyncio.Future[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _failure(error: pydantic_monty.MontyRuntimeError | pydantic_monty.MontySyntaxError, limits: SampleLimits) -> str:
    """Why a session ended: a limit's sentence, else the exception with the workflow's line."""
    text = clean(error.display("type-msg"))[:2000]
    if "time limit exceeded" in text:
        return limit_reason("time", limits)
    if "memory limit exceeded" in text:
        return limit_reason("memory", limits)
    if "suspension limit" in text:
        return limit_reason("calls", limits)
    lines = [frame.line for frame in error.traceback() if frame.filename == "<string>"]
    return f"line {lines[-1]}: {text}" if lines else text


def _unsupported(error: pydantic_monty.MontyRuntimeError) -> str | None:
    """Monty's word on syntax that it does not speak; None for an exception of running code."""
    if not isinstance(error.exception(), NotImplementedError):
        return None
    lines = [frame.line for frame in error.traceback()]
    where = f"line {lines[-1]}: " if lines else ""
    return where + str(error).removeprefix("NotImplementedError: ")[:500]


def _drop_print(stream: str, text: str) -> None:
    """What a workflow prints is nobody's output."""
