"""The block `train` of a job file out of map2map's options."""

from __future__ import annotations

from hpctrain.imports.map2map_data import Block, DataBlock

_CRITERIA = {
    "BCEWithLogitsLoss": "bce",
    "WDistLoss": "wasserstein",
    "MSELoss": "least_squares",
}
OWN_CRITERIA = ("DiceLoss", "WDistLoss")
_OPTIMIZER = ("betas", "weight_decay", "momentum", "nesterov", "eps")
_PLATEAU = {"mode": "mode", "factor": "factor", "patience": "patience", "threshold": "threshold"}


class TrainBlock(DataBlock):
    """Data and networks of one command line."""

    def train(self) -> Block:
        """The block `train`."""
        given, factor = self.given, self.given.scale_factor
        block: Block = {
            "task": "super_resolution" if factor > 1 else "field_to_field",
            "upscale_factor": factor,
            "epochs": given.epochs,
            "global_batch_size": given.batch_size * self.gpus,
            "seed": given.seed,
            "criterion": given.criterion,
            "generator": self._generator(),
            "optimizer": self._optimizer(given.lr, given.optimizer_args, "--optimizer-args"),
            "log_every_steps": given.log_interval,
        }
        if given.reduce_lr_on_plateau:
            block["schedule"] = {"kind": "plateau", "plateau": self._plateau()}
        elif given.scheduler_args:
            self.refused.append("--scheduler-args: has no effect without --reduce-lr-on-plateau")
        if given.adv_model:
            block["pretrain_epochs"] = given.adv_start
            block["adversary"] = self._adversary()
        if given.load_state:
            block["initial_weights"] = {"path": given.load_state}
            self.notes.append(
                "--load-state: weights only; a run of its own goes on by itself, and its "
                "path counts from data.root here"
            )
        return block

    def _generator(self) -> Block:
        model = self.given.model
        if model in ("UNet", "VNet"):
            block: Block = {"kind": model.lower()}
            if "bypass" in self.misc:
                block["bypass"] = self.misc.pop("bypass")
            return block
        if model in ("srsgan.G", "G"):
            noise = "concatenate" if self.misc.pop("cat_noise", False) else "add"
            return {
                "kind": "srsgan",
                "channels": self._widths(),
                "noise": noise,
                "projection": "leaky",
            }
        return self._own("--model", model)

    def _own(self, option: str, model: str) -> Block:
        if "." not in model:
            self.refused.append(
                f"{option}: {model} has no equivalent; allowed: UNet, VNet, srsgan.G, srsgan.D, "
                "PatchGAN, or module.Class of your own code"
            )
            return {"kind": "module.Class"}
        options, self.misc = self.misc, {}
        self.notes.append(f"{option}: {model} is made as Class(channels, **options) here")
        return {"kind": model, "options": options} if options else {"kind": model}

    def _widths(self) -> Block:
        misc = self.given.misc_kwargs
        for key in ("chan_base", "chan_min", "chan_max"):
            self.misc.pop(key, None)
        return {
            "base": misc.get("chan_base", 512),
            "min": misc.get("chan_min", 64),
            "max": misc.get("chan_max", 512),
        }

    def _optimizer(self, rate: float, options: Block, option: str) -> Block:
        known = {k: v for k, v in options.items() if k in _OPTIMIZER}
        for key in options:
            if key not in known:
                self.refused.append(f"{option}: {key} cannot be set here; leave it out")
        if self.given.optimizer in ("Adam", "AdamW", "NAdam", "RAdam", "Adamax"):
            known.setdefault("betas", [0.9, 0.999])  # torch's, where the block's own are others
        return {"name": self.given.optimizer, "learning_rate": rate, **known}

    def _plateau(self) -> Block:
        given = self.given
        metric = "validation/rmse/generator" if given.val_in_patterns else "train/loss/generator"
        block: Block = {"metric": metric, "threshold": 1e-4, "patience": 10, "factor": 0.1}
        for key, value in given.scheduler_args.items():
            if key in _PLATEAU:
                block[_PLATEAU[key]] = value
            elif key != "verbose":
                self.refused.append(f"--scheduler-args: {key} cannot be set here; leave it out")
        return block

    def _adversary(self) -> Block:
        given = self.given
        loss = _CRITERIA.get(given.adv_criterion.rpartition(".")[2])
        if loss is None:
            known = ", ".join(_CRITERIA)
            self.refused.append(
                f"--adv-criterion: {given.adv_criterion} has no equivalent; choose from {known}"
            )
            loss = "bce"
        options = given.optimizer_args if given.adv_optimizer_args is None else None
        rate = given.lr if given.adv_lr is None else given.adv_lr
        block: Block = {
            "discriminator": self._critic(),
            "optimizer": self._optimizer(
                rate, options or given.adv_optimizer_args or {}, "--adv-optimizer-args"
            ),
            "loss": loss,
            "gradient_penalty": self._penalty(loss),
            "critic_steps": given.adv_iter_ratio,
            "conditional": given.cgan,
            "spectral_norm": given.adv_model_spectral_norm,
        }
        if given.adv_label_smoothing != 1:
            block["label_smoothing"] = round(1 - given.adv_label_smoothing, 10)
        if given.instance_noise:
            epochs = max(given.epochs - given.adv_start, 1)
            block["instance_noise"] = {"std": given.instance_noise, "epochs": epochs}
            self.notes.append(
                f"--instance-noise-batches: the noise falls by epoch here, to zero in {epochs}; "
                f"{given.instance_noise_batches:g} batches are these divided by batches an epoch"
            )
        return block

    def _critic(self) -> Block:
        model = self.given.adv_model
        if model in ("srsgan.D", "D"):
            return {"kind": "srsgan", "channels": self._widths()}
        if model == "PatchGAN":
            return {"kind": "patch", "norm": "batch"}
        return self._own("--adv-model", model)

    def _penalty(self, loss: str) -> Block | None:
        given = self.given
        if given.adv_r1_reg_interval:
            if given.adv_wgan_gp_interval:
                self.refused.append(
                    "--adv-wgan-gp-interval: there is one penalty; leave it or "
                    "--adv-r1-reg-interval out"
                )
            return {"kind": "r1", "weight": 10.0, "every": given.adv_r1_reg_interval}
        every = given.adv_wgan_gp_interval
        if every is None and loss == "wasserstein":
            self.notes.append("gradient penalty: that of map2map's wgan branch, as none is named")
            every = 1
        return {"kind": "wgan_gp", "weight": 10.0, "every": every} if every and every > 0 else None
