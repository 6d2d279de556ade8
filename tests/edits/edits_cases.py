"""Tasks, workflows of several styles and hostile words for the tests of edits."""

from __future__ import annotations

from random import Random

from autosynth_core.records import Example, FieldKind, OutputField, SeedInput, Task
from autosynth_core.workflow.edits import EditContext

NASTY = 'A "quoted" {brace} \\ back\\slash """ triple {concept} {{double}} é 漢字 $dollar'


def make_task(*fields: OutputField, seeds: tuple[str, ...] = ("concept", "grade"), nasty: bool = False) -> Task:
    def seed(number: int) -> SeedInput:
        return SeedInput({name: f"{name} {number}" for name in seeds})

    extra = f" {NASTY}" if nasty else ""
    return Task(
        title="Science analogies" + extra,
        description="One analogy that maps the parts of a concept." + extra,
        audience="students of grade 8" + extra,
        output_fields=fields,
        must_nevers=("Never state a wrong fact." + extra, "Never use brand names."),
        good_examples=(Example(seed(90).values, _output(fields, "A good text of some eight words, no more.")),),
        bad_examples=(Example(seed(91).values, _output(fields, "Bad.")),),
        search_seeds=tuple(seed(number) for number in range(3)),
        sealed_seeds=(seed(50),),
    )


def _output(fields: tuple[OutputField, ...], text: str) -> dict[str, object]:
    turns = [{"speaker": "Teacher", "text": text}, {"speaker": "Student", "text": NASTY}]
    return {field.name: turns if field.kind is FieldKind.TURNS else text for field in fields}


ANALOGY = OutputField("analogy", "the analogy, about 100 words")
DIALOGUE = OutputField("dialogue", "the conversation", FieldKind.TURNS)
QUESTION = OutputField("question", "what the student asks first")

TASKS = {
    "text": make_task(ANALOGY),
    "nasty": make_task(ANALOGY, nasty=True),
    "turns": make_task(DIALOGUE),
    "both": make_task(QUESTION, DIALOGUE, nasty=True),
    "odd fields": make_task(OutputField('odd "name"\\', "x"), seeds=("draft", "class", "grade level", "größe")),
}


def make_context(task: Task, seed: int = 0, *, accepted: bool = True) -> EditContext:
    samples = tuple(
        Example(task.search_seeds[number].values, _output(task.output_fields, f"Accepted {number}. {NASTY}"))
        for number in range(2)
    )
    return EditContext(task, samples if accepted else (), Random(seed))


# --- workflows, written for any of the tasks ------------------------------------------------------------------------


def _finish(task: Task) -> str:
    """A function that makes an output of one text."""
    turns = '[{"speaker": "Teacher", "text": text}, {"speaker": "Student", "text": "I see."}]'
    parts = [f"{field.name!r}: {turns if field.kind is FieldKind.TURNS else 'text'}" for field in task.output_fields]
    return "def finish(text: str) -> dict:\n    return {" + ", ".join(parts) + "}"


def _lines(task: Task) -> str:
    """A line a seed field, with placeholders f0, f1 ..."""
    return "\n".join(f"{name}: {{f{number}}}" for number, name in enumerate(task.seed_fields))


def _arguments(task: Task) -> str:
    return ", ".join(f"f{number}=seed[{name!r}]" for number, name in enumerate(task.seed_fields))


_PLAIN = '''
# A comment that stays.
DRAFT_PROMPT = """Write it for these readers.

@LINES
Keep it short. Braces: {{a: 1}}
"""


@FINISH


# The entry.
async def generate(seed: dict[str, str]) -> dict:
    text = await llm(DRAFT_PROMPT.format(@ARGUMENTS))
    return finish(text)
'''

_EXPERT = '''"""An expert's workflow."""
import json

OUTLINE_PROMPT = """Outline in three points:
@LINES"""
WRITE_PROMPT = """Write from this outline.
{outline}
""" + "For the readers named above, please."
CRITIQUE_PROMPT = """Name three faults of this text:
{text}"""
REVISE_PROMPT = (
    "Mend the text. Text: {text} "
    "Faults: {faults}"
).strip()
SYSTEM = "You are an experienced and careful teacher."
SEPARATOR = "---"
SCHEMA = {"type": "object", "properties": {"faults": {"type": "string"}}, "required": ["faults"]}


@FINISH


async def outline_it(seed: dict[str, str]) -> str:
    return await llm(OUTLINE_PROMPT.format(@ARGUMENTS), system=SYSTEM, max_tokens=500)


async def write(outline: str) -> str:
    return await llm(WRITE_PROMPT.format(outline=outline), system=SYSTEM, temperature=0.9)


async def generate(inputs: dict[str, str]) -> dict:
    """Outline, write, criticise, revise."""
    outline = await outline_it(inputs)
    text = await write(outline)
    answer = await llm_json(CRITIQUE_PROMPT.format(text=text), schema=SCHEMA)
    revised = await llm(
        REVISE_PROMPT.format(text=text, faults=json.dumps(answer)),
        system=SYSTEM,  # as above
    )
    best = revised.split(SEPARATOR)[0]
    return finish(best or text)
'''

