"""Simulation: run a workflow on the search's seed inputs and keep every sample, good or bad."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from autosynth_core.config import SampleLimits
from autosynth_core.llm import Model
from autosynth_core.records import Sample, SampleState, Scope, SeedInput, Task, Workflow, sample_id
from autosynth_core.search.host import GeneratorHost
from autosynth_core.search.journal import Journal
from autosynth_core.workflow import Job, Outcome, Sandbox, check_output

__all__ = ["Simulator", "failing_share"]


class Simulator:
    """Makes samples of workflows for one run, each stored the moment it is there."""

    def __init__(
        self,
        *,
        run_id: str,
        task: Task,
        generator: Model,
        sandbox: Sandbox,
        journal: Journal,
        limits: SampleLimits,
        draw: str,
    ) -> None:
        self._run_id = run_id
        self._task = task
        self._generator = generator
        self._sandbox = sandbox
        self._journal = journal
        self._limits = limits
        self._draw = draw

    async def simulate(
        self, workflow: Workflow, seeds: Sequence[SeedInput], *, node: int, replicate: int = 0
    ) -> list[Sample]:
        """One sample for each seed input, in their order.

        Samples that are there already are not made again, except those whose failure was the endpoint's. Raises what
        stops a run (RunHalted, BudgetReached, EndpointError); everything finished by then is stored.
        """
        done = {
            sample.seed.id: sample
            for sample in self._journal.samples(workflow.fingerprint)
            if sample.replicate == replicate and sample.state is not SampleState.MODEL_FAILED
        }
        missing = [seed for seed in seeds if seed.id not in done]

        def keep(index: int, outcome: Outcome) -> None:
            sample = self._sample(workflow, missing[index], replicate, outcome)
            self._journal.put_sample(sample)
            done[sample.seed.id] = sample

        if missing:
            jobs = [self._job(workflow, seed, node, replicate) for seed in missing]
            await self._sandbox.run(workflow.source, jobs, self._limits, keep)
        return [done[seed.id] for seed in seeds]

    def _job(self, workflow: Workflow, seed: SeedInput, node: int, replicate: int) -> Job:
        sample = sample_id(self._run_id, workflow.fingerprint, seed.id, replicate)
        scope = Scope(self._run_id, "sample", node, sample)
        return Job(seed, GeneratorHost(self._generator, scope, f"{self._draw}:{seed.id}:{replicate}"), replicate)

    def _sample(self, workflow: Workflow, seed: SeedInput, replicate: int, outcome: Outcome) -> Sample:
        state, output, reason = outcome.state, None, outcome.reason
        if state is SampleState.OK:
            output, reason = check_output(self._task, outcome.value, self._limits)
            state = SampleState.OK if output is not None else SampleState.WORKFLOW_FAILED
        return Sample(self._run_id, workflow.fingerprint, seed, replicate, state, output, reason, outcome.ms)


def failing_share(samples: Sequence[Sample], matches: Callable[[SampleState], bool]) -> float:
    """The share (0..1) of samples whose state matches; 0 when there are none."""
    return sum(matches(sample.state) for sample in samples) / len(samples) if samples else 0.0
