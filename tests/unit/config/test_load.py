"""Job files: layers, sources, and all errors at once."""

import re
from pathlib import Path

import pytest

from hpctrain.config.load import find_job, read_job, read_resolved, read_site, resolve, site_names
from hpctrain.errors import ConfigError
from hpctrain.render.yaml_text import yaml_text
from hpctrain.schedulers import SCHEDULERS
from tests.jobs import REPO, mantle

GOOD = (REPO / "jobs" / "mantle.yaml").read_text()


def errors(tmp_path: Path, text: str, *settings: str) -> list[str]:
    (tmp_path / "sr.yaml").write_text(text)
    with pytest.raises(ConfigError) as info:
        resolve(read_job(Path("sr.yaml"), settings, tmp_path), "local")
    return str(info.value).splitlines()


def test_resolve__shipped_job_is_valid_on_every_site():
    for name in site_names():
        assert mantle(name).job.name == "mantle"


@pytest.mark.parametrize("site", [scheduler.generic_site for scheduler in SCHEDULERS])
@pytest.mark.parametrize("path", sorted((REPO / "jobs").glob("*.yaml")), ids=lambda p: p.stem)
def test_resolve__every_shipped_job_on_every_scheduler(tmp_path, path, site):
    resolved = resolve(read_job(path.relative_to(REPO), (), REPO), site)
    assert resolved.job.name == path.stem
    (tmp_path / "config.yaml").write_text(yaml_text(resolved.job))
    assert read_resolved(tmp_path / "config.yaml") == resolved.job


def test_resolve__misspelt_task(tmp_path):
    found = errors(tmp_path, GOOD.replace("task: super_resolution", "task: super_resolutoin"))
    assert len(found) == 1
    assert re.fullmatch(
        r"sr\.yaml:\d+: train\.task: unknown task 'super_resolutoin'; choose from "
        r"super_resolution, field_to_field, field_gan, scroll_vae, ink, vicreg, dino\. "
        r"Did you mean 'super_resolution'\?",
        found[0],
    )


def test_resolve__all_errors_at_once_in_order_of_position(tmp_path):
    text = GOOD.replace("nodes: 1", "nodse: 1").replace("epochs: 10", "epochs: many")
    text = text.replace('walltime: "01:00:00"', "walltime: 1:30:00") + "extra: 1\n"
    found = errors(tmp_path, text)
    lines = [int(line.split(":")[1]) for line in found]
    assert lines == sorted(lines)
    assert [line.split(": ")[1] for line in found] == [
        "resources.nodse",
        "resources.walltime",
        "train.epochs",
        "extra",
    ]
    assert "Did you mean 'nodes'?" in found[0]
    assert found[1].endswith('quote it: walltime: "01:30:00"')
    assert found[2].endswith("found the text 'many'; allowed: a whole number")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("resources.nodes=true", "found the truth value true; allowed: a whole number"),
        ('resources.nodes="2"', "found the text '2'; allowed: a whole number; remove the quotes"),
        ("resources.nodes=1.5", "found the number 1.5; allowed: a whole number"),
        ("resources.nodes=0", "found the number 0; allowed: more than 0"),
        ("resources.nodes=", "found nothing; allowed: a whole number"),
        ("resources.queue=123", 'found the number 123; allowed: a text; put it in quotes: "123"'),
        ("resources.account=no", 'put it in quotes: "no"'),
        ("data.targets=a*.nc", "found the text 'a*.nc'; allowed: a list; write [a*.nc]"),
        ("data.targets=[]", "data.targets: found none; allowed: a list of 1 or more patterns"),
        ("after={first: fine}", "after.first: found 'fine'; choose from ok, any, failed"),
        ("data.crop=[8, 8]", "data.crop.2: is missing; the list is too short"),
        ("data.crop=[8, 8, 8, 8]", "allowed: a list of 3"),
        ("train.generator.noise=ad", "unknown noise 'ad'; choose from add, concatenate, none"),
        ("train.upscale_factor=3", "3 is not a power of two; choose 2, 4, 8 or 16"),
        ("train.adversary=4", "found the number 4; allowed: keys with values"),
        (
            "launch.env={A: 1}",
            'launch.env.A: found the number 1; allowed: a text; put it in quotes: "1"',
        ),
        ("launch.env={RANK: x}", "sets RANK, which the run script sets itself; remove it"),
        ("launch.comm=horovood", "Did you mean 'horovod'?"),
        ("data=", "data: found nothing; allowed: keys with values"),
        ("name=a b", "name: found 'a b'; allowed: 1 to 64 letters"),
        ("name=$(id)", "name: found '$(id)'; allowed"),
        ('name="a\\nb"', "name: found 'a\\nb'; allowed"),
        ('container.image="a\\nb"', "allowed: one line of text without control characters"),
        ("train.optimizer.learning_rate=.nan", "found '.nan'; allowed: finite numbers"),
        ("version=2", "unknown version 2; choose from 1"),
    ],
)
def test_resolve__plain_words(tmp_path, setting, message):
    found = errors(tmp_path, GOOD, setting)
    assert len(found) == 1
    assert message in found[0]
    assert found[0].startswith(f"--set {setting}: ".replace("\\n", "\\n"))


