import pytest

from hpctrain.config.exchange import exchange_findings
from tests.jobs import mantle

TWO = ("resources.ranks_per_node=2",)
ADASUM = (*TWO, "train.reduction.op=adasum")
BFLOAT16 = "train.reduction.compression=bfloat16"


def findings(*settings):
    resolved = mantle("local", *settings)
    return exchange_findings(resolved.job, resolved.site)


@pytest.mark.parametrize(
    ("settings", "where", "text"),
    [
        ((*ADASUM, "launch.comm=ddp"), "train.reduction.op", "which only Horovod has"),
        ((*ADASUM, "launch.comm=mpi"), "train.reduction.op", "which only Horovod has"),
        ((*ADASUM, "launch.launcher=torchrun"), "train.reduction.op", "which only Horovod has"),
        ((*ADASUM, "train.last_batch=keep"), "train.reduction.op", "unequal shares"),
        ((*ADASUM, BFLOAT16), "train.reduction.compression", "cannot send it"),
        (
            ("resources.ranks_per_node=3", "train.global_batch_size=6", *ADASUM[1:]),
            "train.reduction.op",
            "for 3 ranks; it needs 2, 4, 8",
        ),
        ((*TWO, "launch.comm=horovod", BFLOAT16), "train.reduction.compression", "cannot send"),
        ((*TWO, "train.sync_batch_norm=true", "train.compile=true"), "train.sync_batch_norm", ""),
    ],
)
def test_exchange__what_cannot_be_is_an_error(settings, where, text):
    found = findings(*settings)
    assert [(f.severity, f.where) for f in found] == [("error", where)]
    assert text in found[0].text


def test_exchange__one_rank_exchanges_nothing():
    found = findings("resources.ranks_per_node=1", BFLOAT16)
    assert [f.severity for f in found] == ["warning"]


@pytest.mark.parametrize("settings", [ADASUM, (*TWO, BFLOAT16), (*TWO, "launch.comm=mpi"), ()])
def test_exchange__what_fits(settings):
    assert findings(*settings) == []
