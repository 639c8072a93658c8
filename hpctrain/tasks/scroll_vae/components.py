"""Principal components of training windows, which a VAE's linear path begins with."""

from __future__ import annotations

import torch

from hpctrain.data.sampler import Share
from hpctrain.data.scroll.dataset import ScrollDataset
from hpctrain.models.components import Components, principal_components


def components_of(train: ScrollDataset, count: int, latent_dim: int) -> Components:
    """Those of the first windows that the training sees, with its mirror images.

    Args:
        train: the training windows.
        count: of windows; beyond an epoch's they are those of the next one.
        latent_dim: of components.

    Raises:
        DataError: the windows have fewer.
    """
    volumes = torch.empty(count, *train.scroll.window)
    for i in range(count):
        epoch, number = divmod(i, len(train))
        volumes[i] = train.read_batch(Share(epoch, 0, (number,), 1)).volume[0, 0]
    augment = train.scroll.augment
    mirrored = (1,) * augment.flip_depth + (2, 3) * augment.flip
    return principal_components(volumes, latent_dim, mirrored)
