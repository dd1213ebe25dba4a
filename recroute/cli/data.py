"""recroute data: import, download, look at and examine data sets."""

import typer

from recroute.cli.lazy import Verb, lazy_group

GET, LOOK = "Get data", "Look at data"
VERBS = {
    "import": Verb("recroute.cli.import_data:import_data", GET, "A published layout becomes a dataset folder."),
    "download": Verb("recroute.cli.download:download", GET, "Load a public data set."),
    "sample": Verb("recroute.cli.sample:sample", GET, "A part of a data set too large for memory."),
    "describe": Verb("recroute.cli.describe:describe", LOOK, "Shape, density, scores and tasks."),
    "doctor": Verb("recroute.cli.doctor:doctor", LOOK, "Check a data set for problems that would bias results."),
}
app = typer.Typer(
    cls=lazy_group(VERBS),
    help="Import, download, look at and examine data sets.\n\nExample: recroute data describe my_dataset",
    rich_markup_mode="rich",
    add_completion=False,
)


@app.callback()
def _root() -> None:
    """A group, also where nothing but verbs are in it."""