def test_resolve__missing_keys_say_what_they_are(tmp_path):
    found = errors(tmp_path, GOOD.replace("  ranks_per_node: 2 ", "  #"))
    assert len(found) == 1
    assert "resources.ranks_per_node: is missing; add it: processes on each node" in found[0]


def test_resolve__ranks_must_divide_the_batch(tmp_path):
    found = errors(tmp_path, GOOD, "train.global_batch_size=10", "resources.ranks_per_node=4")
    assert found[0].endswith(
        "train.global_batch_size: 10 samples cannot be shared equally by 4 ranks; "
        "nearest that work: 8 or 12 samples, or 1 or 2 or 5 or 10 ranks"
    )


def test_resolve__accumulation_counts_too(tmp_path):
    found = errors(tmp_path, GOOD, "train.global_batch_size=4", "train.accumulate=3")
    assert "4 samples cannot be shared equally by 2 ranks x 3 micro-batches" in found[0]
    assert found[0].endswith("nearest that work: 6 samples")


def test_resolve__single_means_one_rank(tmp_path):
    assert "single means one rank" in errors(tmp_path, GOOD, "launch.comm=single")[0]


def test_resolve__duplicate_key_is_reported_with_its_line(tmp_path):
    found = errors(tmp_path, GOOD + "name: twice\n")
    assert len(found) == 1
    assert found[0].endswith("name: is given twice, first in line 10; keep one")


@pytest.mark.parametrize("text", ["foo", "=1", "a..b=1", ".a=1"])
def test_resolve__malformed_set(tmp_path, text):
    assert "allowed: --set key.path=value" in errors(tmp_path, GOOD, text)[0]


def test_resolve__walltime_on_the_command_line_needs_no_quotes():
    assert mantle("local", "resources.walltime=12:30:00").job.resources.walltime == 45000


def test_resolve__precedence_and_sources():
    resolved = mantle("polaris", "train.epochs=3")
    assert resolved.job.train.epochs == 3
    assert resolved.layers.source(("train", "epochs")) == "--set train.epochs=3"
    assert resolved.job.resources.filesystems == ["home", "eagle"]
    assert re.search(
        r"sites/polaris\.yaml:\d+$", resolved.layers.source(("resources", "filesystems"))
    )
    assert resolved.layers.source(("name",)) == "jobs/mantle.yaml:10"
    assert resolved.layers.source(("train", "seed")) == "default"
    assert resolved.job.site == "polaris"
    assert resolved.layers.source(("site",)) == "detected on this host"


def test_resolve__job_file_beats_the_site(tmp_path):
    (tmp_path / "x.yaml").write_text(GOOD.replace("# queue: debug", "queue: prod"))
    job = resolve(read_job(Path("x.yaml"), (), tmp_path), "polaris").job
    assert job.resources.queue == "prod"


def test_job__derived_values():
    job = mantle("local", "resources.nodes=2", "train.global_batch_size=8").job
    assert (job.total_ranks, job.batch_size_per_rank) == (4, 2)


def test_read_resolved__reads_back_what_was_written(tmp_path):
    job = mantle("polaris", 'launch.env={A: "1 $x", B: ""}', "resources.walltime=12:00:00").job
    (tmp_path / "config.yaml").write_text(yaml_text(job))
    assert read_resolved(tmp_path / "config.yaml") == job


