"""The npy header's dict, against numpy's own writer and parser."""

from __future__ import annotations

import ast
import io

import numpy as np
import pytest

from hpctrain.index.headers.npy_head import NpyHead, parse_npy_head


@pytest.mark.parametrize("shape", [(), (3,), (2, 0), (4, 16, 16, 16)])
@pytest.mark.parametrize("dtype", ["<f4", ">i2", "|u1", "c16", [("a", "<f4"), ("b", "<i2", (3,))]])
@pytest.mark.parametrize("order", "CF")
def test_parse__what_numpy_writes(shape, dtype, order) -> None:
    file = io.BytesIO()
    np.lib.format.write_array(file, np.zeros(shape, np.dtype(dtype), order))
    text = file.getvalue()[10 : 10 + int.from_bytes(file.getvalue()[8:10], "little")]
    expected = ast.literal_eval(text.decode())
    descr = expected["descr"]
    head = parse_npy_head(text)
    assert head == NpyHead(
        descr if isinstance(descr, str) else str(descr),
        expected["fortran_order"],
        expected["shape"],
    )


def test_parse__other_writers() -> None:
    text = b'{"shape": (12L, 7L,) ,"descr":"<f8", "fortran_order":True}  \n'
    assert parse_npy_head(text) == NpyHead("<f8", True, (12, 7))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "{'descr': '<f4', 'fortran_order': False}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3,)",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), 'more': 1}",
        "{'descr': '<f4', 'fortran_order': 1, 'shape': (3,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-3,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3 4,)}",
        "{'descr': '<f4', 'descr': '<f4', 'shape': (3,)}",
        "{'descr': '<f4' 'fortran_order': False, 'shape': (3,)}",
    ],
)
def test_parse__malformed(text: str) -> None:
    assert parse_npy_head(text.encode()) is None
