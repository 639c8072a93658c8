"""Validation of a training on pairs: numbers, documents and figures of the watched pairs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from hpctrain.analysis import pair_figures
from hpctrain.config.alarms import PairAlarms
from hpctrain.data.pairs import PairBatch
from hpctrain.tasks.pairs.networks import MODALITIES
from hpctrain.tasks.pairs.watch import Watched, alarms_of, spectrum
from hpctrain.train.alarms import Alarm
from hpctrain.train.task import Validation


class PairEvaluation:
    """Numbers and figures at the end of a pass over the validation pairs."""

    def __init__(self, watched: Watched) -> None:
        self.watched = watched
        self._likeness: Any = None
        self._spectra: dict[str, Any] = {}

    def sums(self, batch: PairBatch, found: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Sums over one batch that add up over batches and ranks; see `Watched.rows`."""
        return self.watched.rows(batch, found)

    def result(
        self,
        scalars: Mapping[str, float],
        sums: Mapping[str, Tensor],
        compared: Mapping[str, Tensor],
        limits: PairAlarms,
        alarms: Sequence[Alarm] = (),
    ) -> Validation:
        """All numbers.

        Args:
            scalars: the task's own.
            sums: of the whole pass, with the embeddings of each modality.
            compared: vectors in which modalities are to find each other.
            limits: thresholds of the alarms.
            alarms: the task's own.
        """
        embeddings = {m: sums[m] for m in MODALITIES}
        found = {**scalars, **self.watched.scalars(embeddings, compared)}
        rgb, ir = (F.normalize(compared[m], dim=1) for m in MODALITIES)
        self._likeness = (rgb @ ir.T).numpy()
        self._spectra = {m: spectrum(x).numpy() for m, x in embeddings.items()}
        summary = {
            "watched_pairs": len(self.watched.numbers),
            **{key: value if math.isfinite(value) else None for key, value in found.items()},
            "chance": self.watched.chances(),
            "variance_by_axis": {m: [float(v) for v in x] for m, x in self._spectra.items()},
        }
        own = [*alarms, *alarms_of(found, limits, len(self.watched.numbers))]
        return Validation(found, {"summary.json": summary}, alarms=own)

    def curves(self, epoch: int) -> Sequence[tuple[str, Any]]:
        """How alike pairs are across modalities, and the spectra of embeddings."""
        if self._likeness is None:
            return []
        title = f"validation, epoch {epoch}"
        return [
            ("pair_likeness", partial(pair_figures.likeness, self._likeness, title)),
            ("embedding_spectrum", partial(pair_figures.spectra, self._spectra, title)),
        ]
