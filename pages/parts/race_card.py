"""What a race showed of a search's winner, and the alarms about its judge: the honest part of the search screen.

Owns drawing these and the button for another race. The figures are ``views.yardstick``'s, the sentences ``measures``'.
"""

from __future__ import annotations

import pandas as pd
import streamlit as st

from autosynth_core import engine
from autosynth_core.records import Comparison, RunState
from autosynth_core.views import RaceView, RunHeader, measures, words, yardstick
from pages.parts.session import guarded_call, parameter, store
from pages.parts.text import plain

__all__ = ["alarm_notes", "race_card"]

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
    if found.race is None and not may_race:
        return
    with st.container(border=True):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            st.markdown("**Race on inputs that the search never saw**", width="content")
            if may_race:
                _button(now, again=found.race is not None)
        if found.race is None:
            st.caption(
                "The best recipes were chosen by their scores, so those scores are a little too good. A race runs them "
                "on inputs that were kept aside, and says what the winner is really worth."
            )
            return
        _result(found.race)


def _button(now: RunHeader, *, again: bool) -> None:
    st.button(
        "Race the best again" if again else "Race the best",
        icon=":material/sports_score:",
        key="race",
        on_click=_race,
        args=(now.run_id,),
        help="Nothing new is tried. The best recipes run on all inputs that were kept aside for this; what they wrote "
        "there before is used again and costs nothing.",
    )


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
    return f"{measures.surely(race)} sure to be best"


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
