"""What an answer costs: any columns of the records, weighted, or the LLMs' prices per token."""

from __future__ import annotations

import polars as pl

from recroute.data.schema import number_column, require_columns, text_column
from recroute.errors import DataError

PRICES = "prices"
CHARACTERS_PER_TOKEN = 4  # of English text under the usual byte-pair encodings
TOKENS_OUT = 256  # assumed length of an answer where the records do not count its tokens


def cost_column(
    table: pl.DataFrame, wanted: str, source: str, instances: pl.DataFrame | None, llms: pl.DataFrame | None
) -> tuple[pl.DataFrame, dict[str, str]]:
    """The table of records with the column `cost` that a person asked for, and what a card should say of it.

    The card has `cost_unit` and, where something had to be assumed, `cost_note`.

    Parameters
    ----------
    table : polars.DataFrame
        Records; the costs of a row that lacks one of the columns are unknown.
    wanted : str
        A column in which lower is better, `latency_s`; several with weights, `usd=1,latency_s=0.01`; or `prices`,
        that is USD by the LLM table's `price_in, price_out` (per 1M tokens). Tokens are those that the records count
        (`tokens_in, tokens_out`); else a prompt has a token for every four characters, and an answer has 256.
    source : str
        Name of the records, for messages.
    instances, llms : polars.DataFrame, optional

    Raises
    ------
    DataError
        If a column is missing or no number, a weight is not above 0, or there are no prices.
    """
    if wanted == PRICES:
        return _by_price(table, source, instances, llms)
    weights = _weights(wanted)
    require_columns(table, tuple(weights), source)
    for name in weights:
        table = number_column(table, name, source)
    total = pl.sum_horizontal(pl.col(name) * weight for name, weight in weights.items())
    known = pl.all_horizontal(pl.col(name).is_not_null() for name in weights)
    unit = " + ".join(name if weight == 1 else f"{weight:g} {name}" for name, weight in weights.items())
    table = table.with_columns(pl.when(known).then(total).alias("cost"))
    return table, {"cost_unit": "USD" if unit == "cost" else unit}


def _weights(wanted: str) -> dict[str, float]:
    found = {}
    for item in wanted.split(","):
        name, sign, weight = (part.strip() for part in item.partition("="))
        try:
            found[name] = float(weight) if sign else 1.0
        except ValueError:
            found[name] = -1.0
        if not (name and 0 < found[name] < float("inf")):
            raise DataError(f"cost {item.strip()!r} is neither a column nor column=weight with a weight above 0")
    return found


def _by_price(
    table: pl.DataFrame, source: str, instances: pl.DataFrame | None, llms: pl.DataFrame | None
) -> tuple[pl.DataFrame, dict[str, str]]:
    if llms is None or not {"price_in", "price_out"} <= set(llms.columns):
        raise DataError("costs by prices need price_in and price_out (USD per 1M tokens) in llms.parquet; add them")
    assumed = []
    for name in {"tokens_in", "tokens_out"} & set(table.columns):
        table = number_column(table, name, source)
    for name in ("instance_id", "llm_id"):
        require_columns(table, (name,), source)
        table = text_column(table, name, source)
    if "tokens_in" not in table.columns:
        if instances is None or "prompt" not in instances.columns:
            raise DataError(f"costs by prices need a column tokens_in in {source}, or prompts to count characters in")
        tokens = (pl.col("prompt").str.len_chars() / CHARACTERS_PER_TOKEN).alias("tokens_in")
        table = table.join(instances.select("instance_id", tokens), on="instance_id", how="left", maintain_order="left")
        assumed.append(f"{CHARACTERS_PER_TOKEN} characters per token of the prompt")
    if "tokens_out" not in table.columns:
        table = table.with_columns(pl.lit(TOKENS_OUT).alias("tokens_out"))
        assumed.append(f"{TOKENS_OUT} tokens per answer")
    prices = llms.select("llm_id", pl.col("price_in", "price_out").cast(pl.Float64))
    table = table.drop("price_in", "price_out", strict=False)  # columns of the records by these names are no prices
    table = table.join(prices, on="llm_id", how="left", maintain_order="left")
    cost = (pl.col("price_in") * pl.col("tokens_in") + pl.col("price_out") * pl.col("tokens_out")) / 1e6
    table = table.with_columns(cost.alias("cost"))
    if table["cost"].null_count() == table.height:
        raise DataError("no LLM with records has price_in and price_out in llms.parquet; fill them in")
    note = {"cost_note": f"costs are by the prices of the LLM table, assuming {' and '.join(assumed)}"}
    return table, {"cost_unit": "USD", **(note if assumed else {})}
