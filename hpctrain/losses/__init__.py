"""Loss functions, leaves that know nothing of jobs or data."""

from hpctrain.losses.adversarial import adversarial_loss as adversarial_loss
from hpctrain.losses.criteria import criterion as criterion
from hpctrain.losses.gradient_penalty import r1 as r1
from hpctrain.losses.gradient_penalty import wgan_gp as wgan_gp
from hpctrain.losses.slope import SlopeMode as SlopeMode
from hpctrain.losses.slope import active_modes as active_modes
from hpctrain.losses.spectral import spectral_loss as spectral_loss
from hpctrain.losses.wide import wide as wide

__all__ = [
    "SlopeMode",
    "active_modes",
    "adversarial_loss",
    "criterion",
    "r1",
    "spectral_loss",
    "wgan_gp",
    "wide",
]
