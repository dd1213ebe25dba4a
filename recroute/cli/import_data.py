"""recroute data import: a published layout becomes a dataset folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from recroute.cli.options import JsonPath, Quiet, settings
from recroute.cli.places import check_places
from recroute.cli.screen import console, progress_bar
from recroute.data.sources import import_dataset, layout_names
from recroute.util.files import write_json


def import_data(
    layout: Annotated[
        str,
        typer.Argument(
            help="routereval, routerbench, embedllm, llmrouter, llmrouterbench, lm-eval, table, or another "
            "package's layout.",
            autocompletion=layout_names,
        ),
    ],
    source: Annotated[Path, typer.Argument(help="File or folder in that layout.")],
    destination: Annotated[Path, typer.Argument(help="The new dataset folder.")],
    columns: Annotated[
        str | None, typer.Option("--columns", help="table: their names for ours, instance_id=qid,llm_id=model.")
    ] = None,
    scale: Annotated[
        str | None, typer.Option("--scale", help="table: percent or minmax, to bring scores to 0..1.")
    ] = None,
    metric: Annotated[str | None, typer.Option("--metric", help="lm-eval: which metric is the score.")] = None,
    filter_name: Annotated[str | None, typer.Option("--filter", help="lm-eval: which filter's rows to take.")] = None,
    name_by: Annotated[
        str | None,
        typer.Option("--name-by", help="lm-eval: what tells LLMs apart: auto, model, revision or folder."),
    ] = None,
    prices: Annotated[Path | None, typer.Option("--prices", help="llmrouter: JSON of prices per 1M tokens.")] = None,
    pairs: Annotated[
        bool, typer.Option("--pairs", help="table: a row is a battle of two LLMs (model_a, model_b, winner).")
    ] = False,
    more: Annotated[
        list[str] | None, typer.Option("--set", help="Any setting of the layout as name=value; may be repeated.")
    ] = None,
    json_path: JsonPath = None,
    quiet: Quiet = False,
) -> None:
    """Import a published layout; in streams, so that memory stays bounded. Nothing is written unless all of it is.

    Example: recroute data import lm-eval lm_eval_output my_dataset --metric acc
    """
    check_places(json_path, folders={destination: "records.parquet"}, inputs=(source, prices))
    named = {"columns": columns, "scale": scale, "metric": metric, "filter": filter_name, "name_by": name_by}
    given: dict[str, object] = {name: value for name, value in named.items() if value is not None}
    given |= {"prices": prices} if prices is not None else {}
    given |= settings(more or []) | ({"pairs": True} if pairs else {})
    with progress_bar(f"importing {source.name}", quiet) as progress:
        done = import_dataset(layout, source, destination, progress=progress, **given)
    if json_path is not None:
        facts = {
            "layout": layout,
            "source": str(source),
            "dataset": str(destination),
            "n_instances": done.n_instances,
            "n_llms": done.n_llms,
            "n_records": done.n_records,
            "n_preferences": done.n_preferences,
            "notes": list(done.notes),
        }
        write_json(json_path, facts)
    out = console(quiet, json_path)
    counted = f"{done.n_preferences:,} preferences" if done.n_preferences else f"{done.n_records:,} records"
    out.print(
        f"{done.n_instances:,} instances x {done.n_llms:,} LLMs, {counted}: {destination}",
        markup=False,
        soft_wrap=True,
    )
    for note in done.notes:
        out.print(f"note: {note}", style="yellow", markup=False, soft_wrap=True)
    out.print(f"next: recroute data doctor {destination}", markup=False, soft_wrap=True)
