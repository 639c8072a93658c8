"""The documented names of templates are those there are."""

import re

import pytest

from hpctrain.render.script import context
from hpctrain.render.shell import environment
from hpctrain.render.variables import BLOCKS, FILTERS, VARIABLES
from tests.jobs import BATCH, REPO, inputs, mantle


@pytest.mark.parametrize("site", ["local", "polaris", "generic-cobalt"])
def test_variables__are_the_context(site):
    settings = () if site == "local" else BATCH
    resolved = mantle(site, *settings)
    assert set(context(resolved.job, resolved.site, inputs())) == set(VARIABLES)


def test_blocks__are_those_of_the_base_template():
    text = (REPO / "templates" / "schedulers" / "base.sh.j2").read_text()
    assert set(re.findall(r"{% block (\w+)", text)) == set(BLOCKS)


def test_filters__are_those_of_ours():
    plain = type(environment())().filters
    assert set(environment().filters) - set(plain) == set(FILTERS)
