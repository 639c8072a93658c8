"""Slices and spectra as figures: what is in them, and that threads may draw them."""

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from hpctrain.analysis import figures

TRUTH = np.random.default_rng(0).normal(300.0, 40.0, (2, 6, 8, 16)).astype(np.float32)
COARSE = TRUTH[:, ::2, ::2, ::2]


def draw(truth=TRUTH, variables=("temperature", "vx"), **options):
    return figures.slices(truth, COARSE, truth + 3.0, truth + 1.0, variables, **options)


def images(figure):
    return [ax.images[0] for ax in figure.axes if ax.images]


def texts(figure):
    labels = [text.get_text() for text in figure.texts]
    for ax in figure.axes:
        labels += [ax.get_title(), ax.get_ylabel(), *(text.get_text() for text in ax.texts)]
    return " | ".join(labels)


def test_slices__one_figure_a_variable_with_three_rows_of_four():
    drawn = draw()
    assert list(drawn) == ["temperature", "vx"]
    assert len(images(drawn["vx"])) == 12


def test_slices__row_shares_the_scale_of_the_truth():
    row = images(draw(layers=[2])["temperature"])
    assert len({image.get_clim() for image in row}) == 1
    low, high = row[0].get_clim()
    assert TRUTH[0, 2].min() <= low < high <= TRUTH[0, 2].max()


def test_slices__shows_the_layer_that_was_asked_for():
    coarse, upsampled, generated, truth = images(draw(layers=[5])["temperature"])
    np.testing.assert_array_equal(truth.get_array(), TRUTH[0, 5])
    np.testing.assert_array_equal(upsampled.get_array(), TRUTH[0, 5] + 3.0)
    np.testing.assert_array_equal(generated.get_array(), TRUTH[0, 5] + 1.0)
    np.testing.assert_array_equal(coarse.get_array(), COARSE[0, 2])


def test_slices__titles_name_variable_layer_error_and_unit():
    label = figures.layer_title(11, 32, 4567.4)
    shown = texts(draw(layers=[2], layer_titles=[label], units=["K", "m/s"])["temperature"])
    assert "temperature, shell 12 of 32 (4567 km)" in shown
    assert "RMSE 3 K" in shown
    assert "RMSE 1 K" in shown
    assert "8 × 16" in shown


def test_slices__small_velocities_get_a_readable_scale():
    figure = draw(1e-11 * (TRUTH - 300.0), units=["K", "m/s"])["vx"]
    assert "10⁻⁹ m/s" in texts(figure)
    assert 0.01 < images(figure)[0].get_clim()[1] < 1000


@pytest.mark.parametrize(
    ("variable", "offset", "diverging"),
    [("temperature", 0.0, False), ("vx", 0.0, True), ("temperature anomaly", 0.0, True),
     ("density", -300.0, True)],
)  # fmt: skip
def test_slices__signed_fields_get_a_diverging_map_around_zero(variable, offset, diverging):
    image = images(draw(TRUTH + offset, variables=(variable, "b"))[variable])[0]
    low, high = image.get_clim()
    assert (low == -high) is diverging
    assert image.get_cmap().name == ("RdBu_r" if diverging else "inferno")


def test_slices__constant_field_is_drawn():
    assert figures.to_array(draw(np.zeros_like(TRUTH))["temperature"]).std() > 0


def test_slices__wrong_shapes_are_named():
    with pytest.raises(ValueError, match=r"truth \(2, 6, 8, 16\)"):
        figures.slices(TRUTH, COARSE, TRUTH[:, :3], TRUTH, ["a", "b"])
    with pytest.raises(ValueError, match="3 variables"):
        figures.slices(TRUTH, COARSE, TRUTH, TRUTH, ["a", "b", "c"])


def test_pick_layers__spread_without_edges():
    assert figures.pick_layers(32) == [5, 16, 26]
    assert figures.pick_layers(2) == [0, 1]


def test_spectra__curves_and_ratio():
    k = np.arange(1, 9)
    truth = np.stack([k**-3.0, k**-2.0])
    figure = figures.spectra(
        k, {"truth": truth, "trilinear": truth / 2, "generator": truth * 0.9}, ["a", "b"]
    )
    power, ratio = figure.axes[0], figure.axes[2]
    assert [line.get_label() for line in power.lines] == ["truth", "trilinear", "generator"]
    np.testing.assert_allclose(ratio.lines[0].get_ydata(), 0.5)
    assert power.get_xscale() == power.get_yscale() == ratio.get_yscale() == "log"


def test_spectra__zero_power_is_drawn():
    k = np.arange(1, 5)
    zero = np.zeros((1, 4))
    figures.to_array(figures.spectra(k, {"truth": zero, "generator": zero}, ["a"]))


def test_save__png_of_the_same_pixels(tmp_path):
    figure = draw()["vx"]
    path = figures.save(figure, figures.figure_path(tmp_path / "eval", 12, "vx"))
    assert path.name == "epoch_0012_vx.png"
    np.testing.assert_array_equal(np.asarray(Image.open(path))[..., :3], figures.to_array(figure))
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_figure_path__slash_in_a_name_stays_in_the_folder(tmp_path):
    assert figures.figure_path(tmp_path, 1, "a/b").parent == tmp_path


def test_figures__threads_draw_the_same_and_leave_pyplot_alone():
    def pixels():
        return figures.to_array(draw(layers=[2], title="$10^{-3}$")["vx"])

    expected = pixels()
    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(pixels) for _ in range(6)]
    assert all(np.array_equal(job.result(), expected) for job in jobs)
    assert "matplotlib.pyplot" not in sys.modules
