"""Reading LanceDB tables: conditions, rows by id, columns as arrays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa


def sql_in(column: str, values: Iterable[str]) -> str:
    """An SQL condition `column IN (…)` with the values quoted; false for no values."""
    quoted = ", ".join("'" + value.replace("'", "''") + "'" for value in sorted(values))
    return f"{column} IN ({quoted})" if quoted else "false"


def rows_of_clips(table: Any, clip_ids: Iterable[str], columns: Sequence[str], *, where: str | None = None) -> pa.Table:
    """Columns of those of the clips that `table` has and that meet an SQL condition, in no order."""
    condition = sql_in("clip_id", clip_ids)
    return table.search().where(f"{condition} AND {where}" if where else condition).select(list(columns)).to_arrow()


def vectors_in(rows: pa.Table, column: str) -> npt.NDArray[np.float32]:
    """`(N, D)` of a column of vectors that has no nulls."""
    values = rows.column(column).combine_chunks()
    return np.asarray(values.flatten(), dtype=np.float32).reshape(len(values), values.type.list_size)


def distinct(table: Any, column: str) -> list[str]:
    """Distinct values of a string column."""
    values = table.search().select([column]).to_arrow().column(column)
    return [str(value) for value in values.unique().to_pylist()]
