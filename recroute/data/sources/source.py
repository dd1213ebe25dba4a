"""What an importer is, its registry, and `import_dataset`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import polars as pl

from recroute.data.content import Content, Progress, write_content
from recroute.data.reading import regular_file
from recroute.errors import DataError
from recroute.util.folders import check_new_folder
from recroute.util.registry import Registry, convert_settings, field_names

BUILT_IN = {
    "routereval": "recroute.data.sources.routereval:RouterEval",
    "routerbench": "recroute.data.sources.routerbench:RouterBench",
    "embedllm": "recroute.data.sources.embedllm:EmbedLLM",
    "llmrouter": "recroute.data.sources.llmrouter:LLMRouter",
    "llmrouterbench": "recroute.data.sources.llmrouterbench:LLMRouterBench",
    "xroutebench": "recroute.data.sources.xroutebench:XRouteBench",
    "lm-eval": "recroute.data.sources.lm_eval:LmEval",
    "helm": "recroute.data.sources.helm:Helm",
    "inspect-ai": "recroute.data.sources.inspect_ai:InspectAi",
    "opencompass": "recroute.data.sources.opencompass:OpenCompass",
    "leaderboard": "recroute.data.sources.leaderboard:Leaderboard",
    "table": "recroute.data.sources.table:Table",
}
REGISTRY = Registry("layout", "recroute.sources", BUILT_IN)
SPLIT_NAMES = {
    "train": "train",
    "val": "valid",
    "valid": "valid",
    "validation": "valid",
    "dev": "valid",
    "test": "test",
}


@dataclass(frozen=True, kw_only=True)
class Source:
    """A published layout. A subclass is a keyword-only dataclass whose fields are its settings.

    Class attributes: `layout` (registry name), `reads` (half a line on what it takes), `card` (title, source,
    licence and meaning of a score, for the data set's card).
    """

    layout: ClassVar[str]
    reads: ClassVar[str]
    card: ClassVar[dict[str, str]] = {}

    def read(self, path: Path) -> Content:
        """Open what lies at `path`. Raises DataError, one line, for anything that is not of this layout."""
        raise NotImplementedError


@dataclass(frozen=True)
class Imported:
    """What an import did: where it is, its shape, and what a person has to know of it."""

    path: Path
    n_instances: int
    n_llms: int
    n_records: int
    notes: tuple[str, ...]
    n_preferences: int = 0


def layout_names() -> list[str]:
    """All layouts that can be imported."""
    return REGISTRY.names()


def make_source(layout: str, **settings: Any) -> Source:
    """An importer by name; text is converted to the type of each setting.

    >>> make_source("lm-eval", metric="acc").metric
    'acc'
    """
    cls = REGISTRY.get(layout)
    return cls(**convert_settings(cls, layout, "setting", field_names(cls), settings, DataError))


def import_dataset(
    layout: str,
    source: str | Path,
    destination: str | Path,
    *,
    progress: Progress | None = None,
    float16: bool = False,
    **settings: Any,
) -> Imported:
    """Read a published layout and write it as a dataset folder.

    Parameters
    ----------
    layout : str
        One of `layout_names()`, such as "routereval", "lm-eval" or "table"; other packages register theirs under the
        entry point group `recroute.sources`.
    source : str or Path
        File or folder in that layout.
    destination : str or Path
        The new dataset folder; an older one there is replaced whole, or not at all.
    progress : callable, optional
        Called with the rows done and the rows in all.
    float16 : bool
        Write vectors in half precision, see `write_dataset`.
    **settings
        Of the layout: see its class.

    Raises
    ------
    DataError
        For anything in `source` that is not of this layout; nothing is written then.
    """
    importer = make_source(layout, **settings)
    source, destination = Path(source), Path(destination)
    if not source.exists():
        raise DataError(f"nothing at {source}; name a file or folder in the {layout} layout ({importer.reads})")
    if not source.is_dir():
        regular_file(source)
    if destination.resolve() in (source.resolve(), *source.resolve().parents):
        raise DataError(f"{destination} holds the source itself; name another place for the data set")
    check_new_folder(destination, marker="records.parquet")
    try:
        content = importer.read(source)
        content.card = {"name": destination.name, "layout": layout, **importer.card, **content.card}
        content = usable(content)
        content.float16 = float16
        content.notes += _repeated_prompts(content.instances)
        n_records = write_content(content, destination, progress)
    except RecursionError:
        raise DataError(f"{source} is nested too deeply to be data of the {layout} layout; fix it") from None
    except MemoryError:
        raise DataError(f"{source} asks for more memory than there is; is it damaged?") from None
    n_battles = 0 if content.preferences is None else content.preferences.height
    shape = (content.instances.height, content.llms.height)
    return Imported(destination, *shape, n_records, tuple(content.notes), n_battles)


def usable(content: Content) -> Content:
    """The content with a task for every instance, no missing prompts, and a split only where it can be used."""
    table = content.instances
    if "task" not in table.columns or table["task"].null_count() == table.height:
        table = table.with_columns(pl.lit("all").alias("task"))
    for column in {"task", "benchmark", "prompt"} & set(table.columns):
        if (n := table[column].null_count()) == table.height:
            table = table.drop(column)
        elif n:
            filled = "" if column == "prompt" else "none"
            content.notes.append(f"no {column} in {n:,} of {table.height:,} instances: it is {filled!r} there")
            table = table.with_columns(pl.col(column).fill_null(filled))
    if "split" in table.columns:
        parts = table["split"].cast(pl.String).str.to_lowercase().replace_strict(SPLIT_NAMES, default=None)
        if parts.null_count() or not {"train", "test"} <= set(parts):
            table = table.rename({"split": "source_split"})
        else:
            table = table.with_columns(parts.alias("split"))
    content.instances = table
    return content


def _repeated_prompts(instances: pl.DataFrame) -> list[str]:
    """A note if instances of a task have one prompt, as they do where a passage was left out."""
    if "prompt" not in instances.columns:
        return []
    by = ["task", "prompt"]
    same = instances.filter(pl.col("prompt") != "").group_by(by).agg(pl.len(), pl.col("instance_id").sort().head(2))
    same = same.filter(pl.col("len") > 1).sort("len", *by, descending=[True, False, False])
    if same.is_empty():
        return []
    tasks = same["task"].unique().sort().to_list()
    where = ", ".join(tasks[:5]) + (", ..." if len(tasks) > 5 else "")
    first, second = same["instance_id"][0]
    return [
        f"{same['len'].sum():,} of {instances.height:,} instances have the prompt of another one of their task "
        f"({where}), such as {first} and {second}: was a passage left out, or is it the same question twice?"
    ]