def test_find_job__bare_name_then_jobs_folder(tmp_path):
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "x.yaml").write_text("")
    assert find_job("x", tmp_path) == Path("jobs/x.yaml")
    assert find_job("x.yaml", tmp_path) == Path("jobs/x.yaml")
    (tmp_path / "x.yaml").write_text("")
    assert find_job("x", tmp_path) == Path("x.yaml")
    assert find_job(str(tmp_path / "x.yaml"), tmp_path) == tmp_path / "x.yaml"


def test_find_job__nothing_there_points_to_init(tmp_path):
    with pytest.raises(
        ConfigError, match=r"looked for mantle\.yaml and jobs/mantle\.yaml.*hpctrain init mantle"
    ):
        find_job("mantle", tmp_path)


def test_read_site__unknown_name_lists_all():
    with pytest.raises(ConfigError, match="unknown site 'polarsi'; choose from aurora, .*polaris"):
        read_site("polarsi")


def test_read_site__own_file_by_path(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\ntitle: x\nscheduler: slrum\nlauncher: {kind: srun}\n")
    with pytest.raises(
        ConfigError, match=r"mine\.yaml:3: scheduler: unknown scheduler 'slrum'.*'slurm'"
    ):
        read_site(str(path))


@pytest.mark.parametrize("arg", ["-B/scratch/me:/e", "-W/Ce", "-c", "--env", "-b/Ce", "C", "-w"])
def test_read_site__words_of_the_engine_that_leave_the_environment(tmp_path, arg):
    path = tmp_path / "mine.yaml"
    line = f"container: {{args: ['{arg}']}}\n"
    path.write_text(f"name: mine\ntitle: x\nscheduler: slurm\nlauncher: {{kind: srun}}\n{line}")
    assert read_site(str(path))[0].container.args == [arg]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("env: {PATH: /x}", "env: sets PATH, which the run script sets itself; remove it"),
        ("env: {HPCTRAIN_RANK: '0'}", "env: sets HPCTRAIN_RANK, which the run script sets"),
        ("container: {args: [--nv, --cleanenv]}", "container.args.1: found '--cleanenv', which"),
        ("container: {args: [--cleanenv=true]}", "would strip the rank variables and the GPU mask"),
        ("container: {args: [-e]}", "container.args.0: found '-e', which would strip"),
        ("container: {args: [--containall]}", "found '--containall', which would strip"),
        ("container: {args: [-C=true]}", "found '-C=true', which would strip"),
        ("container: {args: [-ce]}", "found '-ce', which would strip"),
        ("container: {args: [-uC]}", "found '-uC', which would strip"),
        ("container: {args: [--compat]}", "found '--compat', which would strip"),
        (
            "env: {APPTAINER_CLEANENV: '1'}",
            "env: sets APPTAINER_CLEANENV, which would strip the rank",
        ),
        ("container: {env: {SINGULARITY_CONTAINALL: '1'}}", "container.env: sets SINGULARITY_CONT"),
        (
            "modules: [load x, 'load \"y']",
            "modules.1: found 'load \"y', which a shell cannot split",
        ),
        ("modules: [' ']", "modules.0: found ' '; allowed: one word or more"),
        ("min_walltime: 5", "min_walltime: found the number 5"),
    ],
)
def test_read_site__plain_words(tmp_path, line, message):
    path = tmp_path / "mine.yaml"
    path.write_text(f"name: mine\ntitle: x\nscheduler: slurm\nlauncher: {{kind: srun}}\n{line}\n")
    with pytest.raises(ConfigError) as info:
        read_site(str(path))
    assert str(info.value).startswith(f"{path}:5: ")
    assert message in str(info.value)


def test_read_site__user_folder_comes_first(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    folder = tmp_path / "hpctrain" / "templates" / "sites"
    folder.mkdir(parents=True)
    (folder / "polaris.yaml").write_text(
        "name: polaris\ntitle: mine\nscheduler: local\nlauncher: {kind: none}\n"
    )
    assert read_site("polaris")[0].title == "mine"


def test_read_site__every_shipped_site_says_where_its_facts_come_from():
    for name in site_names():
        site, _ = read_site(name)
        assert site.name == name
        assert site.sources, name
