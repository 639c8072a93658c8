"""Networks, as plain `nn.Module` leaves that know nothing of jobs or data."""

from hpctrain.models.noise import Noise as Noise
from hpctrain.models.noise import SampleNoise as SampleNoise
from hpctrain.models.noise import ZeroNoise as ZeroNoise
from hpctrain.models.resample import crop_to as crop_to
from hpctrain.models.resample import upsample_tricubic as upsample_tricubic
from hpctrain.models.resample import upsample_trilinear as upsample_trilinear
from hpctrain.models.srsgan import SrDiscriminator as SrDiscriminator
from hpctrain.models.srsgan import SrGenerator as SrGenerator

__all__ = [
    "Noise",
    "SampleNoise",
    "SrDiscriminator",
    "SrGenerator",
    "ZeroNoise",
    "crop_to",
    "upsample_tricubic",
    "upsample_trilinear",
]
