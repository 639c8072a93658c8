"""The stand-in keeps the rules of qsub(1B) that an OpenPBS 23.06 was seen to keep."""

import time

import pytest

OUT = "#!/bin/bash\n#PBS -j oe -o {root}/out/\n"


def body(pbs, text: str, directives: str = "") -> str:
    (pbs.root / "out").mkdir(exist_ok=True)
    return f"{OUT.format(root=pbs.root)}{directives}{text}\n"


def output(pbs, job_id: str) -> str:
    return (pbs.root / "out" / f"{job_id}.OU").read_text()


@pytest.mark.parametrize(
    ("directives", "code", "words"),
    [
        ("#PBS -l walltime=00:10:00 # ten minutes", 1, "directive error"),
        ("#PBS -l select=1:nothing=3", 187, "Unknown resource: nothing"),
        ("#PBS -q nowhere", 170, "Unknown queue"),
        ("#PBS -l walltime=99:00:00", 188, "exceeds queue"),
        ("#PBS -l walltime=1-00:00:00", 166, "Illegal attribute"),
        ("#PBS -N a=b", 1, "illegal -N value"),
        ("#PBS -q workq\r", 1, "cr, lf"),
        ("#PBS --queue=workq", 1, "invalid option"),
    ],
)
def test_qsub__refuses(pbs, directives, code, words):
    found, said = pbs.refusal(f"#!/bin/bash\n{directives}\ntrue\n")
    assert found == code
    assert words in said


def test_qsub__first_directive_and_command_line_win(pbs):
    lines = (
        "  #PBS -N first -q debug\n# PBS -N comment\n\n#PBS -N second\n#PBS -l walltime=00:01:00\n"
    )
    job_id = pbs.qsub(f"#!/bin/bash\n{lines}true\n#PBS -N late\n", "-l", "walltime=90", "-h")
    job = pbs.job(job_id)
    assert (job["Job_Name"], job["queue"]) == ("first", "debug")
    assert job["Resource_List"]["walltime"] == "90"


def test_qsub__starts_in_home_with_a_clean_environment(pbs):
    pbs.env["MINE"] = "leaks"
    script = body(pbs, 'pwd; echo "${MINE-unset} $GIVEN $PBS_ENVIRONMENT"; command -v qsub')
    job_id = pbs.qsub(script, "-v", "GIVEN=yes")
    assert pbs.wait(job_id)["Exit_status"] == 0
    home, line, qsub = output(pbs, job_id).splitlines()
    assert home == str(pbs.root / "home")
    assert line == "unset yes PBS_BATCH"
    assert qsub.endswith("fake_bin/qsub")


def test_qsub__copies_the_script(pbs):
    job_id = pbs.qsub(body(pbs, "echo before"), "-h")
    (pbs.root / "script.sh").write_text("#!/bin/bash\necho after\n")
    pbs.call("qrls", job_id)
    pbs.wait(job_id)
    assert output(pbs, job_id) == "before\n"


def test_qsub__nodefile_has_a_line_a_rank(pbs):
    directives = "#PBS -l select=2:ncpus=2:mpiprocs=2\n"
    job_id = pbs.qsub(
        body(pbs, 'wc -l <"$PBS_NODEFILE"; sort -u "$PBS_NODEFILE" | wc -l', directives)
    )
    pbs.wait(job_id)
    assert output(pbs, job_id).split() == ["4", "1"]  # without scatter both chunks on one host


def test_qsub__scatter_over_more_hosts_than_there_are_never_runs(pbs):
    job_id = pbs.qsub(body(pbs, "true", "#PBS -l select=2:ncpus=1\n#PBS -l place=scatter\n"))
    time.sleep(0.5)
    assert pbs.job(job_id)["job_state"] == "Q"
    assert "Can Never Run" in pbs.job(job_id)["comment"]


def test_qsub__output_folder_that_is_missing(pbs):
    job_id = pbs.qsub(f"#!/bin/bash\n#PBS -o {pbs.root}/none/out\necho lost\n")
    assert pbs.wait(job_id)["Exit_status"] == 0
    assert [p.read_text() for p in (pbs.root / "undelivered").iterdir()] == ["lost\n"]
    job_id = pbs.qsub(f"#!/bin/bash\n#PBS -k doe -o {pbs.root}/none/out\ntrue\n")
    job = pbs.wait(job_id, "H")
    assert job["comment"] == "job held, too many failed attempts to run"


def test_walltime__term_then_kill(pbs):
    text = "trap 'echo warned' TERM; echo up; while :; do sleep 0.1; done"
    job_id = pbs.qsub(body(pbs, text, "#PBS -k doe\n"), "-l", "walltime=1")
    assert pbs.wait(job_id)["Exit_status"] == -29
    assert {"up", "warned"} <= set(output(pbs, job_id).split())


def test_qdel__of_a_running_job(pbs):
    job_id = pbs.qsub(body(pbs, "sleep 60"))
    pbs.wait(job_id, "R")
    assert pbs.call("qdel", job_id).returncode == 0
    assert pbs.wait(job_id)["Exit_status"] == 271
    assert pbs.call("qdel", job_id).returncode == 35
    assert pbs.call("qdel", "99").stderr == "qdel: Unknown Job Id 99\n"


@pytest.mark.parametrize(
    ("text", "kind", "ends"),
    [
        ("true", "afterok", True),
        ("false", "afterok", False),
        ("false", "afterany", True),
        ("false", "afternotok", True),
        ("true", "afternotok", False),
    ],
)
def test_depend(pbs, text, kind, ends):
    first = pbs.qsub(body(pbs, text), "-h")
    second = pbs.qsub(body(pbs, "true"), "-W", f"depend={kind}:{first}")
    assert pbs.job(second)["job_state"] == "H"
    pbs.call("qrls", first)
    assert pbs.wait(second)["Exit_status"] == (0 if ends else 271)


def test_depend__unknown_job_is_accepted_and_the_job_ends_at_once(pbs):
    job_id = pbs.qsub(body(pbs, "true"), "-W", "depend=afterok:99.fakepbs")
    assert pbs.wait(job_id)["run_count"] == 0


def test_array__one_run_an_index(pbs):
    job_id = pbs.qsub(body(pbs, 'echo "$PBS_ARRAY_INDEX"', "#PBS -J 0-4:2%1\n"))
    assert job_id == "1[].fakepbs"
    pbs.wait(job_id)
    found = sorted((pbs.root / "out").iterdir())
    assert [path.read_text().strip() for path in found] == ["0", "2", "4"]


def test_qstat__without_history(pbs):
    job_id = pbs.qsub(body(pbs, "true"))
    pbs.wait(job_id)
    done = pbs.call("qstat", "-f", "-F", "json", job_id)
    assert done.returncode == 35
    assert "Job has finished, use -x or -H" in done.stderr
    (pbs.root / "no_history").touch()
    assert "not configured" in pbs.call("qstat", "-x", "-f", "-F", "json", job_id).stderr
