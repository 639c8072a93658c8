"""Figures of trainings on pairs: likeness across modalities, and spectra of embeddings."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from hpctrain.analysis.figures import COLORS, Array, drawing, plain_panel

_COLORS = {"rgb": "#d9822b", "ir": "#1f6fb4"}


def likeness(matrix: Array, title: str = "") -> Figure:
    """Draw cosines between all pictures of one modality and all of the other.

    Args:
        matrix: (M, M); pairs are on the diagonal.
        title: put above.
    """
    with drawing():
        figure = Figure(figsize=(5.6, 4.8), dpi=110, facecolor="white", layout="constrained")
        axes = figure.subplots()
        shown = axes.imshow(matrix, cmap="magma", interpolation="nearest")
        axes.set_xlabel("ir picture", fontsize=9)
        axes.set_ylabel("rgb picture", fontsize=9)
        axes.tick_params(labelsize=8)
        bar = figure.colorbar(shown, ax=axes)
        bar.set_label("cosine of embeddings; pairs on the diagonal", fontsize=8.5)
        bar.ax.tick_params(labelsize=8)
        figure.suptitle(title, fontsize=9.5)
        return figure


def spectra(shares: Mapping[str, Array], title: str = "") -> Figure:
    """Draw the share of the variance along each principal axis of embeddings.

    Args:
        shares: from the largest, by modality.
        title: put above.
    """
    with drawing():
        figure = Figure(figsize=(5.6, 3.8), dpi=110, facecolor="white", layout="constrained")
        axes = figure.subplots()
        for name, values in shares.items():
            axes.plot(
                np.arange(1, len(values) + 1),
                np.maximum(values, 1e-8),
                label=name,
                color=_COLORS.get(name, COLORS["truth"]),
                linewidth=1.6,
            )
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel("principal axis", fontsize=9)
        axes.set_ylabel("share of the variance", fontsize=9)
        axes.legend(frameon=False, fontsize=8.5)
        plain_panel(axes)
        figure.suptitle(title, fontsize=9.5)
        return figure
