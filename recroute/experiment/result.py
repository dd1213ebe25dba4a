"""The result of an experiment: tidy rows, how they came about, and one document of what they say."""

from __future__ import annotations

import shlex
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import polars as pl

from recroute._version import __version__
from recroute.experiment.compare import COMPARISON_COLUMNS
from recroute.report.document import SIMULATED, Block, Document, Facts, Medium, Section, Words
from recroute.report.shown import Shown
from recroute.util.files import write_json, write_parquet, write_text
from recroute.util.folders import new_folder

RESULT, CONFIG, ENVIRONMENT, CHOICES = "result.json", "config.json", "environment.json", "choices.parquet"


@dataclass(frozen=True, repr=False, eq=False)
class Result(Shown):
    """Base of all results. A subclass says in `sentences` and `document` what there is to say, and draws its `plot`.

    Parameters
    ----------
    rows : polars.DataFrame
        One row per metric value with its 95% interval; `seed` is null when pooled over seeds.
    info : mapping
        `dataset`, `seed`, `seeds`, `notes`, `complete`, `splits`, `routers`, `environment` and what else is known.
    """

    rows: pl.DataFrame
    info: Mapping[str, Any]

    @property
    def notes(self) -> list[str]:
        return list(self.info["notes"])

    @property
    def seeds(self) -> list[int]:
        """The seeds in the table: all that were asked for, unless the run was interrupted."""
        return list(self.info["seeds"])

    @property
    def marked(self) -> str:
        """What stands before titles of pictures: whether the data are simulated."""
        return SIMULATED if self.info["dataset"].get("simulated") else ""

    def pooled(self, metric: str, **where: Any) -> pl.DataFrame:
        """Rows of a metric pooled over seeds."""
        return self.rows.filter(pl.col("seed").is_null(), metric=metric, **where)

    def row(self, metric: str, **where: Any) -> dict[str, Any] | None:
        """The first of these rows, if there is one."""
        return next(self.pooled(metric, **where).iter_rows(named=True), None)

    @abstractmethod
    def sentences(self) -> list[str]:
        """What can be said in words."""

    @abstractmethod
    def plot(self, **options: Any) -> Any:
        """The picture, as Matplotlib axes."""

    def write_png(self, path: str | Path) -> None:
        """Write the picture as a PNG file of 150 dpi, whole or not at all."""
        from recroute.report.figure import save_axes

        save_axes(self.plot(), path)

    def write_csv(self, path: str | Path) -> None:
        """Write the rows as a table, whole or not at all."""
        write_text(path, self.rows.write_csv())

    def write_json(self, path: str | Path, command: list[str] | None = None) -> None:
        """Write the result JSON, whole or not at all."""
        write_json(path, self.to_dict(command))

    def write_run(self, path: str | Path, config: Mapping[str, Any] | None = None) -> None:
        """Write a run folder: what was asked for, the result, the environment and, if kept, the choices.

        `config` is every option with its value; the routers' hyperparameters are added. An older run of the same place
        is replaced; raises RecrouteError if the place holds something else.
        """
        info, choices = self.info, getattr(self, "choices", None)
        asked = {"options": dict(config or {}), "seeds": info["seeds"], "routers": info.get("routers", {})}
        with new_folder(Path(path), marker=RESULT) as folder:
            write_json(folder / CONFIG, asked)
            write_json(folder / ENVIRONMENT, info.get("environment", {}))
            if choices is not None:
                write_parquet(folder / CHOICES, choices)
            self.write_json(folder / RESULT)

    def to_dict(self, command: list[str] | None = None) -> dict[str, Any]:
        """The result JSON: version, command, data set, seed, rows and what else is known of the run."""
        return {**self.head(command), "rows": records(self.rows)}

    def head(self, command: list[str] | None = None) -> dict[str, Any]:
        """All of the result JSON but its tables; `command` replaces what `info` says of it."""
        first = {
            "recroute": __version__,
            "command": command or self.info.get("command", []),
            "dataset": self.info["dataset"],
            "seed": self.info["seed"],
        }
        return first | {key: value for key, value in self.info.items() if key not in first}

    def with_info(self, **more: Any) -> Self:
        """The result with more known of it."""
        return replace(self, info={**self.info, **more})

    def document_of(self, title: str, facts: str, blocks: list[Block], *, unfinished: str = "seeds") -> Document:
        """The document of a result: these blocks, then how it came about; `unfinished` says what an interrupt cost."""
        data = self.info["dataset"]
        return Document(
            title=f"{title} {data['name']}",
            facts=facts,
            verdict=self.sentences(),
            notes=self.notes,
            blocks=[*blocks, self._origin()],
            simulated=bool(data.get("simulated")),
            unfinished="" if self.info.get("complete", True) else f"INTERRUPTED: only finished {unfinished} are here.",
        )

    def _origin(self) -> Section:
        """All that is needed to do it again."""
        info = self.info
        commands = info.get("commands", {"": info.get("command", [])})
        facts = {key.replace("_", " "): value for key, value in info["dataset"].items() if key != "sha256"}
        facts |= {"seeds": ", ".join(map(str, self.seeds)), "test set": info.get("test_use", "not recorded")}
        blocks: list[Block] = [
            Words(text=f"{f'{run}: ' if run else ''}{shlex.join(map(str, command))}", is_command=True)
            for run, command in commands.items()
            if command
        ]
        blocks += [
            Facts(facts=facts),
            Facts(title="Versions", facts=info.get("environment", {})),
            Facts(title="SHA-256 of each seed's split", facts=info.get("splits", {})),
            Facts(title="SHA-256 of the data", facts=info["dataset"].get("sha256", {})),
        ]
        if routers := info.get("routers"):
            told = {
                label: ", ".join(f"{k}={v}" for k, v in known.items() if k not in ("name", "seed"))
                for label, known in routers.items()
            }
            blocks.append(Facts(title="Routers", facts=told))
        return Section(title="Provenance", blocks=blocks, on=Medium.PAGE)

    def __repr__(self) -> str:
        routers, metrics = (self.rows[name].n_unique() for name in ("router", "metric"))
        return (
            f"{type(self).__name__}({self.marked.replace(': ', ', ')}{self.info['dataset']['name']!r}: "
            f"{self.rows.height:,} rows, {routers} routers, {metrics} metrics)"
        )


@dataclass(frozen=True, repr=False, eq=False)
class Compared(Result):
    """A result with paired comparisons.

    Parameters
    ----------
    comparisons : polars.DataFrame
        Paired differences to a baseline, pooled over seeds, see `recroute.experiment.compare.comparisons`.
    choices : polars.DataFrame, optional
        What every router took for every test instance, see `recroute.evaluation.choices.choice_table`.
    """

    comparisons: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=COMPARISON_COLUMNS))
    choices: pl.DataFrame | None = None

    @property
    def main_metric(self) -> str:
        """The mean score, or where there are only preferences the agreement with them."""
        return "mean_score" if "mean_score" in self.rows["metric"] else "agreement"

    def to_dict(self, command: list[str] | None = None) -> dict[str, Any]:
        """The result JSON; a comparison is a row that names its baseline."""
        pairs = self.comparisons.with_columns(pl.lit(None, dtype=pl.Int64).alias("seed"))
        return {**self.head(command), "rows": records(self.rows) + records(pairs)}


def records(table: pl.DataFrame) -> list[dict[str, Any]]:
    """Rows of a table for JSON, where a value that does not exist is null."""
    return table.with_columns(pl.col(pl.Float64).fill_nan(None)).to_dicts()
