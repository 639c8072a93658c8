"""Where the doctor is, and what it takes for granted."""

from __future__ import annotations

import os
import platform
import socket

from hpctrain.config.site import Site
from hpctrain.doctor.place import Allocation
from hpctrain.doctor.plan import Plan
from hpctrain.doctor.topic import Topic
from hpctrain.preflight.here import is_of
from hpctrain.provenance.host import host_facts


def machine_topic(site: Site, allocation: Allocation | None, plan: Plan) -> Topic:
    """Host, job, site and container."""
    facts = host_facts()
    topic = Topic("machine", facts=facts)
    topic.facts |= {"host": socket.gethostname(), "site": site.name, "cores": os.cpu_count()}
    topic.ok("host", f"{socket.gethostname()}, {os.cpu_count()} cores, {platform.platform()}")
    if is_of(site):
        topic.ok("site", f"{site.name}: {site.title}")
    else:
        topic.warning(
            "site",
            f"this host is none of those of {site.name}: {', '.join(site.hostnames)}",
            "ask there, or name the site of this host with --site",
        )
    if allocation is not None:
        nodes = f"{allocation.nodes} node{'s' * (allocation.nodes > 1)}"
        topic.ok("job", f"inside {allocation.scheduler} job {allocation.job_id} of {nodes}")
        topic.facts["job"] = {"id": allocation.job_id, "nodes": allocation.nodes}
        if allocation.scheduler != site.scheduler:
            topic.warning(
                "job",
                f"it is of {allocation.scheduler}, and site {site.name} has {site.scheduler}",
                "name the right site with --site",
            )
    elif site.scheduler == "local":
        topic.ok("job", "none: this site has no scheduler")
    else:
        topic.note("job", "none: this is a login node, so compute nodes may differ", plan.remedy)
    if "container" in facts:
        topic.ok("container", f"inside {facts['container']['image']}")
    return topic
