"""The card of a fitted router: a Markdown page to read before using it."""

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
from recroute.routers.sums.learned import Learned
from recroute.splits import Split
from recroute.util.arguments import as_texts, checked

MAX_NAMES = 12  # LLMs or tasks listed by name


@checked
def router_card(
    router: Router, split: Split, *, notes: Sequence[str] = (), judge: bool = True, learned: Learned | None = None
) -> str:
    """Describe a fitted router in Markdown: its training data, its quality on test instances, and its limits.

    Parameters
    ----------
    router : Router
        Fitted on `split.train`.
    split : Split
        From `prepare_split`. The card reports results on its test part, so choosing among routers by their cards means
        tuning on test instances.
    notes : list of str
        How the router was chosen.
    judge : bool
        Whether to evaluate on test instances. If not, the card says so.
    learned : Learned, optional
        Numbers of instances of a router fitted from sums, where `split.train` is a sample.

    Returns
    -------
    str
        Markdown, for `router.save(path, card=...)` or to display in a notebook.

    Raises
    ------
    RouterError
        If the router is not fitted.
    UnknownNameError
        If the split does not have an LLM of the router.
    """
    router.llm_index()  # raises if not fitted
    warning = "**SIMULATED DATA: made-up LLMs, template prompts. The figures do not apply to real LLMs.**"
    blocks = [
        f"# Router card: {router.name}",
        *([warning] if split.train.card.get("simulated") else []),
        *_what(router),
        "## Data",
        _data(split, learned),
        "## Split",
        *_split(split, as_texts(notes, "notes"), learned),
        "## Quality on test",
        *(measured(router, split) if judge else ["Not measured: the router was not evaluated on test instances."]),
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
        f"Chooses an LLM for each prompt. Fitted on {datetime.now(UTC).date()} by recroute {__version__}.",
        _facts(
            {
                "router": f"`{router.name}` ({router.kind})",
                "settings": ", ".join(f"`{name}={value}`" for name, value in settings.items()),
                "reads": f"{reads}{encoder}" if reads else "nothing; the choice does not depend on the prompt",
                "chooses from": f"{len(router.llm_ids_):,} LLMs: {_some(router.llm_ids_)}",
            }
        ),
    ]


def _data(split: Split, learned: Learned | None) -> str:
    facts, card = split_facts(split), split.train.card
    size = f"{facts['n_instances']:,} instances x {facts['n_llms']:,} LLMs"
    if learned is not None and learned.note:
        size += f"; {learned.n_summed - learned.n_sample:,} more training instances are in the router's sums only"
    names, counts = np.unique(np.concatenate([data.tasks for data in split.parts().values()]), return_counts=True)
    tasks = [f"{names[i]} ({counts[i]:,})" for i in np.argsort(-counts, kind="stable")]
    return _facts(
        {
            "data set": f"{facts['name']}{' (SIMULATED)' if facts['simulated'] else ''}",
            **{key: str(card.get(key, "not stated")) for key in ("title", "source", "licence", "score")},
            "size": size,
            "observed": f"{facts['n_records']:,} scores, {facts['density']:.1%} of the cells",
            **({"preferences": f"{facts['n_preferences']:,}"} if facts["n_preferences"] else {}),
            "tasks": f"{len(tasks):,}: {_some(tasks)}",
            **({"cost": cost_unit(split.train)} if split.train.interactions.costs is not None else {}),
        }
    )


def _split(split: Split, notes: Sequence[str], learned: Learned | None) -> list[str]:
    n_train, n_valid, n_test = (f"{data.n_instances:,}" for data in split.parts().values())
    fitted_on = f"{n_train} training instances" if learned is None else str(learned)
    duplicates = "are in the same part" if learned is None else "with other ids may be in another part"
    about = (
        f"`{split.name}`, seed {split.seed}: fitted on {fitted_on}; {n_valid} for validation and {n_test} for test "
        f"were held out. Duplicate prompts {duplicates}."
    )
    noted = "\n".join(f"- {note}" for note in [split.note, "" if learned is None else learned.note, *notes] if note)
    return [about, *([noted] if noted else [])]


def _limits(router: Router, split: Split, judge: bool) -> str:
    facts = split_facts(split)
    lines = [
        f"The router has learned from the tasks and languages in {facts['name']}. A prompt unlike all of these gets an "
        "LLM too, without a warning, and the figures do not apply to it.",
        "A predicted score is an expectation over many similar prompts, not a guarantee for a single one.",
        "The scores describe the LLMs at the time of evaluation. Evaluate an LLM again if its provider has updated it.",
    ]
    if facts["density"] < 1:
        lines.append(
            f"{1 - facts['density']:.1%} of the cells were not evaluated; an LLM that was run on few tasks is judged "
            "by these alone."
        )
    if judge:
        lines.append(
            "Test instances were used only after the router was final. Comparing cards to choose a router means tuning "
            "on test instances; use `recroute tune`, which chooses by cross-validation on the other parts."
        )
    return "\n".join(f"- {line}" for line in lines)


def _use(router: Router) -> list[str]:
    views = getattr(router.encoder_, "parts", (router.encoder_,))
    if router.reads in ("task", "scores"):
        how = [f"The router reads the {router.reads} of an instance, not its prompt: pass a data set to `rank`."]
    elif any(isinstance(view, Precomputed) for view in views):
        how = [
            "The router reads vectors that came with the data, so it cannot route raw prompts. Fit it with "
            "`--encoder tfidf` for that."
        ]
    else:
        how = [
            'In this folder: `recroute route . "your prompt" --top-k 3`. In Python:',
            '```python\nimport recroute as rr\n\nrr.load_router(".").rank(["your prompt"], 3).names\n```',
        ]
    if lacking(router) is not None or router.background_ is None:
        return [*how, "To add an LLM, fit the router again on data that include it."]
    return [
        *how,
        "To add an LLM by its answers to 16 prompts:",
        "```\nrecroute onboard . --llm NEW --budget 16 --out anchors.csv   # run it on these and add a column score\n"
        "recroute onboard . --llm NEW --results anchors.csv --out ../router_2\n```",
    ]


def _facts(rows: dict[str, str]) -> str:
    return "\n".join(["| | |", "|---|---|", *(f"| {key} | {_plain(value)} |" for key, value in rows.items())])


def _some(names: Iterable[str]) -> str:
    """The first names, and the number of others."""
    names = list(names)
    rest = f", and {len(names) - MAX_NAMES:,} more" if len(names) > MAX_NAMES else ""
    return ", ".join(names[:MAX_NAMES]) + rest


def _plain(text: str) -> str:
    """Text that does not break a Markdown table cell."""
    return " ".join(text.split()).replace("|", "\\|")
