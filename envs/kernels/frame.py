"""Arrays handed to compiled code by their addresses: a call with one number instead of twenty
arrays.

Numba looks at the type of every argument of every call, which takes 0.1 µs for each array; a whole
tick of one market takes 5 µs. A frame is a record of numbers and of where arrays lie. Python fills
it once, and compiled code reads its arrays from it by name.
"""

from typing import Any

import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.numpy_support import carray

from .compiled import kernel

# Where a C-contiguous array of at most three dimensions lies, and its shape.
PLACE = np.dtype([("address", "i8"), ("shape", "i8", 3)])


def frame_dtype(numbers: tuple[str, ...], arrays: tuple[str, ...]) -> np.dtype[np.void]:
    """The record of a frame with whole `numbers` and `arrays` of these names."""
    fields: list[Any] = [(name, "i8") for name in numbers]
    fields += [(name, PLACE) for name in arrays]
    return np.dtype(fields, align=True)


class Frame:
    """One record of a frame's dtype. It keeps its arrays alive, so its addresses stay valid.

    Attributes:
        address: what compiled code is called with; see `record_at`.
    """

    def __init__(self, dtype: np.dtype[np.void], **arrays: np.ndarray):
        self._record = np.zeros(1, dtype)
        self._kept: dict[str, np.ndarray] = {}
        self.address = _address(self._record)
        self.point(**arrays)

    def point(self, **arrays: np.ndarray) -> None:
        """Let the named entries point to these arrays.

        Raises:
            ValueError: an array that is not C-contiguous.
        """
        for name, array in arrays.items():
            if not array.flags.c_contiguous:
                raise ValueError(f"array {name} has strides {array.strides}; it must be contiguous")
            place = self._record[0][name]
            place["address"] = _address(array)
            place["shape"][: array.ndim] = array.shape
            self._kept[name] = array

    def note(self, **numbers: int) -> None:
        """Set the named whole numbers."""
        for name, number in numbers.items():
            self._record[name] = number


def _address(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]


def _cast(typing_context: Any, address: Any) -> Any:
    """How a number becomes a pointer, for Numba."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)

    return types.voidptr(types.int64), generate


_pointer: Any = intrinsic(_cast)


@kernel
def record_at(address, dtype):
    """The record of a structured dtype that lies at an address.

    A record's field has a shape the compiler knows: its rows then lie at known distances and need
    no overlap checks at run time, which cost more than a short loop itself and keep loops of 12 or
    16 from being vectorised at all.
    """
    return carray(_pointer(address), 1, dtype)[0]


@kernel
def vector_at(place, dtype):
    """A one-dimensional array of a frame."""
    return carray(_pointer(place.address), place.shape[0], dtype)


@kernel
def matrix_at(place, dtype):
    """A two-dimensional array of a frame."""
    return carray(_pointer(place.address), (place.shape[0], place.shape[1]), dtype)


@kernel
def cube_at(place, dtype):
    """A three-dimensional array of a frame."""
    shape = (place.shape[0], place.shape[1], place.shape[2])
    return carray(_pointer(place.address), shape, dtype)
