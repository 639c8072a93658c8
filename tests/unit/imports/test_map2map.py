"""Command lines of map2map, and the job files that come out."""

from __future__ import annotations

import pytest
import yaml

from hpctrain.config.document import parse
from hpctrain.config.job import Job
from hpctrain.config.layers import Layers
from hpctrain.errors import ConfigError
from hpctrain.imports import import_map2map
from hpctrain.imports.map2map_options import _OPTIONS

PLAIN = (
    "m2m.py train --train-in-patterns 'data/train/in-*.npy' --train-tgt-patterns "
    "'data/train/out-*.npy' --crop 16 --model UNet --batch-size 2 --lr 1e-4"
)
VALIDATED = (
    " --val-in-patterns data/val/in-*.npy --val-tgt-patterns data/val/out-*.npy --dist-backend nccl"
)
GAN = (
    PLAIN.replace("UNet", "srsgan.G")
    + VALIDATED
    + " --scale-factor 8 --adv-model srsgan.D --cgan --adv-start 3"
)


SAMPLES = {
    "--train-style-pattern": "x", "--val-style-pattern": "x", "--in-norms": "torch.log",
    "--tgt-norms": "torch.log", "--crop-start": "1", "--crop-stop": "9", "--crop-step": "2",
    "--tgt-pad": "1", "--scale-factor": "2", "--aug-shift": "2", "--aug-add": "1", "--aug-mul": "1",
    "--criterion": "L1Loss", "--load-state": "state_3.pt", "--loader-workers": "2",
    "--callback-at": "c", "--misc-kwargs": '\'{"bypass": false}\'', "--adv-model": "srsgan.D",
    "--optimizer": "SGD", "--optimizer-args": '\'{"eps": 0.1}\'', "--init-weight-std": "1",
    "--epochs": "3", "--seed": "5", "--div-shuffle-dist": "1", "--dist-backend": "gloo",
    "--log-interval": "7", "--val-in-patterns": "data/val/in*", "--val-tgt-patterns": "data/val/o*",
    "--scheduler-args": '\'{"patience": 1}\'',
}  # fmt: skip
ADVERSARIAL = {
    "--adv-criterion": "MSELoss", "--adv-r1-reg-interval": "4", "--adv-wgan-gp-interval": "2",
    "--adv-start": "2", "--adv-iter-ratio": "3", "--adv-label-smoothing": "0.9",
    "--instance-noise": "1", "--adv-lr": "3", "--adv-optimizer-args": '\'{"eps": 0.1}\'',
    "--adv-model-spectral-norm": None, "--cgan": None,
}  # fmt: skip


def imported(command, **options):
    return yaml.safe_load(import_map2map(command, **options).text)


def test_import__plain_regression():
    job = imported(PLAIN)
    assert job["data"]["root"] == "data/train"
    assert job["data"]["inputs"] == ["in-*.npy"]
    assert job["data"]["validation_steps"] == 1
    assert job["data"]["crop"] == [16, 16, 16]
    assert job["data"]["normalization"] == "none"
    assert job["train"]["task"] == "field_to_field"
    assert job["train"]["generator"] == {"kind": "unet"}
    assert job["train"]["optimizer"] == {
        "name": "Adam",
        "learning_rate": 1e-4,
        "betas": [0.9, 0.999],
    }
    assert (job["train"]["epochs"], job["train"]["seed"]) == (128, 42)


def test_import__adversary():
    command = GAN + (
        " --adv-criterion WDistLoss --adv-r1-reg-interval 16 --adv-model-spectral-norm"
        " --instance-noise 0.1 --adv-lr 3e-4 --adv-optimizer-args '{\"betas\": [0, 0.9]}'"
        ' --optimizer-args \'{"betas": [0.5, 0.9], "weight_decay": 0.01}\' --epochs 13'
        ' --misc-kwargs \'{"chan_base": 128, "cat_noise": true}\''
    )
    train = imported(command)["train"]
    assert train["task"] == "super_resolution"
    assert (train["upscale_factor"], train["pretrain_epochs"]) == (8, 3)
    assert train["generator"] == {
        "kind": "srsgan",
        "channels": {"base": 128, "min": 64, "max": 512},
        "noise": "concatenate",
        "projection": "leaky",
    }
    assert train["optimizer"]["weight_decay"] == 0.01
    adversary = train["adversary"]
    assert adversary["discriminator"]["channels"]["base"] == 128
    assert adversary["optimizer"] == {"name": "Adam", "learning_rate": 3e-4, "betas": [0, 0.9]}
    assert adversary["gradient_penalty"] == {"kind": "r1", "weight": 10.0, "every": 16}
    assert (adversary["loss"], adversary["critic_steps"]) == ("wasserstein", 1)
    assert adversary["conditional"]
    assert adversary["spectral_norm"]
    assert adversary["instance_noise"] == {"std": 0.1, "epochs": 10}


