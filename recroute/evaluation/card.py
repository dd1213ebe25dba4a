"""The card of a fitted router: what a person reads before they use it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import numpy as np

from recroute._version import __version__
from recroute.data import Precomputed
from recroute.evaluation.card_quality import measured
from recroute.experiment.provenance import split_facts
from recroute.routers import Router
from recroute.routers.costs import cost_unit
from recroute.routers.memory.grow import lacking
from recroute.splits import Split
from recroute.util.arguments import as_texts, checked

SHOWN = 12  # LLMs or tasks that are named


@checked
def router_card(router: Router, split: Split, *, notes: Sequence[str] = (), judge: bool = True) -> str:
    """What a router is, what it was fitted on, how good it is on test and what it cannot do, as Markdown.

    Parameters
    ----------
    router : Router
        Fitted on `split.train`.
    split : Split
        From `prepare_split`. Its test part is read for the card: choosing among routers by their cards is tuning on
        test.
    notes : list of str
        How the router was chosen, if there is something to say of that.
    judge : bool
        False: test is not read, and the card says so.

    Returns
    -------
    Markdown, for `router.save(path, card=...)` or to show in a notebook.

    Raises
    ------
    RouterError
        If the router is not fitted.
    UnknownNameError
        If the split does not have an LLM of the router.
    """
    router.llm_index()  # raises if not fitted
    warning = "**SIMULATED DATA: made-up LLMs, template prompts. The figures here say nothing of real LLMs.**"
    blocks = [
        f"# Router card: {router.name}",
        *([warning] if split.train.card.get("simulated") else []),
        *_what(router),
        "## Data",
        _data(split),
        "## Split",
        *_split(split, as_texts(notes, "notes")),
        "## Quality on test",
        *(measured(router, split) if judge else ["Not measured: test has not been read."]),
        "## Limits",
        _limits(router, split, judge),
        "## Use",
        *_use(router),
    ]
    return "\n\n".join(blocks) + "\n"


def _what(router: Router) -> list[str]:
    encoder = f", by `{router.encoder_.name}`" if router.encoder_ is not None and router.reads != "task" else ""
    reads = {"text": "the prompt's text", "prompts": "the prompt's text", "task": "the prompt's task"}.get(router.reads)
    settings = {name: value for name, value in router.hyperparameters().items() if value is not None}
    return [
        f"It names the LLM for a prompt. Fitted on {datetime.now(UTC).date()} by recroute {__version__}.",
        _facts(
            {
                "router": f"`{router.name}` ({router.kind})",
                "settings": ", ".join(f"`{name}={value}`" for name, value in settings.items()),
                "reads": f"{reads}{encoder}" if reads else "nothing of the prompt",
                "chooses from": f"{len(router.llm_ids_):,} LLMs: {_some(router.llm_ids_)}",
            }
        ),
    ]


def _data(split: Split) -> str:
    facts, card = split_facts(split), split.train.card
    names, counts = np.unique(np.concatenate([data.tasks for data in split.parts().values()]), return_counts=True)
    tasks = [f"{names[i]} ({counts[i]:,})" for i in np.argsort(-counts, kind="stable")]
    return _facts(
        {
            "data set": f"{facts['name']}{' (SIMULATED)' if facts['simulated'] else ''}",
            **{key: str(card.get(key, "not stated")) for key in ("title", "source", "licence", "score")},
            "size": f"{facts['n_instances']:,} instances x {facts['n_llms']:,} LLMs",
            "observed": f"{facts['n_records']:,} scores, {facts['density']:.1%} of the cells",
            **({"preferences": f"{facts['n_preferences']:,}"} if facts["n_preferences"] else {}),
            "tasks": f"{len(tasks):,}: {_some(tasks)}",
            **({"cost": cost_unit(split.train)} if split.train.interactions.costs is not None else {}),
        }
    )


def _split(split: Split, notes: Sequence[str]) -> list[str]:
    n_train, n_valid, n_test = (f"{data.n_instances:,}" for data in split.parts().values())
    about = (
        f"`{split.name}`, seed {split.seed}: fitted on {n_train} training instances; {n_valid} for validation and "
        f"{n_test} for test were kept apart. A prompt that occurs twice stays on one side."
    )
    noted = "\n".join(f"- {note}" for note in [split.note, *notes] if note)
    return [about, *([noted] if noted else [])]


def _limits(router: Router, split: Split, judge: bool) -> str:
    facts = split_facts(split)
    lines = [
        f"It knows the tasks and languages of the prompts of {facts['name']}. One unlike all of them gets an LLM too, "
        "without a warning; the figures do not hold for it.",
        "A predicted score is what to expect of many prompts like this one, not a promise for this one.",
        "The LLMs are those of the date of the data. One that was changed behind its name has to be evaluated again.",
    ]
    if facts["density"] < 1:
        lines.append(
            f"{1 - facts['density']:.1%} of the cells were never evaluated; an LLM that was run on few tasks is known "
            "by these alone."
        )
    if judge:
        lines.append(
            "Test was read when the router stood as it is. Who compares cards to choose a router tunes on test: "
            "`recroute tune` chooses by cross-validation on the other parts."
        )
    return "\n".join(f"- {line}" for line in lines)


def _use(router: Router) -> list[str]:
    views = getattr(router.encoder_, "parts", (router.encoder_,))
    if router.reads in ("task", "scores"):
        how = [f"It reads the {router.reads} of an instance and no prompt: give `rank` a data set that has them."]
    elif any(isinstance(view, Precomputed) for view in views):
        how = [
            "Its vectors came with the data: it routes instances that have such vectors, and no raw prompts. Fit with "
            "`--encoder tfidf` to route those."
        ]
    else:
        how = [
            'In this folder: `recroute route . "your prompt" --top-k 3`. In Python:',
            '```python\nimport recroute as rr\n\nrr.load_router(".").rank(["your prompt"], 3).names\n```',
        ]
    if lacking(router) is not None or router.background_ is None:
        return [*how, "A new LLM: the router has to be fitted again, with its scores among the others'."]
    return [
        *how,
        "A new LLM, from its answers to 16 prompts:",
        "```\nrecroute onboard . --llm NEW --budget 16 --out anchors.csv   # run it on these, add a column score\n"
        "recroute onboard . --llm NEW --results anchors.csv --out ../router_2\n```",
    ]


def _facts(rows: dict[str, str]) -> str:
    return "\n".join(["| | |", "|---|---|", *(f"| {key} | {_plain(value)} |" for key, value in rows.items())])


def _some(names: Iterable[str]) -> str:
    """The first names, and how many more there are."""
    names = list(names)
    rest = f", and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + rest


def _plain(text: str) -> str:
    """Text that stays in its cell."""
    return " ".join(text.split()).replace("|", "\\|")
