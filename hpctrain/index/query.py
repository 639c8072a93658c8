"""Which rows: expressions such as `node == "W02D" and status == "bad"`, and counts of rows.

The text is parsed by Python's own parser, but only comparisons of columns with texts and numbers
are carried out; everything else is refused.
"""

from __future__ import annotations

import ast
import operator
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from hpctrain.errors import DataError
from hpctrain.index.groups import TIMES
from hpctrain.index.reasons import codes_of
from hpctrain.index.table import Columns, Index, Row

_LONGEST = 2000
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
}
Value = Callable[[Row], Any]


def row_filter(text: str, columns: Columns) -> Callable[[Row], bool]:
    """Whether a row fits an expression.

    Args:
        text: columns, texts in quotes, numbers; ==, !=, <, <=, >, >=, in, not in; and, or, not.
            `day`, `month` and so on are parts of the time; `"x" in reason` searches.
        columns: of the index.

    Raises:
        DataError: says what is not allowed.
    """
    if len(text) > _LONGEST:
        raise DataError(f"--where: {len(text)} characters; allowed: up to {_LONGEST}")
    try:
        tree = ast.parse(text.strip(), mode="eval")
        test = _Compiler(text, columns).test(tree.body)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as e:
        reason = getattr(e, "msg", None) or str(e) or "too deep"
        raise DataError(f"--where: {text!r} is no expression: {reason}") from e
    return test


class _Compiler:
    """Turns nodes into functions of a row."""

    def __init__(self, text: str, columns: Columns) -> None:
        self._text, self._columns = text, columns

    def test(self, node: ast.expr) -> Callable[[Row], bool]:
        """A node that is true or false."""
        if isinstance(node, ast.BoolOp):
            tests = [self.test(value) for value in node.values]
            if isinstance(node.op, ast.And):
                return lambda row: all(test(row) for test in tests)
            return lambda row: any(test(row) for test in tests)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            inner = self.test(node.operand)
            return lambda row: not inner(row)
        if isinstance(node, ast.Compare):
            return self._compare(node)
        raise self._refuse(node, "a comparison, such as status == 'bad'")

    def _compare(self, node: ast.Compare) -> Callable[[Row], bool]:
        sides = [node.left, *node.comparators]
        is_number = any(_is_number(side) for side in sides)
        values = [self._value(side, is_number) for side in sides]
        steps = []
        for i, op in enumerate(node.ops):
            if type(op) not in _COMPARE:
                raise self._refuse(node, "==, !=, <, <=, >, >=, in and not in")
            steps.append((values[i], _COMPARE[type(op)], values[i + 1]))

        def test(row: Row) -> bool:
            for left, compare, right in steps:
                a, b = left(row), right(row)
                if a is None or b is None or not compare(a, b):
                    return False  # an empty cell is no number
            return True

        return test

    def _value(self, node: ast.expr, is_number: bool) -> Value:
        if isinstance(node, ast.Name):
            return self._column(node.id, is_number)
        if isinstance(node, ast.List | ast.Tuple):
            return self._several(node)
        if _is_number(node):
            number = float(ast.literal_eval(node))
            return lambda row: number
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
            return lambda row: text
        raise self._refuse(node, "a column, a text in quotes, a number, or a list of texts")

    def _several(self, node: ast.List | ast.Tuple) -> Value:
        items = []
        for item in node.elts:
            if not isinstance(item, ast.Constant) or not isinstance(item.value, str):
                raise self._refuse(item, "texts in quotes within a list")
            items.append(item.value)
        return lambda row: items

    def _column(self, name: str, is_number: bool) -> Value:
        if name in self._columns.places:
            place = self._columns.places[name]
            if is_number:
                return lambda row: _number(row.cells[place])
            return lambda row: row.cells[place]
        if name in TIMES:
            place, length = self._columns.places["timestamp"], TIMES[name]
            return lambda row: row.cells[place][:length]
        raise DataError(
            f"--where: unknown column {name!r}; choose from {', '.join(self._columns.names)}, "
            f"{', '.join(TIMES)} (texts need quotes)"
        )

    def _refuse(self, node: ast.expr, allowed: str) -> DataError:
        found = ast.get_source_segment(self._text.strip(), node) or self._text
        return DataError(f"--where: found {found!r}; allowed: {allowed}")


def _is_number(node: ast.expr) -> bool:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        node = node.operand
    return isinstance(node, ast.Constant) and type(node.value) in (int, float)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def counts(index: Index, rows: Sequence[Row]) -> dict[str, dict[str, int]]:
    """Rows by split, status, reason and node; a row with two reasons counts for both."""
    splits = Counter(row.split or "-" for row in rows if row.status == "ok")
    status = Counter(row.status for row in rows)
    reasons = Counter(
        code
        for row in rows
        if row.reason
        for code in (set(codes_of(row.reason)) if row.status == "bad" else {row.reason})
    )
    place = index.columns.places["node"]
    nodes = Counter(row.cells[place] or "-" for row in rows)
    named = {"split": splits, "status": status, "reason": reasons, "node": nodes}
    return {name: dict(sorted(found.items())) for name, found in named.items()}
