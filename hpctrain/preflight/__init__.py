"""What can be known on the login node before a job is queued."""

from hpctrain.config.finding import Finding as Finding
from hpctrain.preflight.preflight import preflight as preflight

__all__ = ["Finding", "preflight"]
