"""Builds run directories from data files alone, as a training would leave them behind."""

import hashlib
import json
import math
import random
from pathlib import Path

import yaml
from PIL import Image

VARIABLES = ("temperature", "vx", "vy", "vz")
STARTED = 1_760_000_000.0

CONFIG = {
    "version": 1,
    "name": "mantle",
    "site": "local",
    "resources": {"nodes": 1, "ranks_per_node": 2, "gpus_per_rank": 0, "walltime": "01:00:00"},
    "launch": {"comm": "auto", "env": {}},
    "container": None,
    "data": {"kind": "fields", "targets": ["mantle*.nc"], "crop": [8, 8, 8],
             "variables": list(VARIABLES), "geometry": "sphere"},
    "train": {"task": "super_resolution", "epochs": 20, "global_batch_size": 8, "seed": 0,
              "upscale_factor": 4, "criterion": "mse", "pretrain_epochs": 6,
              "optimizer": {"name": "Adam", "learning_rate": 2e-4},
              "adversary": {"loss": "wasserstein", "critic_steps": 5}},
}  # fmt: skip


def write_json(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n")


def render(run: Path, **state):
    """What `hpctrain render` leaves: configuration, site, index, code, state."""
    (run / "logs").mkdir(parents=True)
    (run / "config.yaml").write_text(yaml.safe_dump(CONFIG, sort_keys=False))
    (run / "site.yaml").write_text("name: local\nscheduler: local\nlauncher: mpirun\n")
    source = {"digest": "c0de" * 16, "git_revision": "1a2b3c4d", "dirty": True, "version": "0.1.0"}
    write_json(run / "code" / "SOURCE.json", source)
    table = "id,split,status\n1,train,ok\n2,validation,ok\n"
    (run / "index.csv").write_text(table)
    counts = {"rows": 24, "train": 20, "validation": 4, "left_out": 0}
    digest = hashlib.sha256(table.encode()).hexdigest()
    write_json(run / "index.json", {"root": "/data/mantle", "counts": counts, "digest": digest})
    write_json(run / "manifest.json", {"files": {}})
    write_json(run / "state.json", {"status": "rendered", **state})
    return run


def train(run: Path, epochs=20, steps_per_epoch=40, **state):
    """Some epochs of a GAN with pre-training, logged every second step, one pause in between."""
    rng = random.Random(0)
    total = epochs * steps_per_epoch
    lines = []
    for step in range(2, total + 1, 2):
        lines.append(_train_line(step, step / steps_per_epoch, rng))
        if step % steps_per_epoch == 0:
            lines.append(_validation_line(step, step // steps_per_epoch, rng))
    (run / "logs" / "metrics.jsonl").write_text("".join(json.dumps(x) + "\n" for x in lines))
    (run / "logs" / "run.log").write_text(
        "12:00:00 epoch 1/20\n\x1b[31mwarning\x1b[0m: slow disk\n"
    )
    for epoch in range(max(1, epochs - 2), epochs + 1):
        path = run / "checkpoints" / f"state_{epoch}.pt"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(bytes(3_200_000))
        newest = path.name
    (run / "checkpoints" / "latest").symlink_to(newest)
    manifest = {"files": {}, "launches": [_launch(0, exit_code=75), _launch(5000)]}
    write_json(run / "manifest.json", manifest)
    now = {"status": "finished", "epoch": epochs, "epochs": 20, "step": total, "loss": 0.0131,
           "steps_per_epoch": steps_per_epoch, "samples_per_s": 37.4, "eta_s": 0.0,
           "checkpoint": newest, "updated": STARTED + 9000, "host": "nid0001", "pid": 4242,
           "world_size": 2, "comm": "horovod", "precision": "float32", "device": "cpu"}  # fmt: skip
    write_json(run / "state.json", {**now, **state})
    return run


def validate(run: Path, epoch=20):
    """What the last validation leaves below eval/."""
    k = list(range(1, 17))
    truth = {v: [i**-3.0 * (1 + j) for i in k] for j, v in enumerate(VARIABLES)}
    blurred = {v: [p * math.exp(-((i / 6) ** 2)) for i, p in zip(k, truth[v], strict=True)]
               for v in VARIABLES}  # fmt: skip
    ours = {v: [p * math.exp(-((i / 18) ** 2)) for i, p in zip(k, truth[v], strict=True)]
            for v in VARIABLES}  # fmt: skip
    spectra = {"k": k, "k_unit": "cycles per sample width",
               "truth": truth, "generator": ours, "trilinear": blurred}  # fmt: skip
    write_json(run / "eval" / "spectra.json", spectra)
    rmse = {"generator": [41.2, 1.9e-10, 2.0e-10, 2.3e-10],
            "trilinear": [66.0, 2.7e-10, 2.8e-10, 2.2e-10]}  # fmt: skip
    summary = {
        "epoch": epoch, "step": epoch * 40, "samples": 32, "variables": list(VARIABLES),
        "rmse": {kind: dict(zip(VARIABLES, x, strict=True)) for kind, x in rmse.items()},
        "rmse_normalized": {"generator": 0.1184, "trilinear": 0.1902},
        "log_spectrum_error": {"generator": 0.27, "trilinear": 1.61}, "samples_per_s": 36.1,
    }  # fmt: skip
    write_json(run / "eval" / "summary.json", summary)
    for name in (*VARIABLES, "spectra"):
        for old in (epoch - 1, epoch):
            path = run / "eval" / "figures" / f"epoch_{old:04d}_{name}.png"
            path.parent.mkdir(exist_ok=True)
            Image.new("RGB", (64, 48), (old, 80, 160)).save(path)
    return run


def _train_line(step, epoch, rng):
    line = {"kind": "train", "time": STARTED + 3.0 * step, "epoch": int(epoch), "step": step}
    if epoch <= 6:
        return {**line, "loss/generator": 0.4 * math.exp(-epoch) + 0.03 + 0.01 * rng.random(),
                "learning_rate/generator": 2e-4 * min(1, step / 100), **_speed(rng)}  # fmt: skip
    return {**line, "loss/generator": 0.6 + 0.3 * rng.gauss(0, 1),
            "loss/discriminator": -1.5 - 40 * math.exp(-(epoch - 6) * 9) + 0.4 * rng.gauss(0, 1),
            "loss/gradient_penalty": 0.05 * math.exp(rng.gauss(0, 0.6)),
            "learning_rate/generator": 2e-4, "learning_rate/discriminator": 1e-4,
            **_speed(rng)}  # fmt: skip


def _speed(rng):
    return {
        "samples_per_s": 38 + rng.gauss(0, 1.5),
        "share/data": 0.021,
        "share/forward_backward": 0.842,
        "share/communication": 0.087,
        "share/optimizer": 0.04,
        "share/other": 0.01,
    }


def _validation_line(step, epoch, rng):
    return {"kind": "validation", "time": STARTED + 3.0 * step, "epoch": epoch, "step": step,
            "rmse/generator": 0.11 + 0.2 * math.exp(-epoch / 3) + 0.004 * rng.random(),
            "rmse/trilinear": 0.1902, "log_spectrum_error/trilinear": 1.61,
            "log_spectrum_error/generator": 0.25 + math.exp(-epoch / 5)}  # fmt: skip


def _launch(after, **more):
    return {"launch_id": f"local-{after}", "hosts": ["nid0001"], "world_size": 2, "comm": "horovod",
            "device": "cpu", "torch": "2.13.0", "time": STARTED + after, **more}  # fmt: skip
