"""GPUs: what the image was built for, and the driver that is there."""

from __future__ import annotations

from collections.abc import Iterator

from hpctrain.config.finding import Finding, error, note, warning
from hpctrain.config.site import Site
from hpctrain.preflight.images.facts import ImageFacts
from hpctrain.preflight.images.host import HostFacts
from hpctrain.preflight.images.libraries import number

_DRIVERS = {11: "450.80", 12: "525.60", 13: "580.65"}
"""CUDA's major version to the oldest driver for it: NVIDIA, CUDA Compatibility, minor versions."""


def device_findings(
    image: ImageFacts, host: HostFacts | None, device: str, site: Site, where: str
) -> Iterator[Finding]:
    """Compare them.

    Args:
        image: of the image.
        host: of this host; None: it says nothing.
        device: what the job trains on; empty: not known.
        site: the site.
        where: what findings are about.
    """
    site_device = "rocm" if site.container.gpu_flag == "--rocm" else "cuda"
    if device in ("cuda", "rocm") and image.device and image.device != device:
        text = f"is built for {image.device}, and the job asks for GPUs of the kind {device}"
        yield error(where, f"{text}; build it again from this container.def")
    elif not device and image.device in ("cuda", "rocm") and image.device != site_device:
        text = f"is built for {image.device}, and the GPUs of site {site.name} are of {site_device}"
        yield warning(where, f"{text}; build it for them")
    if image.device != "cuda" or not image.cuda or device == "cpu":
        return
    oldest = _DRIVERS.get(number(image.cuda)[0], "")
    if host is None or not host.driver:
        needs = f"; it needs {oldest} or newer" if oldest else ""
        text = f"is built for CUDA {image.cuda}, and no driver is here to compare it with{needs}"
        yield note(where, text)
    elif oldest and number(host.driver) < number(oldest):
        text = f"is built for CUDA {image.cuda}, which needs driver {oldest} or newer, and here is"
        yield error(where, f"{text} {host.driver}; build it with an older CUDA")
