"""The Describe step: the task as a form that saves every field as soon as it is left.

Owns the widgets. What a complete task is, how a pasted table is read and which inputs are kept aside are
``views.describe``'s; an incomplete task is kept too, so that nothing typed is ever lost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pandas as pd
import streamlit as st

from autosynth_core.errors import InputError
from autosynth_core.records import Example, FieldKind, Project, Task
from autosynth_core.views import words
from autosynth_core.views.describe import example_output, missing, pasted_table, with_outputs, with_seeds
from pages.parts.output import input_line, show_input, show_output
from pages.parts.session import guarded_call, set_parameter, store
from pages.parts.text import clean, plain, short

__all__ = ["describe_step"]

_KINDS = {"Text": FieldKind.TEXT, "Dialogue": FieldKind.TURNS}
_KIND_WORDS = {kind: word for word, kind in _KINDS.items()}


def describe_step(project: Project) -> None:
    """The whole form, then what is still missing or the way on."""
    st.caption("Everything is saved as soon as you leave a field. You can come back and change it at any time.")
    st.subheader("What and for whom")
    _about(project)
    st.subheader("What is to be written")
    _outputs(project)
    st.subheader("What to write from")
    _inputs(project)
    st.subheader("Examples (optional, but they help a lot)")
    good, bad = st.tabs([f"Good ({len(project.task.good_examples)})", f"Bad ({len(project.task.bad_examples)})"])
    with good:
        _examples(project, "good_examples")
    with bad:
        _examples(project, "bad_examples")
    st.divider()
    _way_on(store().project(project.id).task)


def _save(project_id: str, change: Callable[[Task], Task]) -> None:
    """Change the task as it stands now, so that two open windows do not undo each other's other fields."""
    before = store().project(project_id).task
    after = change(before)
    if after != before:
        store().update_task(project_id, after)


# --- texts -----------------------------------------------------------------------------------------------------------


def _about(project: Project) -> None:
    _text(project, "title", "Title", "What you would call it in the staff room.")
    _text(
        project,
        "description",
        "Description",
        "What should be written, and what makes it good. Write as you would to a substitute teacher.",
        height=150,
    )
    left, right = st.columns([3, 1])
    with left:
        _text(project, "audience", "Who is it for?", "Grade, age, what they know already, what they find hard.")
    with right:
        _text(project, "language", "Language", "The language the material is written in.")
    _must_nevers(project)


def _text(project: Project, name: str, label: str, help_text: str, height: int | None = None) -> None:
    key = f"describe:{project.id}:{name}"
    st.session_state.setdefault(key, clean(getattr(project.task, name)))

    @guarded_call
    def save() -> None:
        _save(project.id, lambda task: replace(task, **{name: clean(st.session_state[key]).strip()}))

    if height is None:
        st.text_input(label, key=key, help=help_text, on_change=save, max_chars=200 if name == "title" else 2000)
    else:
        st.text_area(label, key=key, help=help_text, on_change=save, height=height, max_chars=8000)


def _must_nevers(project: Project) -> None:
    key = f"describe:{project.id}:must_nevers"
    st.session_state.setdefault(key, "\n".join(map(clean, project.task.must_nevers)))

    @guarded_call
    def save() -> None:
        rules = tuple(line.strip() for line in clean(st.session_state[key]).splitlines() if line.strip())
        _save(project.id, lambda task: replace(task, must_nevers=rules))

    st.text_area(
        "What must never happen? (one rule a line)",
        key=key,
        on_change=save,
        height=120,
        placeholder="Never give away the answer\nNever make fun of a student",
    )


# --- tables ----------------------------------------------------------------------------------------------------------


def _outputs(project: Project) -> None:
    base = pd.DataFrame(
        [(f.name, f.description, _KIND_WORDS[f.kind]) for f in project.task.output_fields],
        columns=["Part", "What goes into it", "Kind"],
        dtype="object",
    )
    edited = _table(
        f"outputs:{project.id}",
        base,
        {
            "Part": st.column_config.TextColumn(required=True, help="A short name, such as analogy or question."),
            "What goes into it": st.column_config.TextColumn(width="large"),
            "Kind": st.column_config.SelectboxColumn(options=list(_KINDS), default="Text", required=True),
        },
    )
    st.caption("One row for each part of what you want. Choose Dialogue for a conversation with several turns.")
    rows = [
        (str(row["Part"]), str(row["What goes into it"]), _KINDS.get(row["Kind"], FieldKind.TEXT))
        for row in _records(edited)
    ]
    if _touched(f"outputs:{project.id}"):
        _save(project.id, lambda task: with_outputs(task, rows))


def _inputs(project: Project) -> None:
    task = project.task
    seeds = [*task.search_seeds, *task.sealed_seeds]
    if seeds:
        base = pd.DataFrame([dict(seed.values) for seed in seeds], columns=list(task_fields(task)), dtype="object")
        columns = {name: st.column_config.TextColumn(words.field_label(name)) for name in base.columns}
        key = f"inputs:{project.id}:{_version(project)}"
        edited = _table(key, base, columns, height=260)
        rows = [{name: str(value) for name, value in row.items()} for row in _records(edited)]
        if _touched(key):
            _save(project.id, lambda now: with_seeds(now, rows))
        counted = store().project(project.id).task
        total = len(counted.search_seeds) + len(counted.sealed_seeds)
        st.caption(
            f"{words.count(total, 'input')}, of which {len(counted.sealed_seeds)} are kept aside: the search never "
            "sees them, so that the best recipe can be tried on something new."
        )
    else:
        st.markdown(
            "Each sample is written from one input, such as a concept and a grade. Give at least 8, better 30; "
            "a race at the end needs about 18."
        )
    with st.expander("Paste from a spreadsheet", expanded=not seeds):
        _paste(project)


