"""Jobs of many runs."""

from hpctrain.schedulers.overview import find_run_jobs
from hpctrain.schedulers.records import record


def test_find_run_jobs__one_question_for_all_runs(programs, runs):
    first, second, third = runs("a"), runs("b"), runs("c")
    record(first, "submit", "1")
    record(second, "submit", "2")
    calls = programs("squeue", "echo '1|RUNNING|0||||None|'; echo '2|PENDING|0||||Priority|'")
    jobs, notes = find_run_jobs([first, second, third])
    assert {path.name: job.status.state for path, job in jobs.items()} == {
        "a": "running",
        "b": "waiting",
    }
    assert notes == []
    assert len(calls.read_text().splitlines()) == 1


def test_find_run_jobs__a_dead_scheduler_is_a_note(programs, runs):
    run = runs()
    record(run, "submit", "1")
    programs("squeue", "echo 'Unable to contact slurm controller' >&2; exit 1")
    jobs, (note,) = find_run_jobs([run])
    assert jobs[run].status is None
    assert note == "slurm: jobs are not looked up: squeue: refused with exit code 1"


def test_find_run_jobs__of_a_chain_the_one_that_is_live(programs, runs):
    run = runs("c", "generic-slurm", "chain={max_jobs: 3, how: presubmit}")
    for how, job_id in (("submit", "1"), ("presubmit", "2"), ("presubmit", "3")):
        record(run, how, job_id)
    programs(
        "squeue", "for i in '1|COMPLETED' '2|RUNNING' '3|PENDING'; do echo \"$i|0||||None|\"; done"
    )
    job = find_run_jobs([run])[0][run]
    assert (job.job_id, job.chain) == ("2", "job 2 of 3")


def test_find_run_jobs__place_in_a_chain_that_hands_itself_in(programs, runs):
    run = runs("c", "generic-slurm", "chain={max_jobs: 5}")
    record(run, "submit", "1")
    programs("squeue", "echo '1|RUNNING|0||||None|'; echo '2|RUNNING|0||||None|'")
    assert find_run_jobs([run])[0][run].chain == "job 1 of 5"
    (run / "chain.log").write_text("x\t1\t1\t75\t9\tgoes on in job 2\n")
    record(run, "chain", "2")
    assert find_run_jobs([run])[0][run].chain == "job 2 of 5"
    with (run / "chain.log").open("a") as file:
        file.write("x\t2\t2\t75\t9\tno step was saved since the job began\n")
    assert find_run_jobs([run])[0][run].chain == "job 2 of 5"