def test_import__adversary_takes_the_generators_optimizer_where_it_has_none():
    command = GAN + " --optimizer-args '{\"betas\": [0.5, 0.9]}' --adv-label-smoothing 0.9"
    adversary = imported(command)["train"]["adversary"]
    assert adversary["optimizer"] == {"name": "Adam", "learning_rate": 1e-4, "betas": [0.5, 0.9]}
    assert adversary["label_smoothing"] == 0.1
    assert adversary["gradient_penalty"] is None
    assert not imported(GAN.replace("--cgan", ""))["train"]["adversary"]["conditional"]


def test_import__data_options():
    command = PLAIN + (
        " --crop-start 4 --crop-stop 8,16,32 --crop-step 8 --augment --aug-shift 2,4,4"
        " --aug-add 0.5 --aug-mul 0.25 --in-norms cosmology.vel --tgt-norms torch.log1p"
        ' --misc-kwargs \'{"z": 2.0, "dis_std": 5}\' --callback-at code --criterion my.Loss'
    )
    job = imported(command)
    data = job["data"]
    assert (data["crop_start"], data["crop_stop"], data["stride"]) == (
        [4, 4, 4],
        [8, 16, 32],
        [8, 8, 8],
    )
    assert data["augment"] == {
        "octahedral": True,
        "random_shift": True,
        "max_shift": [2, 4, 4],
        "additive_std": 0.5,
        "multiplicative_std": 0.25,
    }
    assert data["input_norms"] == [
        {"kind": "cosmology.vel", "options": {"redshift": 2.0, "deviation": 5}}
    ]
    assert data["target_norms"] == [{"kind": "log1p"}]
    assert job["code"] == ["code"]
    assert job["train"]["criterion"] == "my.Loss"


def test_import__plateau_and_gpus():
    command = PLAIN + VALIDATED + " --reduce-lr-on-plateau --scheduler-args '{\"patience\": 4}'"
    job = imported(command, gpus=4)
    assert job["train"]["global_batch_size"] == 8
    assert job["resources"]["ranks_per_node"] == 4
    plateau = job["train"]["schedule"]["plateau"]
    assert (plateau["metric"], plateau["patience"]) == ("validation/rmse/generator", 4)


def test_import__own_network_gets_what_is_left_of_misc_kwargs():
    command = PLAIN.replace("UNet", "mine.Net") + " --misc-kwargs '{\"width\": 3}'"
    assert imported(command)["train"]["generator"] == {"kind": "mine.Net", "options": {"width": 3}}


def test_import__continued_lines_behind_srun():
    command = "srun -n 1 python m2m.py train \\\n" + PLAIN.removeprefix("m2m.py train").replace(
        " --", " \\\n --"
    )
    assert imported(command)["data"] == imported(PLAIN)["data"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("--init-weight-std 0.02", "--init-weight-std: raises a NameError"),
        ("--tgt-pad 3", "--tgt-pad: the output is cut to the target"),
        ("--misc-kwargs '{\"chan_bass\": 8}'", "nothing takes chan_bass, which map2map would"),
        ("--in-norms mine.norm", "--in-norms: mine.norm is a function with undo="),
        ("--train-style-pattern s*.npy", "write a table and name it as data.styles"),
        ("--load-state-non-strict", "--load-state-non-strict: weights that do not fit"),
        ("--scheduler-args '{\"patience\": 1}'", "no effect without --reduce-lr-on-plateau"),
        ("--div-shuffle-dist 2", "no effect without --div-data"),
        ("--optimizer-args '{\"amsgrad\": true}'", "--optimizer-args: amsgrad cannot be set"),
        ("--adv-model Foo", "--adv-model: Foo has no equivalent"),
        ("--adv-model srsgan.D --adv-criterion Odd", "--adv-criterion: Odd has no equivalent"),
        ("--criterion DiceLoss", "--criterion: DiceLoss is map2map's own"),
        ("--frobnicate 3", "unrecognized arguments: --frobnicate 3"),
        ("--crop a", "argument --crop: found 'a'; allowed: whole numbers"),
        ("--misc-kwargs 3", "argument --misc-kwargs: found '3'; allowed: a JSON object"),
        (
            "--misc-kwargs '{z: 1}'",
            "argument --misc-kwargs: found '{z: 1}'; allowed: a JSON object",
        ),
        ("--val-in-patterns data/val/i*", "--val-in-patterns: has no effect without --val-tgt"),
        ("--val-tgt-patterns data/val/o*", "--val-tgt-patterns: has no effect without --val-in"),
        ("--adv-model srsgan.D --instance-noise-batches 9", "no effect without --instance-noise"),
        ("--adv-model srsgan.D --adv-r1-reg-interval 4 --adv-wgan-gp-interval 2", "one penalty"),
        ("--model 'my.Net\nevil: 1'", r"'my.Net\\nevil: 1' has a control character"),
        ("--model 'my.Net\u2028evil: 1'", "has a control character"),
        ("--seed 3 # \x07", "has a control character"),
    ],
)
def test_import__refuses_with_the_reason(more, message):
    with pytest.raises(ConfigError, match=message):
        import_map2map(f"{PLAIN} {more}")


