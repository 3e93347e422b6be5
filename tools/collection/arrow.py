"""Arrow: the columns of a query's result as numpy sees memory, without a library that knows the Arrow format.

DuckDB hands its 128-bit decimals out unchanged in this one way alone; everywhere else it divides them first, which takes
longer than all the adding up.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tools.model.errors import OptiInfraError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_MICRO = 10**12  # of an amount's last decimal


class _Array(ctypes.Structure):
    """ArrowArray of the Arrow C data interface."""


_Array._fields_ = [
    ("length", ctypes.c_int64),
    ("null_count", ctypes.c_int64),
    ("offset", ctypes.c_int64),
    ("n_buffers", ctypes.c_int64),
    ("n_children", ctypes.c_int64),
    ("buffers", ctypes.POINTER(ctypes.c_void_p)),
    ("children", ctypes.POINTER(ctypes.POINTER(_Array))),
    ("dictionary", ctypes.c_void_p),
    ("release", ctypes.CFUNCTYPE(None, ctypes.POINTER(_Array))),
    ("private_data", ctypes.c_void_p),
]


class _Stream(ctypes.Structure):
    """ArrowArrayStream of the Arrow C stream interface."""


_Stream._fields_ = [
    ("get_schema", ctypes.c_void_p),
    ("get_next", ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(_Stream), ctypes.POINTER(_Array))),
    ("get_last_error", ctypes.CFUNCTYPE(ctypes.c_char_p, ctypes.POINTER(_Stream))),
    ("release", ctypes.c_void_p),
    ("private_data", ctypes.c_void_p),
]


def columns(
    db: DuckDBPyConnection, query: str, parameters: Sequence[object], types: Sequence[str]
) -> Iterator[list[Any]]:
    """The result piece by piece, each as one numpy array a column; it is gone when the next piece is asked for.

    `types` are numpy's of the columns; a decimal is "2<u8", of which every row has the lower and the upper half.
    """
    # Kept by name: the memory that `stream` points to lives as long as the capsule.
    capsule = db.sql(query, params=list(parameters)).__arrow_c_stream__()
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    stream = ctypes.cast(pointer(capsule, b"arrow_array_stream"), ctypes.POINTER(_Stream))
    while True:
        piece = _Array()
        if stream.contents.get_next(stream, ctypes.byref(piece)):
            raise OptiInfraError(f"The roll-up failed: {stream.contents.get_last_error(stream).decode()[:200]}.")
        if not piece.release:
            return
        try:
            yield [_column(piece.children[n].contents, wanted) for n, wanted in enumerate(types)]
        finally:
            piece.release(ctypes.byref(piece))


def _column(array: Any, wanted: str) -> Any:
    import numpy as np

    if array.null_count:
        raise OptiInfraError("The roll-up left a figure out.")
    kind = np.dtype(wanted)
    size = (array.offset + array.length) * kind.itemsize
    memory = (ctypes.c_char * size).from_address(array.buffers[1]) if size else b""
    return np.frombuffer(memory, kind)[array.offset :]


def split(amounts: Any) -> tuple[Any, Any]:
    """The two integers (tools/model/money.py) of amounts with 18 decimals, as `columns` gives them."""
    import numpy as np

    low, high = amounts[:, 0], amounts[:, 1].view("<i8")
    # Nearly the micros; what they leave out of the lower half is small, and exact: 64-bit numbers turn round.
    # One that does not fit is refused by who takes the total over.
    with np.errstate(invalid="ignore"):
        near = np.rint((high * 2.0**64 + low) / _MICRO).astype("<i8")
    left = (low - near.view("<u8") * np.uint64(_MICRO)).view("<i8")
    carried = left // _MICRO
    return near + carried, left - carried * _MICRO
