import numpy as np

from hpctrain.samples.writing import ADVANCE, LINE, MARGIN, compose, draw, stroke_width


def test_draw__letters_stand_where_they_belong():
    shape = (192, 400)
    scale = stroke_width(shape[0])
    ink = draw(["A  B", " I"], shape)
    rows, columns = np.nonzero(ink)
    assert rows.min() >= MARGIN
    assert columns.min() >= MARGIN
    cells = set(
        zip((rows - MARGIN) // (LINE * scale), (columns - MARGIN) // (ADVANCE * scale), strict=True)
    )
    assert cells == {(0, 0), (0, 3), (1, 1)}


def test_draw__strokes_are_wide():
    ink = draw(["H"], (192, 200))
    runs = np.diff(np.flatnonzero(np.diff(np.pad(ink[MARGIN + 40], 1).astype(int))))
    assert runs[0] >= 5


def test_draw__nothing_to_write():
    assert not draw([], (128, 192)).any()


def test_compose__fills_the_sheet():
    lines = compose((512, 2048), np.random.default_rng(0))
    assert len(lines) == 3
    assert {len(line) for line in lines} == {17}
    assert len(set("".join(lines))) > 12
