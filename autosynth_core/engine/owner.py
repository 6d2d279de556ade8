"""The engine's thread: one a process and database, with its own event loop.

It picks up queued runs by taking their lease, does what people ask for in the database, keeps its leases alive, and
records how each run ended. When the process dies, whoever opens the database next marks its runs interrupted: at once
on the same machine, where a process can be seen to have ended, else when its leases have gone stale. A run whose lease
was lost writes nothing more.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import math
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from autosynth_core.engine.round_run import run_round
from autosynth_core.engine.search_run import run_race, run_search
from autosynth_core.engine.switch import Switch, until_halted
from autosynth_core.errors import (
    AlarmRaised,
    AutoSynthError,
    BudgetReached,
    DatabaseLocked,
    LeaseLost,
    RunHalted,
    StoreError,
)
from autosynth_core.records import Command, Event, Run, RunKind, RunState, StopReason
from autosynth_core.store import RaceAsked, Store
from autosynth_core.workflow import Sandbox

__all__ = ["STALE_AFTER_S", "Owner", "ensure_started", "recover"]

_log = logging.getLogger(__name__)

POLL_S = 0.2
HEARTBEAT_S = 2.0
STALE_AFTER_S = 20.0  # ten heartbeats: a loaded machine must not lose its runs
_MOST_RUNS = 4  # at once; more wait in the queue
_AGAIN = "What it had made is kept, and another race goes on from there."
_ENDING_S = (10.0, 1.0, 1.0, 1.0)  # for calls under way; then for the search, the calls and the client to be cut


class _Live:
    """A run this thread is working on."""

    def __init__(self, run: Run, task: asyncio.Task[None], switch: Switch) -> None:
        self.run = run
        self.task = task
        self.switch = switch
        self.stopped_by_person = False
        self.again = False  # asked to go on while it was still ending


class Owner:
    """Owns runs of one database. ``only`` limits it to certain runs (a command works on its own run alone)."""

    def __init__(self, path: Path, *, only: frozenset[str] | None = None) -> None:
        self._path = path
        self._only = only
        self._name = f"{_place()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._live: dict[str, _Live] = {}
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None
        self._unusable: StoreError | None = None  # what kept the end of a run from being recorded
        self._unraced: dict[str, AutoSynthError] = {}

    def start(self) -> None:
        """Start the thread. Raises StoreError when the database can't be used."""
        Store.open(self._path).close()
        self._thread = threading.Thread(target=self._run, name="autosynth-engine", daemon=True)
        self._thread.start()

    @property
    def name(self) -> str:
        """What its leases are held under."""
        return self._name

    @property
    def alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    @property
    def failure(self) -> BaseException | None:
        """What ended the thread, if anything but ``close`` did."""
        return self._failure

    def unraced(self, run_id: str) -> AutoSynthError | None:
        """What kept the run's last race here from its end, if one of the errors that are raised on purpose did."""
        return self._unraced.get(run_id)

    def works_on(self, run_id: str) -> bool:
        """Whether this thread has the run under way, or is ending it."""
        return run_id in self._live

    def close(self) -> None:
        """Let calls in flight finish for up to ten seconds, mark the runs interrupted, end the thread."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join(sum(_ENDING_S) + 2.0)

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except AutoSynthError as error:
            self._failure = error
            if self._only is None:  # a command says it itself
                _log.error("%s", error)
        except BaseException as error:  # noqa: BLE001 - the thread's last line: keep why it ended for who asks
            self._failure = error
            _log.exception("the engine's thread ended")

    async def _main(self) -> None:
        with Store.open(self._path) as store:
            recover(store, time.time())
            async with Sandbox() as sandbox:
                try:
                    await self._poll(store, sandbox)
                finally:
                    await self._end_all()

    async def _poll(self, store: Store, sandbox: Sandbox) -> None:
        """Look after the runs until the end is near. A lock that another program holds is waited out."""
        beat = -math.inf  # by a clock that nobody sets: heartbeats go on when the time of day jumps back
        while not self._ending.is_set():
            if self._unusable is not None:
                raise self._unusable
            now = time.time()
            try:
                if time.monotonic() - beat >= HEARTBEAT_S:
                    self._beat(store, now)
                    beat = time.monotonic()
                self._attend(store, sandbox, now)
            except DatabaseLocked as error:
                _log.warning("%s", error)
            await asyncio.sleep(POLL_S)

    # --- the poll -------------------------------------------------------------------------------------------

    def _attend(self, store: Store, sandbox: Sandbox, now: float) -> None:
        """Do what is asked of runs that are live here, and pick up queued ones."""
        for run_id in store.waiting():
            if run_id in self._live:
                self._obey(store, self._live[run_id], now)
            elif self._only is None or run_id in self._only:
                self._pick_up(store, sandbox, store.run(run_id), now)

    def _obey(self, store: Store, live: _Live, now: float) -> None:
        if live.switch.lost:
            return
        for request in store.pending(live.run.id):
            match request.command:
                case Command.PAUSE:
                    live.switch.pause()
                    store.set_run_state(live.run.id, RunState.PAUSED, "paused by you")
                case Command.RESUME if live.stopped_by_person:
                    live.again = True
                case Command.RESUME:
                    live.switch.resume()
                    store.set_run_state(live.run.id, RunState.RUNNING)
                case Command.STOP:
                    live.stopped_by_person = True
                    live.switch.halt(RunHalted("The run was stopped."))
                    self._say(store, live.run.id, "stop", "Stopping: waiting for the model calls already under way.")
            store.handled(request.id, now)

    def _pick_up(self, store: Store, sandbox: Sandbox, run: Run, now: float) -> None:
        if run.state is not RunState.QUEUED or len(self._live) >= _MOST_RUNS:
            return
        if not store.acquire(run.id, self._name, now, STALE_AFTER_S):
            return
        asked = store.pending(run.id)
        for request in asked:
            store.handled(request.id, now)
        race = store.race_asked(run.id)
        if any(request.command is Command.STOP for request in asked):
            if race is None:
                store.set_run_state(run.id, RunState.STOPPED, "stopped before it began")
            else:
                self._say(store, run.id, "race not finished", "The race was stopped before it began.")
                store.end_race(run.id)
            store.release(run.id, self._name)
            return
        store.set_run_state(run.id, RunState.RUNNING)
        switch = Switch(lambda: self._owns(store, run.id))
        work = (
            self._work(store, sandbox, run, switch) if race is None else self._race(store, sandbox, run, switch, race)
        )
        task = asyncio.get_running_loop().create_task(work)
        self._live[run.id] = _Live(run, task, switch)

    def _owns(self, store: Store, run_id: str) -> bool:
        lease = store.lease(run_id)
        return lease is not None and lease.owner == self._name

    def _beat(self, store: Store, now: float) -> None:
        store.require_file()  # an open file can be written to after it was deleted, and calls be paid for nothing
        for live in list(self._live.values()):
            if not store.heartbeat(live.run.id, self._name, now):
                live.switch.halt(LeaseLost("Another process has taken this run over."))
        _mark_interrupted(store, now)

    async def _end_all(self) -> None:
        for live in self._live.values():
            live.switch.halt(RunHalted("The program is ending."))
        left = {live.task for live in self._live.values()}
        for patience in _ENDING_S:
            if left:
                _, left = await asyncio.wait(left, timeout=patience)
            for task in left:
                task.cancel()

    # --- one run ----------------------------------------------------------------------------------------------

    async def _work(self, store: Store, sandbox: Sandbox, run: Run, switch: Switch) -> None:
        """Work on a run to its end and record how it ended."""
        state, reason, told = RunState.INTERRUPTED, "the program ended; resume to go on", ""
        try:
            if run.kind is RunKind.SEARCH:
                ended = await until_halted(run_search(run, store, sandbox, switch), switch)
                state, reason = RunState.FINISHED, ended.value
            else:
                await until_halted(run_round(run, store, sandbox, switch), switch)
                state, reason = RunState.FINISHED, "samples made"
        except BudgetReached as error:
            state, reason, told = RunState.FINISHED, StopReason.BUDGET.value, str(error)
        except LeaseLost:
            _log.warning("run=%s lease lost", run.id)
            self._live.pop(run.id, None)
            return
        except AlarmRaised as error:
            state, reason = RunState.STOPPED, str(error)
        except RunHalted:
            if self._live[run.id].stopped_by_person:
                again = self._live[run.id].again
                state, reason = (RunState.QUEUED, "") if again else (RunState.STOPPED, "stopped by you")
        except AutoSynthError as error:
            state, reason = RunState.FAILED, str(error)
        except asyncio.CancelledError:
            _log.warning("run=%s cut off with calls under way", run.id)
        except Exception:  # noqa: BLE001 - a defect of this program: the run must say so instead of hanging
            _log.exception("run=%s failed", run.id)
            state, reason = RunState.FAILED, "An error in AutoSynth itself stopped this run; the log says more."
        self._live.pop(run.id, None)
        with self._recording():
            self._conclude(store, run.id, state, reason, told)

    async def _race(self, store: Store, sandbox: Sandbox, run: Run, switch: Switch, asked: RaceAsked) -> None:
        """Race the best of a run. The run is then what it was before, however the race went; the feed says how."""
        told, again = f"The program ended in the middle of the race. {_AGAIN}", False
        self._unraced.pop(run.id, None)
        try:
            self._say(store, run.id, "race", "Racing the best recipes on inputs that the search never saw.")
            result = await until_halted(run_race(run, store, sandbox, switch, asked), switch)
            told = "" if result is not None else "There was nothing to race."
        except LeaseLost:
            _log.warning("run=%s lease lost", run.id)
            self._live.pop(run.id, None)
            return
        except RunHalted as error:
            self._unraced[run.id] = error
            if self._live[run.id].stopped_by_person:
                told, again = f"The race was stopped. {_AGAIN}", self._live[run.id].again
        except AutoSynthError as error:
            self._unraced[run.id] = error
            told = f"The race could not be finished: {error}"
        except asyncio.CancelledError:
            _log.warning("run=%s cut off with calls under way", run.id)
        except Exception:  # noqa: BLE001 - a defect of this program: the run must say so instead of hanging
            _log.exception("run=%s race failed", run.id)
            told = "An error in AutoSynth itself stopped the race; the log says more."
        self._live.pop(run.id, None)
        with self._recording():
            self._conclude_race(store, run.id, told, again=again)

    def _conclude_race(self, store: Store, run_id: str, told: str, *, again: bool) -> None:
        if store.heartbeat(run_id, self._name, time.time()):
            if told and not again:
                self._say(store, run_id, "race not finished", told)
            store.release(run_id, self._name)
            if again:  # the race that was asked for is still on record
                store.set_run_state(run_id, RunState.QUEUED)
            else:
                store.end_race(run_id)

    @contextmanager
    def _recording(self) -> Iterator[None]:
        """Around what records how a run ended."""
        try:
            yield
        except DatabaseLocked as error:  # the lease goes stale, and the run is interrupted then
            _log.warning("%s", error)
        except StoreError as error:
            self._unusable = error

    def _conclude(self, store: Store, run_id: str, state: RunState, reason: str, told: str) -> None:
        if store.heartbeat(run_id, self._name, time.time()):
            if told:
                self._say(store, run_id, "budget", told)
            if state is not RunState.QUEUED:  # said first: who waits for the state finds the run as it stays
                self._say(store, run_id, state.value, f"{state.value.capitalize()}: {reason}.".replace("..", "."))
            store.release(run_id, self._name)
            store.set_run_state(run_id, state, reason)

    def _say(self, store: Store, run_id: str, kind: str, message: str) -> None:
        _log.info("run=%s event=%s", run_id, kind)
        store.add_event(Event(run_id, time.time(), kind, message))


def recover(store: Store, now: float) -> None:
    """Mark runs interrupted whose owner is gone: a process of this machine that has ended, or a stale heartbeat.

    One that was in a race on demand is what it was before the race.
    """
    for run in store.runs():
        lease = store.lease(run.id) if run.state in (RunState.RUNNING, RunState.PAUSED) else None
        if lease is not None and _has_ended(lease.owner):
            store.release(run.id, lease.owner)
    _mark_interrupted(store, now)


def _mark_interrupted(store: Store, now: float) -> None:
    """Runs whose owner is gone are interrupted; those in a race on demand are what they were, and the feed says so."""
    for run in store.mark_interrupted(now, STALE_AFTER_S):
        if run.state is not RunState.INTERRUPTED:
            told = f"The program that ran the race has ended. {_AGAIN}"
            store.add_event(Event(run.id, now, "race not finished", told))


def _place() -> str:
    """Where process ids mean the same: this machine and, on Linux, this namespace of processes."""
    try:
        space = os.readlink("/proc/self/ns/pid")
    except OSError:
        space = ""
    return f"{socket.gethostname()}{space}".replace(":", "-")


def _has_ended(owner: str) -> bool:
    """Whether an owner is a process of this machine that is not there any more; False where that can't be told."""
    place, _, rest = owner.partition(":")
    pid = rest.partition(":")[0]
    if os.name != "posix" or place != _place() or not pid.isdecimal():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


_owners: dict[Path, Owner] = {}
_lock = threading.Lock()


def ensure_started(path: Path) -> None:
    """One engine thread for this database in this process, started when there is none. Safe from any thread.

    With ``AUTOSYNTH_ENGINE=off`` nothing is started: another process is to do the work. Raises StoreError.
    """
    if os.environ.get("AUTOSYNTH_ENGINE") == "off":
        return
    place = path.expanduser().absolute()
    with _lock:
        owner = _owners.get(place)
        if owner is None or not owner.alive:
            owner = Owner(place)
            owner.start()
            _owners[place] = owner


@atexit.register
def _close_all() -> None:
    with _lock:
        owners = list(_owners.values())
        _owners.clear()
    for owner in owners:
        owner.close()