_PIPELINE = '''FIRST_PROMPT = """\\
Write a first version.
@LINES"""
POLISH_PROMPT = """\\
Polish this without changing its meaning:
{draft}"""


@FINISH


async def first_draft(seed: dict[str, str]) -> dict:
    """Write a first version."""
    return finish(await llm(FIRST_PROMPT.format(@ARGUMENTS)))


async def polish(seed: dict[str, str], draft: dict) -> dict:
    text = await llm(POLISH_PROMPT.format(draft=str(draft)))
    return finish(text)


async def critique_and_revise(seed: dict[str, str], draft: dict) -> dict:
    return finish(await llm(f"Improve it again: {draft}", temperature=0.2))


async def generate(seed: dict[str, str]) -> dict:
    draft = await first_draft(seed)
    draft = await polish(seed, draft)
    draft = await critique_and_revise(seed, draft)
    return draft
'''

_FSTRINGS = '''import asyncio
import re as regex

ANGLES = ["from the kitchen", "from sports"]


@FINISH


def clean(text: str) -> str:
    return regex.sub(r"\\s+", " ", text)


async def ask(prompt: str, heat: float = 0.7) -> str:
    return clean(await llm(prompt, temperature=heat))


async def generate(seed: dict[str, str]) -> dict:
    given = "; ".join([f"{name}: {value}" for name, value in seed.items()])
    plan = await ask(f"""Plan for {given} in
two lines""", 0.3)

    async def one(angle: str) -> str:
        return await ask(f"Write {angle} by this plan: {plan}" "\\n" f"Given {given}")

    texts = await asyncio.gather(*[one(angle) for angle in ANGLES])
    order = {"role": "system", "content": "Choose with care."}
    answer = await chat([order, {"role": "user", "content": f"Merge: {texts}"}])
    return finish(answer.strip() or texts[0])
'''

_HELPER = '''DRAFT = """Write one good text about the following.
@LINES"""
MEND = """Mend this text for the readers: {text}
@LINES"""


@FINISH


async def ask(template: str, seed: dict[str, str], text: str = "") -> str:
    return await llm(template.replace("{text}", text)@REPLACES)


async def generate(seed: dict[str, str]) -> dict:
    text = await ask(DRAFT, seed)
    text = await ask(MEND, seed, text=text)
    return finish(text)
'''

_CROWDED = '''A = """Say something good, please.
@LINES"""; B = "Say it better, dear model: {draft}"
@FINISH
async def draft(seed: dict[str, str]) -> dict: return finish(await llm(A.format(@ARGUMENTS)))
async def better(seed: dict[str, str], draft: dict) -> dict: x = await llm(B.format(draft=draft)); return finish(x)
async def generate(seed: dict[str, str]) -> dict: x = await draft(seed); x = await better(seed, x); return x
'''

_STYLES = {
    "plain": _PLAIN,
    "expert": _EXPERT,
    "pipeline": _PIPELINE,
    "fstrings": _FSTRINGS,
    "helper": _HELPER,
    "crowded": _CROWDED,
}


def written(style: str, task: Task) -> str:
    """A workflow in one of the ``STYLES`` that does ``task``."""
    replaces = "".join(f'.replace("{{f{n}}}", seed[{name!r}])' for n, name in enumerate(task.seed_fields))
    filled = {"@FINISH": _finish(task), "@LINES": _lines(task), "@ARGUMENTS": _arguments(task), "@REPLACES": replaces}
    source = _STYLES[style]
    for mark, text in filled.items():
        source = source.replace(mark, text)
    return source


STYLES = tuple(_STYLES)

HOSTILE = {
    "sensible": "Name the two parts that match and say where the comparison ends.",
    "braces": "{{{unknown}}} { } {0} {} {a!r:>3} {concept} {{f0}} }{ { {f0} } {x['y']} and more words",
    "json": 'Answer as {"score": 1, "why": {"text": "x"}} and {unknown} words',
    "quotes": '""" \'\'\' " \\ \\n \\" a trailing backslash and quote \\"',
    "long": "Be clear and say {unknown} things. " * 300,
    "no spaces": "x" * 10_000,
    "unicode": "Erkläre é 漢字 \u202e\u200b \ud800 \x00 \x1b[0m 🎓 ' für alle",
    "fence": '```python\nPROMPT = """Write {f0} well and clearly."""\n```',
    "assignment": 'DRAFT_PROMPT = """Write {f0} and {f1} in an exact way."""',
    "injection": '"""\nimport os\nos.system("x")\nX = """ and more words for it',
    "dollar": "Use $title and ${weakness} and %s and %(x)s in the text.",
}