@pytest.mark.parametrize("option", [*sorted(ADVERSARIAL), "--instance-noise-batches"])
def test_import__option_of_an_adversary_that_is_not_there__is_refused(option):
    with pytest.raises(ConfigError, match=f"m2m.py: {option}: has no effect without --adv-model"):
        import_map2map(f"{PLAIN} {option} {ADVERSARIAL.get(option, '9') or ''}")


@pytest.mark.parametrize(("more", "distance"), [("", 1.0), (" --div-shuffle-dist 2.5", 2.5)])
def test_import__divided_data(more, distance):
    made = import_map2map(f"{PLAIN} --div-data{more}", gpus=2)
    order = yaml.safe_load(made.text)["data"]["order"]
    assert order == {"kind": "divided", "shuffle_distance": distance, "deal": "each_epoch"}
    assert any("data.order" in note for note in made.notes)
    assert "order" not in imported(PLAIN)["data"]


def test_import__tells_all_that_is_refused_at_once():
    with pytest.raises(ConfigError) as info:
        import_map2map(PLAIN + " --tgt-pad 3 --init-weight-std 1 --in-norms mine.norm")
    assert len(str(info.value).splitlines()) == 3


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("python train.py", "found no m2m.py"),
        ("m2m.py test --crop 3", "found mode 'test'; only train"),
        ("m2m.py train 'open", "cannot be read: No closing quotation"),
        (PLAIN.replace("--crop 16", ""), "--crop: is missing"),
    ],
)
def test_import__no_such_command_line(command, message):
    with pytest.raises(ConfigError, match=message):
        import_map2map(command)


@pytest.mark.parametrize(
    "option", sorted({*_OPTIONS} - {"--train-in-patterns", "--train-tgt-patterns", "--model"})
)
def test_import__every_option_has_an_effect_or_a_word(option):
    """Nothing is swallowed: the job file changes, a note says why not, or it is refused."""
    base = PLAIN
    if option == "--adv-model":
        base = base.replace("--crop 16", "--crop 48")
    if option in ADVERSARIAL or option == "--instance-noise-batches":
        base = base.replace("--crop 16", "--crop 48") + " --instance-noise 0.5"
        base += " --adv-model srsgan.D"
    if option == "--scale-factor":
        base = base.replace("UNet", "srsgan.G").replace("--crop 16", "--crop 8 --scale-factor 4")
    value = {**SAMPLES, **ADVERSARIAL}.get(option)
    if option in ("--crop", "--lr", "--instance-noise-batches"):
        value = "9"
    before, after = outcome(base), outcome(f"{base} {option} {value or ''}")
    assert before != after
    if isinstance(after, str):
        assert option.removesuffix("-pattern") in after


def outcome(command):
    """Job and notes, or the message."""
    try:
        made = import_map2map(command)
    except ConfigError as e:
        return str(e)
    return made.text.split("version: 1")[1], made.notes


def test_import__what_comes_out_is_a_valid_job():
    layers = Layers()
    layers.add(parse(import_map2map(GAN, name="gan").text, "gan.yaml"))
    assert layers.validate(Job).name == "gan"
