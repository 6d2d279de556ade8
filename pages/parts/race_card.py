"""What a race showed of a search's winner, and the alarms about its judge: the honest part of the search screen.

Owns drawing these and the button for another race. The figures are ``views.yardstick``'s, the sentences ``measures``'.
"""

from __future__ import annotations

import os

import pandas as pd
import streamlit as st

from autosynth_core import engine
from autosynth_core.errors import SettingsError
from autosynth_core.llm import resolve
from autosynth_core.records import Command, Comparison, RunState
from autosynth_core.search import LEAST_SEALED
from autosynth_core.views import RaceCost, RaceView, RunHeader, feed, measures, planned_race, words, yardstick
from autosynth_core.views.settings import search_settings
from pages.parts.model_note import gives_logprobs
from pages.parts.session import guarded_call, parameter, store
from pages.parts.text import plain

__all__ = ["alarm_notes", "race_card"]

_UNRACED = "race not finished"  # the event that says why
_FIGURE_PX = 176  # four in a row inside the card at 1280 pixels


def alarm_notes(run_id: str) -> None:
    """What went off and is not settled yet, with the way to the rest."""
    alarms = yardstick(store(), run_id).open_alarms
    for event in alarms:
        st.warning(plain(event.message), icon=":material/notification_important:")
    if alarms:
        st.page_link(
            "pages/metrics.py",
            label="See the criteria",
            icon=":material/straighten:",
            query_params={"run": run_id, **({"project": project} if (project := parameter("project")) else {})},
        )


def race_card(now: RunHeader) -> None:
    """The newest race of the search; where there is none yet, a way to one once the search has ended."""
    found = yardstick(store(), now.run_id)
    may_race = now.state in (RunState.FINISHED, RunState.STOPPED) and now.best is not None
    if found.race is None and not may_race and not now.racing:
        return
    cost = planned_race(store(), now.run_id, logprobs=_one_call_verdicts(now.run_id)) if may_race else None
    with st.container(border=True):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            st.markdown("**Race on inputs that the search never saw**", width="content")
            if cost is not None:
                _race_button(now, again=found.race is not None)
            elif now.racing:
                _stop_button(now)
        if found.race is not None:
            _result(found.race)
        elif may_race:
            st.caption(
                "The best recipes were chosen by their scores, so those scores are a little too good. A race runs them "
                "on inputs that were kept aside, and says what the winner is really worth."
            )
        _before_and_during(now, cost, may_race=may_race)


def _before_and_during(now: RunHeader, cost: RaceCost | None, *, may_race: bool) -> None:
    """What a race costs, why there can be none, or that one is going on."""
    latest = next(iter(feed(store(), now.run_id, 1)), None)
    if latest is not None and latest.kind == _UNRACED and not now.racing:
        st.warning(plain(latest.message), icon=":material/sports_score:")
    if now.racing:
        st.info(plain(f"The race is going on. {words.told(latest) if latest else ''}"), icon=":material/sports_score:")
    elif cost is not None:
        st.caption(plain(f"{cost.in_words} You can stop it at any time: what it has made by then is kept."))
    elif may_race:
        st.caption(
            f"There can be no race here: it needs {LEAST_SEALED} inputs that were kept aside, and this search has "
            "fewer. Add inputs to the task and start a new search."
        )


def _one_call_verdicts(run_id: str) -> bool:
    """Whether the judge of the race is known to need one call a verdict; no for an address that can't be used."""
    models = search_settings(store().run(run_id)).models
    try:
        return gives_logprobs(resolve(models, os.environ), models, models.second_judge)
    except SettingsError:
        return False


def _race_button(now: RunHeader, *, again: bool) -> None:
    st.button(
        "Race the best again" if again else "Race the best",
        icon=":material/sports_score:",
        key="race",
        on_click=_race,
        args=(now.run_id,),
        help="Nothing new is tried: the best recipes run on inputs that were kept aside.",
    )


def _stop_button(now: RunHeader) -> None:
    ending = now.asked is Command.STOP
    label = "Stopping the race…" if ending else "Stop the race"
    st.button(label, icon=":material/stop:", key="stop race", on_click=_stop, args=(now.run_id,), disabled=ending)


@guarded_call
def _stop(run_id: str) -> None:
    engine.stop(store(), run_id)


@guarded_call
def _race(run_id: str) -> None:
    engine.race(store(), run_id)


def _result(race: RaceView) -> None:
    result = race.result
    mean, low, high = result.gain
    with st.container(horizontal=True):
        _figure("Winning recipe", f"{result.winner}", _chance(race), f"{measures.chances(race)} {_judged_by(race)}")
        _figure("Reward there (0 to 1)", f"{result.sealed.total:.2f}", _range(result.sealed.low, result.sealed.high))
        _figure("The search claimed", f"{result.claimed.total:.2f}", _range(result.claimed.low, result.claimed.high))
        _figure("Gain over the first", f"{mean:+.2f}", f"{low:+.2f} to {high:+.2f}", good=_good(race))
    st.caption(plain(f"{measures.gained(race)} {measures.claimed(race)} {measures.chances(race)} {_judged_by(race)}"))
    if len(result.contenders) > 1:
        with st.expander(f"Who ran ({len(result.contenders)})"):
            _contenders(race)


def _good(race: RaceView) -> bool | None:
    """Green for what is surely better, red for what is surely worse."""
    return {Comparison.BETTER: True, Comparison.WORSE: False}.get(race.verdict)


def _chance(race: RaceView) -> str:
    if len(race.result.contenders) < 2:
        return "no other came close"
    return f"{measures.surely(race)} sure"  # more words would be cut off; the help has them


def _judged_by(race: RaceView) -> str:
    which = "the second judge" if race.second_judge else "the judge of the search"
    return f"Scored by {which} on {words.count(race.result.sealed.n, 'input')}."


def _range(low: float, high: float) -> str:
    return f"{low:.2f} to {high:.2f}"


def _figure(label: str, value: str, below: str, help_text: str | None = None, *, good: bool | None = None) -> None:
    colour = {True: "green", False: "red", None: "gray"}[good]
    st.metric(
        label,
        value,
        below,
        delta_color=colour,
        delta_arrow="off",
        help=help_text,
        border=True,
        width=_FIGURE_PX,
        height="stretch",
    )


def _contenders(race: RaceView) -> None:
    rows = [
        {
            "Recipe": f"{number}{' (winner)' if number == race.result.winner else ''}",
            "Inputs run before it was out or the race over": inputs,
        }
        for number, inputs in sorted(race.result.contenders.items(), key=lambda pair: (-pair[1], pair[0]))
    ]
    st.dataframe(pd.DataFrame(rows), hide_index=True)
