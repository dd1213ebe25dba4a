"""Base classes of results: tidy rows with provenance, and their document."""

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
from recroute.report.shown import Tabular
from recroute.util.files import write_json, write_parquet, write_text
from recroute.util.folders import new_folder

RESULT, CONFIG, ENVIRONMENT, CHOICES = "result.json", "config.json", "environment.json", "choices.parquet"


@dataclass(frozen=True, repr=False, eq=False)
class Result(Tabular):
    """Base class of all results. A subclass implements `sentences`, `document` and `plot`.

    Parameters
    ----------
    rows : polars.DataFrame
        One row per metric value with its 95% interval; `seed` is null if the row is pooled over seeds.
    info : mapping
        `dataset`, `seed`, `seeds`, `notes`, `complete`, `splits`, `routers`, `environment`, and entries of the
        experiment.
    """

    rows: pl.DataFrame
    info: Mapping[str, Any]

    def to_polars(self) -> pl.DataFrame:
        """`rows`."""
        return self.rows

    @property
    def notes(self) -> list[str]:
        return list(self.info["notes"])

    @property
    def seeds(self) -> list[int]:
        """Seeds in the table: all requested ones, unless the run was interrupted."""
        return list(self.info["seeds"])

    @property
    def marked(self) -> str:
        """Prefix of figure titles that marks simulated data; empty for real data."""
        return SIMULATED if self.info["dataset"].get("simulated") else ""

    def pooled(self, metric: str, **where: Any) -> pl.DataFrame:
        """Rows of a metric pooled over seeds."""
        return self.rows.filter(pl.col("seed").is_null(), metric=metric, **where)

    def row(self, metric: str, **where: Any) -> dict[str, Any] | None:
        """First matching row, pooled over seeds; None if there is none."""
        return next(self.pooled(metric, **where).iter_rows(named=True), None)

    def counted(self, n: int | None = None) -> str:
        """Caption of a table: number of instances (default: all test instances), seeds, intervals."""
        n_seeds, n = len(self.seeds), n or self.info["dataset"].get("n_test")
        instances = "" if n is None else f"n = {n:,} test instances x "
        return f"{instances}{n_seeds} seed{'s' * (n_seeds != 1)}, 95% bootstrap intervals"

    @abstractmethod
    def sentences(self) -> list[str]:
        """Verdict of the result, as sentences."""

    @abstractmethod
    def plot(self, **options: Any) -> Any:
        """Plot the result; returns the Matplotlib axes."""

    def write_png(self, path: str | Path) -> None:
        """Write the plot as a PNG file with 150 dpi, atomically."""
        from recroute.report.figure import save_axes

        save_axes(self.plot(), path)

    def write_csv(self, path: str | Path) -> None:
        """Write the rows as a CSV file, atomically."""
        write_text(path, self.rows.write_csv())

    def write_json(self, path: str | Path, command: list[str] | None = None) -> None:
        """Write the result JSON, atomically."""
        write_json(path, self.to_dict(command))

    def write_run(self, path: str | Path, config: Mapping[str, Any] | None = None) -> None:
        """Write a run folder with the configuration, the result, the environment and, if kept, the choices.

        `config` has all options with their values; the routers' hyperparameters are added. An older run there is
        replaced; raises RecrouteError if `path` is something else.
        """
        info, choices = self.info, getattr(self, "choices", None)
        options = {"options": dict(config or {}), "seeds": info["seeds"], "routers": info.get("routers", {})}
        with new_folder(Path(path), marker=RESULT) as folder:
            write_json(folder / CONFIG, options)
            write_json(folder / ENVIRONMENT, info.get("environment", {}))
            if choices is not None:
                write_parquet(folder / CHOICES, choices)
            self.write_json(folder / RESULT)

    def to_dict(self, command: list[str] | None = None) -> dict[str, Any]:
        """Result JSON: version, command, data set, seed, rows, and the other entries of `info`."""
        return {**self.head(command), "rows": records(self.rows)}

    def head(self, command: list[str] | None = None) -> dict[str, Any]:
        """Result JSON without its tables; `command` replaces that in `info`."""
        first = {
            "recroute": __version__,
            "command": command or self.info.get("command", []),
            "dataset": self.info["dataset"],
            "seed": self.info["seed"],
        }
        return first | {key: value for key, value in self.info.items() if key not in first}

    def with_info(self, **more: Any) -> Self:
        """Copy with more entries in `info`."""
        return replace(self, info={**self.info, **more})

    def document_of(self, title: str, facts: str, blocks: list[Block], *, unfinished: str = "seeds") -> Document:
        """Document of these blocks followed by the provenance; `unfinished` names what an interrupted run lacks."""
        data = self.info["dataset"]
        return Document(
            title=f"{title} {data['name']}",
            facts=facts,
            verdict=self.sentences(),
            notes=self.notes,
            blocks=[*blocks, self._origin()],
            simulated=bool(data.get("simulated")),
            unfinished=""
            if self.info.get("complete", True)
            else f"INTERRUPTED: only finished {unfinished} are included.",
        )

    def _origin(self) -> Section:
        """Provenance: everything needed to repeat the run."""
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
            settings = {
                label: ", ".join(f"{k}={v}" for k, v in known.items() if k not in ("name", "seed"))
                for label, known in routers.items()
            }
            blocks.append(Facts(title="Routers", facts={label: text for label, text in settings.items() if text}))
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
        Choice of every router for every test instance, see `recroute.evaluation.choices.choice_table`.
    """

    comparisons: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=COMPARISON_COLUMNS))
    choices: pl.DataFrame | None = None

    @property
    def main_metric(self) -> str:
        """ "mean_score", or "agreement" if there are only preferences."""
        return "mean_score" if "mean_score" in self.rows["metric"] else "agreement"

    def to_dict(self, command: list[str] | None = None) -> dict[str, Any]:
        """Result JSON; comparisons are rows with a baseline."""
        pairs = self.comparisons.with_columns(pl.lit(None, dtype=pl.Int64).alias("seed"))
        return {**self.head(command), "rows": records(self.rows) + records(pairs)}


def records(table: pl.DataFrame) -> list[dict[str, Any]]:
    """Rows of a table for JSON, with null for NaN."""
    return table.with_columns(pl.col(pl.Float64).fill_nan(None)).to_dicts()
