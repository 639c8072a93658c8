"""The numbers of a Mobotix celsius.csv as counts of the sensor, checked in every byte.

The camera computes celsius = 0.04 raw - 273.15, so hundredths are 4 raw - 27315: odd, never ending
in 0, and the stream writes exactly two decimals. A number has 4 to 7 characters and fits, with its
sign, into one 64-bit word; all words of a frame are decoded at once and then compared with the
text that each count must have. What does not agree in every byte goes the slow way, which either
reads it (other line ends, blanks) or says what is wrong where. benchmarks/thermal_csv.py compares
the time with that of np.loadtxt.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

import numpy as np
from numpy.typing import NDArray

from hpctrain.errors import DataError

Counts = NDArray[np.uint16]

COUNTS = 1 << 14
"""The sensor's counts have 14 bits."""
PER_COUNT, ZERO = 4, 27315
"""Hundredths of a degree: hundredths = 4 * count - 27315."""

TEXTS = tuple(b"%.2f" % ((PER_COUNT * raw - ZERO) / 100) for raw in range(COUNTS))
"""How each count is written in degrees Celsius."""
_WORDS = np.frombuffer(b"".join(text.rjust(8, b"\0") for text in TEXTS), "<u8")
BLOCK = 8192
"""Numbers that are decoded at a time, so that their words stay in the cache."""
_DIGIT_BIT = np.uint64(0x1010101010101010)


def _word(value: int) -> np.uint64:
    return np.uint64(value)


def decode(data: bytes, start: int, shape: tuple[int, int], where: str) -> Counts:
    """Counts of all numbers behind a header.

    Args:
        data: the file; at least eight bytes of header stand before the numbers.
        start: offset of the first number.
        shape: rows, columns.
        where: the file's name, for messages.

    Returns:
        (rows, columns) uint16.

    Raises:
        DataError: a number is missing, too many, no number, or off the law; names row and column.
    """
    counts = decode_words(data, start, shape)
    if counts is None:
        return from_hundredths(read_numbers(data[start:], shape, where), where)
    return counts


def decode_words(data: bytes, start: int, shape: tuple[int, int]) -> Counts | None:
    """The fast way of `decode`; None where any byte differs from what a camera writes."""
    rows, columns = shape
    if start < 8:  # the first word would begin before the file
        return None
    text = np.frombuffer(data, np.uint8)
    points = np.flatnonzero(text[start:] == ord("."))
    if len(points) != rows * columns or points[-1] + start + 4 != len(data):
        return None
    points += start
    ends = text[points + 3].reshape(shape)
    if (ends[:, -1] != ord("\n")).any() or (ends[:, :-1] != ord(";")).any():
        return None
    # A word at every byte: numbers end at the third byte behind their point's.
    overlapping = np.ndarray((len(data) - 7,), "<u8", data, strides=(1,))
    counts = np.empty(rows * columns, np.uint16)
    before = start - 4
    for i in range(0, len(points), BLOCK):
        part = points[i : i + BLOCK]
        if not _decode_block(overlapping, part, before, counts[i : i + BLOCK]):
            return None
        before = part[-1]
    return counts.reshape(shape)


def _decode_block(
    overlapping: NDArray[np.uint64], points: NDArray[np.intp], before: int, out: Counts
) -> bool:
    """Fill `out` with the counts of the numbers at these points; whether every byte agrees."""
    # Characters of each number, from behind the separator before it to its second decimal.
    lengths = np.empty_like(points)
    np.subtract(points[1:], points[:-1], out=lengths[1:])
    lengths[0] = points[0] - before
    if lengths.min() < 5 or lengths.max() > 8:
        return False
    words = overlapping[points - 5]
    # Drop what stands before the number, and find its first character on the way.
    shift = np.subtract(72, lengths * 8).view(np.uint64)
    words >>= shift
    negative = words.view(np.uint8)[::8] == ord("-")
    words <<= shift
    out[:] = _to_counts(words, negative)
    return bool((_WORDS.take(out) == words).all())


def _to_counts(words: NDArray[np.uint64], negative: NDArray[np.bool_]) -> Counts:
    """Counts of words such as '  -12.34'; nonsense gives nonsense, which the caller compares."""
    # Digits have bit 4 set; sign, point and zero bytes have not: they become digit 0.
    digits = words & _DIGIT_BIT
    digits >>= _word(4)
    digits *= _word(15)
    digits &= words
    # Pairs in 16-bit lanes: hundreds and tens, ones and the point, tenths and hundredths.
    pairs = digits >> _word(8)
    digits *= _word(10)
    pairs += digits
    pairs &= _word(0x00FF00FF00FF00FF)
    pairs >>= _word(16)
    pairs *= _word((1000 << 32) + (10 << 16) + 1)
    pairs >>= _word(32)
    hundredths = pairs.astype(np.uint16).astype(np.int32)
    np.negative(hundredths, out=hundredths, where=negative)
    hundredths += ZERO
    hundredths >>= 2
    return hundredths.astype(np.uint16) & np.uint16(COUNTS - 1)


def read_numbers(
    body: bytes, shape: tuple[int, int], where: str, decimals: int = 2
) -> NDArray[np.int64]:
    """Numbers one by one, with any line ends, blanks, a last `;`.

    Args:
        body: the numbers' lines.
        shape: rows, columns.
        where: the file's name, for messages.
        decimals: how many a number may have.

    Returns:
        (rows, columns), in units of the last decimal: hundredths of a degree for two.

    Raises:
        DataError: names row and column of what is missing, too many, or no number.
    """
    rows, columns = shape
    lines = body.decode("ascii", "replace").split("\n")
    while lines and not lines[-1].strip():
        lines.pop()
    if len(lines) != rows:
        raise DataError(
            f"{where}: holds {len(lines)} rows of numbers, the header says {rows}; "
            "the file is truncated or not a camera's"
        )
    found = np.empty(shape, np.int64)
    for row, line in enumerate(lines):
        words = line.strip().removesuffix(";").split(";")
        if len(words) != columns:
            raise DataError(
                f"{where}: row {row + 1} holds {len(words)} numbers, the header says {columns}; "
                "the file is truncated or not a camera's"
            )
        numbers = [n for word in words if (n := _scaled(word, decimals)) is not None]
        if len(numbers) < columns:
            column = next(i for i, word in enumerate(words) if _scaled(word, decimals) is None)
            raise DataError(
                f"{where}: row {row + 1}, column {column + 1}: found {words[column][:20]!r}; "
                f"allowed: a number with {decimals} decimals"
            )
        found[row] = numbers
    return found


def _scaled(word: str, decimals: int) -> int | None:
    try:
        value = Decimal(word.strip()).scaleb(decimals)
        return int(value) if value == int(value) and abs(value) < 1 << 31 else None
    except (InvalidOperation, ValueError, OverflowError):
        return None


def from_hundredths(hundredths: NDArray[np.int64], where: str) -> Counts:
    """Counts of hundredths of a degree.

    Args:
        hundredths: (rows, columns).
        where: the file's name, for messages.

    Raises:
        DataError: a value is not on the sensor's law; names its row and column.
    """
    raw, rest = np.divmod(hundredths + ZERO, PER_COUNT)
    wrong = (rest != 0) | (raw < 0) | (raw >= COUNTS)
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise DataError(
            f"{where}: row {row + 1}, column {column + 1}: "
            f"{hundredths[row, column] / 100:.2f} degrees is not on the camera's law "
            "0.04 * count - 273.15 with a count of 0 to 16383; the file was changed after the "
            "camera wrote it, read it as plain numbers"
        )
    return raw.astype(np.uint16)
