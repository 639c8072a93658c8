"""The VAE of a run's newest checkpoint, with the cubes that the run held out."""

from __future__ import annotations

from pathlib import Path

from hpctrain.comm import Ranks
from hpctrain.config.load import read_resolved
from hpctrain.config.scroll_data import Scroll
from hpctrain.config.scroll_vae import ScrollVae
from hpctrain.data.scroll import ScrollDataset, ScrollScales
from hpctrain.errors import CheckpointError
from hpctrain.index import read_index
from hpctrain.predict.arithmetic import set_arithmetic
from hpctrain.predict.ranks import choose_device, set_threads
from hpctrain.predict.trained import read_checkpoint, take_weights
from hpctrain.tasks.scroll_vae.bound import make_vae
from hpctrain.train.stamps import checkpoint_facts

_VAE = "vae"


class TrainedVae:
    """What an evaluation needs of a run.

    Attributes:
        settings: the `train:` block.
        window: voxels of a cube along z, y, x.
        vae: evaluating, in float32.
        cubes: validation windows, normalised as in the training.
        span: largest minus smallest grey value, which PSNR is relative to.
        facts: of the checkpoint, for stamps.
        weights: which were taken: `last` or `ema`.
        device: where it computes.
    """

    def __init__(self, run_dir: Path, cubes: int | None) -> None:
        """Open it.

        Args:
            run_dir: of task `scroll_vae`.
            cubes: at most so many; None: as the run says.

        Raises:
            CheckpointError: there is no whole checkpoint, or it is of another network.
            DataError: files cannot be read.
        """
        job = read_resolved(run_dir / "config.yaml")
        assert isinstance(job.train, ScrollVae)
        assert isinstance(job.data, Scroll)
        self.settings, self.window = job.train, job.data.window
        path, state = read_checkpoint(run_dir, None)
        try:
            scales = ScrollScales.from_dict(state["task"]["scales"])
            self.span = float(state["task"]["span"])
            state["models"][_VAE]
        except (KeyError, TypeError) as e:
            raise CheckpointError(f"{path}: holds no VAE of task scroll_vae (no {e})") from e
        set_threads(Ranks(0, 1, 0, 1, ""))
        self.device = choose_device("auto")
        set_arithmetic(self.device, is_float32=True, is_deterministic=job.train.deterministic)
        vae = make_vae(job.train, self.window)
        self.weights = take_weights(vae, _VAE, path, state, job.train, "auto")
        self.vae = vae.eval().to(self.device)
        self.facts = checkpoint_facts(path, state)
        data = job.data
        if cubes is not None:
            rule = data.validation.model_copy(update={"samples": cubes})
            data = data.model_copy(update={"validation": rule})
        index = read_index(run_dir)
        self.cubes = ScrollDataset(data, index, "validation", job.train.seed, scales)
