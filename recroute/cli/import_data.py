"""recroute data import: a published layout becomes a dataset folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recroute.cli.options import OUTPUT, OUTPUTS, QUIET, Option, settings, verb
from recroute.cli.places import check_places
from recroute.cli.screen import console, progress_bar
from recroute.data.sources import import_dataset, layout_names
from recroute.data.sources.source import BUILT_IN
from recroute.util.files import write_json

LAYOUT = Option(
    "layout",
    str,
    help=f"{', '.join(BUILT_IN)}, or another package's layout.",
    is_argument=True,
    complete=lambda incomplete: layout_names(),
)
SOURCE = Option("source", Path, help="File or folder in that layout.", is_argument=True)
DESTINATION = Option("destination", Path, help="The new dataset folder.", is_argument=True)
OF_LAYOUTS = (  # by the names of the layouts' settings
    Option(
        "columns",
        str | None,
        None,
        help=r"table: their names for ours, instance_id=qid,llm_id=model; a comma in a name is \,: 'score=acc\,none'.",
    ),
    Option("scale", str | None, None, help="table: percent or minmax, to bring scores to 0..1."),
    Option("metric", str | None, None, help="of logs (lm-eval, helm, inspect-ai, ...): which metric is the score."),
    Option("filter", str | None, None, help="lm-eval: which filter's rows to take."),
    Option("name_by", str | None, None, help="of logs: what tells LLMs apart: auto, model, revision or folder."),
    Option("prices", Path | None, None, help="llmrouter: JSON of prices per 1M tokens."),
    Option(
        "pairs",
        bool,
        False,
        flag="--pairs",
        help="table: a row is a battle of two LLMs (model_a, model_b, winner).",
    ),
)
FLOAT16 = Option(
    "float16",
    bool,
    False,
    flag="--float16",
    help="Write prompt vectors in half precision: half the room on disk; results may differ a little.",
    panel=OUTPUT,
)
MORE = Option(
    "more", list[str] | None, None, flag="--set", help="Any setting of the layout as name=value; may be repeated."
)


@verb(LAYOUT, SOURCE, DESTINATION, *OF_LAYOUTS, FLOAT16, MORE, OUTPUTS["json"], QUIET)
def import_data(chosen: Any) -> None:
    """Import a published layout; in streams, so that memory stays bounded. Nothing is written unless all of it is.

    Example: recroute data import lm-eval lm_eval_output my_dataset --metric acc
    """
    source, destination, json_path = chosen.source, chosen.destination, chosen.json_path
    check_places(json_path, folders={destination: "records.parquet"}, inputs=(source, chosen.prices))
    given = {
        option.name: value for option in OF_LAYOUTS if (value := getattr(chosen, option.name)) not in (None, False)
    }
    given |= settings(chosen.more or [])
    with progress_bar(f"importing {source.name}", chosen.quiet) as progress:
        done = import_dataset(chosen.layout, source, destination, progress=progress, float16=chosen.float16, **given)
    if json_path is not None:
        facts = {
            "layout": chosen.layout,
            "source": str(source),
            "dataset": str(destination),
            "n_instances": done.n_instances,
            "n_llms": done.n_llms,
            "n_records": done.n_records,
            "n_preferences": done.n_preferences,
            "notes": list(done.notes),
        }
        write_json(json_path, facts)
    screen = console(chosen.quiet, json_path)
    counted = f"{done.n_preferences:,} preferences" if done.n_preferences else f"{done.n_records:,} records"
    screen.say(f"{done.n_instances:,} instances x {done.n_llms:,} LLMs, {counted}: {destination}")
    screen.note(*done.notes)
    screen.say(f"next: recroute data doctor {destination}")