def task_fields(task: Task) -> list[str]:
    """The inputs' columns, in the order in which they were given."""
    seeds = (*task.search_seeds, *task.sealed_seeds)
    return list(seeds[0].values) if seeds else []


def _paste(project: Project) -> None:
    key = f"paste:{project.id}"
    how = f"paste how:{project.id}"
    st.text_area(
        "The first line holds the headings, then one line for each input; tabs or commas between columns",
        key=key,
        height=150,
        placeholder="concept, grade\nphotosynthesis, grade 5\nplate tectonics, grade 7",
    )
    has_inputs = bool(project.task.search_seeds)
    if has_inputs:
        st.radio("These inputs", ["are added", "replace the ones above"], key=how, horizontal=True)
    st.button("Use these inputs", icon=":material/playlist_add:", on_click=_use_pasted, args=(project.id, key, how))
    if problem := st.session_state.pop(f"{key}:problem", None):
        st.error(plain(problem))


def _use_pasted(project_id: str, key: str, how: str) -> None:
    try:
        table = pasted_table(clean(st.session_state.get(key, "")))
        task = store().project(project_id).task
        adds = st.session_state.get(how) == "are added"
        before = [dict(s.values) for s in (*task.search_seeds, *task.sealed_seeds)] if adds else []
        if before and set(before[0]) != set(table.fields):
            raise InputError(
                f"The headings are {', '.join(table.fields)}, but the inputs above have {', '.join(before[0])}; "
                "use the same headings, or let these replace the ones above."
            )
        _save(project_id, lambda now: with_seeds(now, [*before, *table.rows]))
    except InputError as error:
        st.session_state[f"{key}:problem"] = str(error)
        return
    st.session_state[key] = ""
    st.session_state[f"version:{project_id}"] = st.session_state.get(f"version:{project_id}", 0) + 1


def _version(project: Project) -> int:
    """Counts the pastes: a table whose rows were replaced from outside must begin anew."""
    return int(st.session_state.get(f"version:{project.id}", 0))


def _table(key: str, base: pd.DataFrame, columns: Mapping[str, Any], height: int | None = None) -> pd.DataFrame:
    """An editable table. Its first content is kept as long as it is on the page.

    Streamlit stores edits relative to the content the table began with, so feeding the saved rows back in would
    apply every edit twice.
    """
    kept = f"{key}:base"
    if key not in st.session_state or kept not in st.session_state:
        st.session_state[kept] = base
    return st.data_editor(
        st.session_state[kept],
        key=key,
        num_rows="dynamic",
        hide_index=True,
        column_config=dict(columns),
        width="stretch",
        **({"height": height} if height else {}),
    )


def _touched(key: str) -> bool:
    """Whether a person changed anything in the table: looking at a task must not save it anew."""
    return any(st.session_state[key].values())


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {
            str(name): "" if value is None or value is pd.NA or value != value else clean(value)
            for name, value in row.items()
        }
        for row in table.to_dict("records")
    ]


# --- examples --------------------------------------------------------------------------------------------------------


def _examples(project: Project, side: str) -> None:
    task = project.task
    for at, example in enumerate(getattr(task, side)):
        with st.container(border=True):
            show_input(example.seed)
            show_output(task.output_fields, example.output)
            if example.why:
                st.caption(f"Why: {plain(example.why)}")
            st.button(
                "Remove",
                key=f"remove:{project.id}:{side}:{at}",
                icon=":material/delete:",
                on_click=_remove,
                args=(project.id, side, example),
            )
    if not task.search_seeds:
        st.caption("Give the inputs to write from first; an example belongs to one of them.")
        return
    with st.expander("Add a good example" if side == "good_examples" else "Add a bad example"):
        _new_example(project, side)


@guarded_call
def _remove(project_id: str, side: str, example: Example) -> None:
    _save(
        project_id,
        lambda task: replace(task, **{side: tuple(each for each in getattr(task, side) if each != example)}),
    )


def _new_example(project: Project, side: str) -> None:
    task = project.task
    seeds = list(task.search_seeds)
    with st.form(f"new:{project.id}:{side}", border=False):
        # Only inputs that the search may see: an example shows its input to every prompt.
        at = st.selectbox("Written from", range(len(seeds)), format_func=lambda i: short(input_line(seeds[i].values)))
        typed = {
            field.name: st.text_area(
                plain(words.field_label(field.name)),
                key=f"new:{project.id}:{side}:{field.name}",
                height=120,
                placeholder="Tutor: …\nStudent: …" if field.kind is FieldKind.TURNS else "",
            )
            for field in task.output_fields
        }
        why = st.text_input("What makes it good?" if side == "good_examples" else "What is wrong with it?")
        added = st.form_submit_button("Add it", icon=":material/add:")
    if added:
        try:
            output = example_output(task.output_fields, {name: clean(text) for name, text in typed.items()})
        except InputError as error:
            st.error(plain(error))
            return
        example = Example(dict(seeds[at].values), output, clean(why).strip())
        _save(project.id, lambda now: replace(now, **{side: (*getattr(now, side), example)}))
        for field in task.output_fields:
            del st.session_state[f"new:{project.id}:{side}:{field.name}"]
        st.rerun()


def _way_on(task: Task) -> None:
    if problem := missing(task):
        st.warning(plain(problem), icon=":material/edit:")
        return
    st.success("Complete. Next: look at some samples.", icon=":material/check:")
    st.button("Go on to the samples", type="primary", on_click=set_parameter, args=("step", "try"))
