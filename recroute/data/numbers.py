"""Columns of numbers as programs, spreadsheets and people write them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import polars as pl

from recroute.errors import DataError

TRUE, FALSE = ("true", "yes"), ("false", "no")
NOTHING, ONE, ZERO = (pl.Series([value], dtype=pl.Float64) for value in (None, 1.0, 0.0))
MISSING = ("na", "n/a", "#n/a", "<na>", "null", "none")  # and NaN, which is a number to polars
COMMA = r"^[+-]?\d*,\d+(?:[eE][+-]?\d+)?$"


def is_text(dtype: pl.DataType) -> bool:
    """Whether a column of this type holds text."""
    return dtype == pl.String or isinstance(dtype, pl.Categorical | pl.Enum)


def kind_name(dtype: pl.DataType) -> str:
    """A type for messages, without the fields of a nested one."""
    return str(dtype.base_type()) if dtype.is_nested() else str(dtype)


def plain_number(values: pl.Expr) -> pl.Expr:
    """Text that is a number to everybody, f64; null for any other."""
    return values.cast(pl.String).str.strip_chars().cast(pl.Float64, strict=False)


def as_numbers(values: pl.Series, source: str) -> pl.Series:
    """A column as f64, null where it is missing, see `NumberReader`.

    Examples
    --------
    >>> as_numbers(pl.Series("score", ["0,5", "yes", "NA"]), "t").to_list()
    [0.5, 1.0, None]
    """
    return NumberReader(source).read(values.to_frame()).to_series()


class NumberReader:
    """Reads the columns of numbers of a table, batch by batch, and remembers how they are written.

    Parameters
    ----------
    source : str
        What messages call the table.
    mend : callable
        What else a person may do about a column of this name in which something is no number.

    Attributes
    ----------
    commas, points : set of str
        Columns of text with decimal commas, and with decimal points.
    words : set of str
        What stood for a number, or for one that is missing.
    """

    def __init__(self, source: str, mend: Callable[[str], str] = lambda name: "") -> None:
        self.source, self.mend = source, mend
        self.n_rows = 0
        self.commas: set[str] = set()
        self.points: set[str] = set()
        self.words: set[str] = set()

    def read(self, table: pl.DataFrame) -> pl.DataFrame:
        """All columns of the next rows as f64, null where a number is missing.

        Raises DataError for a column of another kind, text that is no number, and decimal commas beside points.
        """
        for name, kind in table.schema.items():
            if not (is_text(kind) or kind.is_numeric() or kind in (pl.Boolean, pl.Null)):
                mend = self.mend(name)
                raise DataError(f"{name} is {kind_name(kind)} in {self.source}, not a number; give it as a float{mend}")
        texts = [name for name, kind in table.schema.items() if is_text(kind)]
        if texts and table.height:
            cells = pl.concat([table[name].cast(pl.String).alias("cells") for name in texts]).str.strip_chars()
            numbers = self._read(cells, texts, table.height)
            parts = [numbers[at * table.height : (at + 1) * table.height] for at in range(len(texts))]
            table = table.with_columns(part.alias(name) for name, part in zip(texts, parts, strict=True))
        self.n_rows += table.height
        return table.cast(pl.Float64)

    def _read(self, cells: pl.Series, texts: Sequence[str], height: int) -> pl.Series:
        """The cells of columns of text, one column after the other, as f64."""
        numbers = cells.cast(pl.Float64, strict=False)
        for at in self._columns(cells.str.contains(".", literal=True).fill_null(False), height):
            self.points.add(texts[at])
        odd = (cells.is_not_null() & numbers.is_null() & (cells != "")).arg_true()
        if len(odd) == 0:
            return numbers
        told, word = cells.gather(odd), cells.gather(odd).str.to_lowercase()
        comma = told.str.contains(COMMA)
        found = told.str.replace(",", ".", literal=True).cast(pl.Float64, strict=False).zip_with(comma, NOTHING)
        found = ONE.zip_with(word.is_in(TRUE), ZERO.zip_with(word.is_in(FALSE), found))
        wrong = found.is_null() & ~word.is_in(MISSING)
        if wrong.any():
            at, row = divmod(int(odd[int(wrong.arg_max() or 0)]), height)
            value, place = cells[at * height + row], f"{self.source}, row {self.n_rows + row}"
            raise DataError(f"{texts[at]} {value!r} in {place} is not a number; fix that row{self.mend(texts[at])}")
        self.words.update(told.filter(~comma).unique())
        self.commas.update(texts[at] for at in set((odd.filter(comma) // height).to_list()))
        if both := sorted(self.commas & self.points):
            raise DataError(
                f"{both[0]} has numbers with a decimal comma and numbers with a decimal point in {self.source}; write "
                "all alike"
            )
        return numbers.scatter(odd, found)

    @staticmethod
    def _columns(marked: pl.Series, height: int) -> list[int]:
        """Columns in which a cell is marked."""
        return (marked.arg_true() // height).unique().to_list()
