"""Compiled code reads the arrays of a frame where they lie."""

import numba
import numpy as np
import pytest
from chengfang.envs.kernels.frame import (
    Frame,
    cube_at,
    frame_dtype,
    matrix_at,
    record_at,
    vector_at,
)

F = np.float32
SHAPE = frame_dtype(("first",), ("line", "table", "box"))


@numba.njit
def add_up(address):
    frame = record_at(address, SHAPE)
    line = vector_at(frame.line, np.int64)
    table = matrix_at(frame.table, F)
    box = cube_at(frame.box, np.float64)
    line[frame.first] += 1
    return table[1, 2] + box[1, 0, 2]


def arrays():
    return {
        "line": np.zeros(4, np.int64),
        "table": np.arange(6, dtype=F).reshape(2, 3),
        "box": np.arange(12.0).reshape(2, 2, 3),
    }


def test_arrays_are_read_and_written_in_place():
    given = arrays()
    frame = Frame(SHAPE, **given)
    frame.note(first=3)
    assert add_up(frame.address) == given["table"][1, 2] + given["box"][1, 0, 2]
    assert given["line"].tolist() == [0, 0, 0, 1]


def test_an_entry_can_point_elsewhere():
    given = arrays()
    frame = Frame(SHAPE, **given)
    frame.point(table=np.full((5, 3), F(10)))
    assert add_up(frame.address) == 10 + given["box"][1, 0, 2]


def test_a_frame_keeps_its_arrays_alive():
    frame = Frame(SHAPE, **arrays())
    assert add_up(frame.address) == 5 + 8


def test_an_array_with_gaps_is_refused():
    with pytest.raises(ValueError, match=r"array table has strides .*; it must be contiguous"):
        Frame(SHAPE, table=np.zeros((4, 6), F)[:, ::2])
