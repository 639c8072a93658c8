"""What the doctor makes of a start, by what its ranks and its launcher said."""

from __future__ import annotations

from dataclasses import replace

from hpctrain.doctor.plan import Plan, own_job
from hpctrain.doctor.ranks import launch_topic
from tests.unit.doctor.notes import LIMITS, note, ranks


def plan(nodes: int = 1, ranks_per_node: int = 2, asked: int | None = None) -> Plan:
    job = own_job("local")
    shape = {"nodes": nodes, "ranks_per_node": ranks_per_node}
    resources = job.resources.model_copy(update=shape)
    return Plan(job.model_copy(update={"resources": resources}), asked)


def said(found, shape: Plan | None = None) -> list[str]:
    lines = launch_topic(found, shape or plan(), "mpirun").lines
    return [f"{line.severity} {line.name}: {line.text}" for line in lines]


def test_launch__all_well() -> None:
    assert said(ranks(note(0), note(1))) == [
        "ok ranks: 1 x 2 ranks by mpirun on nid01 in 3.0 s, comm horovod",
        "ok libraries: in the ranks: Open MPI v5.0.11, /opt/lib/libmpi.so.40",
        "ok cores: each rank may use 2 cores",
    ]


def test_launch__fewer_ranks_than_the_job_has() -> None:
    lines = said(ranks(note(0), note(1)), plan(asked=8))
    assert "note ranks: the job asks for 8; 2 were started, as fit here" in lines


def test_launch__one_rank_proves_nothing() -> None:
    alone = replace(plan(1, 1), remedy="ask inside a job with room for two")
    lines = launch_topic(ranks(note(0, size=1)), alone, "srun").lines
    (line,) = [line for line in lines if line.severity == "note"]
    assert line.text == (
        "one rank, as this job has room for one: whether ranks find each other, and how fast "
        "allreduce is, was not tried"
    )
    assert line.remedy == "ask inside a job with room for two"


def test_launch__two_ranks_in_the_room_of_one() -> None:
    crowded = replace(plan(), remedy="ask inside a job with room for two", is_crowded=True)
    lines = launch_topic(ranks(note(0), note(1)), crowded, "mpirun").lines
    (line,) = [line for line in lines if line.severity == "note"]
    assert line.text == "two, and this job has room for one: speeds below say little"


def test_launch__each_alone() -> None:
    lines = said(ranks(note(0, size=1), note(0, size=1)))
    assert lines[0] == "error world: 2 processes, and each was told of 1 ranks, not 2"


def test_launch__one_rank_twice() -> None:
    lines = said(ranks(note(0), note(0)))
    assert lines[0] == "error world: rank 0 was started more than once"


def test_launch__rank_missing() -> None:
    assert said(ranks(note(1)))[0] == "error world: of 2 ranks 1 began; missing: 0"


def test_launch__placed_on_one_node_of_two() -> None:
    lines = said(ranks(note(0), note(1)), plan(2, 1))
    assert "error nodes: asked for 2 nodes, ranks run on 1 (nid01)" in lines


def test_launch__unequal_nodes() -> None:
    found = ranks(*(note(rank, "nid01" if rank < 3 else "nid02", 4) for rank in range(4)))
    lines = said(found, plan(2, 2))
    expected = "error nodes: asked for 2 on each node, and there are 3 on nid01, 1 on nid02"
    assert expected in lines


def test_launch__late_names_rank_and_stage() -> None:
    stage = "opening launch.comm: auto"
    lines = said(ranks(note(0), note(1, "nid02", stage=stage), code=None))
    assert lines[0] == (
        "error launcher: mpirun did not end within 120 s, and was ended; "
        "rank 1 on nid02: opening launch.comm: auto"
    )


def test_launch__error_of_several_ranks_is_told_once() -> None:
    found = [
        note(rank, error="ImportError: no libcuda", stage="importing torch") for rank in (0, 1)
    ]
    errors = [line for line in said(ranks(*found, code=5)) if line.startswith("error")]
    assert errors == ["error ranks: 2 ranks, importing torch: ImportError: no libcuda"]


def test_launch__known_symptom_in_the_launchers_words() -> None:
    lines = said(ranks(code=1, err="There are not enough slots available in the system"))
    assert "mpirun ended with code 1; no rank began: There are not enough slots" in lines[0]
    assert lines[0].endswith("the launcher was asked for more ranks than the job has slots")


def test_launch__unknown_words_are_shown() -> None:
    lines = said(ranks(code=7, err="----\nboo happened\n"))
    assert lines[0].endswith("mpirun ended with code 7; no rank began; it says: boo happened")


def test_launch__nodes_with_different_packages() -> None:
    other = {"python": "3.11.2", "packages": {"torch": "2.8.0", "numpy": "2.1"}}
    lines = said(ranks(note(0), note(1, "nid02", facts=other)), plan(2, 1))
    expected = "error torch: the ranks have different torch: 2.9.1 on nid01; 2.8.0 on nid02"
    assert expected in lines


def test_launch__two_mpi_in_one_process() -> None:
    both = {"libraries": ["/a/libmpi.so.12", "/b/libmpi.so.40"], "version": "Open MPI v5.0.11"}
    lines = said(ranks(note(0), note(1, mpi=both)))
    expected = "rank 1 on nid01 has two MPI in it: /a/libmpi.so.12 and /b/libmpi.so.40"
    assert f"error libraries: {expected}" in lines


def test_launch__ranks_on_one_core() -> None:
    crowded = {**LIMITS, "cores": [3]}
    lines = said(ranks(note(0, limits=crowded), note(1, limits=crowded)))
    assert "warning cores: 2 ranks on nid01 are all bound to core 3" in lines


def test_launch__symptom_does_not_send_to_the_doctor_again() -> None:
    found = ranks(code=1, err="libmpi.so.12: cannot open shared object file")
    (line,) = launch_topic(found, plan(), "mpirun").lines
    assert "load the module of the MPI" in line.remedy
    assert "hpctrain doctor" not in line.remedy
