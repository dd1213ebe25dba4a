"""recroute data sample: a part of a data set of any size, as an ordinary data set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recroute.cli.fit import SAMPLE, TEST
from recroute.cli.options import QUIET, SEED, Option, verb
from recroute.cli.places import check_places
from recroute.cli.screen import console
from recroute.data import write_dataset
from recroute.data.parts import Parts

SOURCE = Option("source", Path, help="A folder with records.parquet and instances.parquet.", is_argument=True)
TARGET = Option("target", Path, help="Folder of the new data set.", is_argument=True)


@verb(SOURCE, TARGET, SAMPLE, TEST, SEED, QUIET)
def sample(chosen: Any) -> None:
    """Draw a data set with a split, train and test, by the hash of the ids, to evaluate, scale and tune on.

    records.parquet and instances.parquet may be folders of Parquet files that do not fit into memory. recroute fit with
    --engine blocks and the same --seed and --test leaves the same test prompts out.

    Example: recroute data sample logs logs_sample --sample 20000 --test 2000
    """
    check_places(folders={chosen.target: "records.parquet"}, inputs=[chosen.source])
    found = Parts.read(chosen.source, n_test=chosen.test, n_sample=chosen.sample, seed=chosen.seed).samples
    write_dataset(found, chosen.target)
    parts = found.instances["split"].value_counts(sort=True)
    n_of = dict(parts.iter_rows())
    console(chosen.quiet).say(
        f"{n_of['train']:,} prompts to train on and {n_of.get('test', 0):,} to test on, "
        f"{found.interactions.n_observed:,} records: {chosen.target}"
    )
