"""What identifies a run of Ahn et al. (2024): the paper's own values are the defaults."""

from dataclasses import dataclass, replace

from wdattn.reproduction.experiment import Settings

RATES = {
    # (covariates, context tokens, optimizer): chosen by the authors from a grid of ten.
    ("normal", 20, "sgdm"): 0.02,
    ("normal", 20, "adam"): 0.02,
    ("normal", 5, "sgdm"): 0.01,
    ("normal", 5, "adam"): 0.005,
    ("gamma", 20, "sgdm"): 0.02,
    ("gamma", 20, "adam"): 0.02,
    ("sphere", 20, "sgdm"): 5.0,
    ("sphere", 20, "adam"): 0.1,
}


@dataclass(frozen=True, kw_only=True)
class Regression(Settings):
    """One linear transformer trained on fresh prompts of random linear regression.

    A `lr` or `clip` of None is the paper's choice for the covariates and the optimizer, so that
    a control that changes the covariates carries the rate that belongs to them.

    Args:
        setting: law of the covariates: "normal", "gamma" or "sphere".
        context: context tokens in a prompt.
        dim: dimension of the covariates.
        layers: depth of the linear transformer.
        batch: prompts a step.
        optimizer: "adam" or "sgdm".
        evaluation_prompts: prompts in each fixed evaluation batch.
    """

    setting: str = "normal"
    context: int = 20
    dim: int = 5
    layers: int = 3
    batch: int = 1000
    steps: int = 10_000
    optimizer: str = "adam"
    evaluation_prompts: int = 1000

    def __post_init__(self):
        super().__post_init__()
        laws, rules = ("normal", "gamma", "sphere"), ("adam", "sgdm")
        self.require("setting", f"one of {', '.join(laws)}", lambda name: name in laws)
        self.require("optimizer", f"one of {', '.join(rules)}", lambda name: name in rules)
        for name in ("context", "dim", "layers", "batch", "evaluation_prompts"):
            self.require(name, "an int >= 1", lambda n: isinstance(n, int) and n >= 1)

    def filled(self) -> "Regression":
        """With the authors' rate and clipping norm in place of each None."""
        return replace(self, lr=self._rate(), clip=self._clip())

    def _rate(self):
        if self.lr is not None:
            return self.lr
        place = (self.setting, self.context, self.optimizer)
        if place not in RATES:
            raise ValueError(f"`lr` must be given for {place}; the paper has rates for "
                             f"{', '.join(map(str, RATES))}")  # fmt: skip
        return RATES[place]

    def _clip(self):
        if self.clip is not None:
            return self.clip
        return 0.1 if self.setting == "sphere" else 1.0


@dataclass(frozen=True, kw_only=True)
class Noise(Regression):
    """Gradients of many batches at the start of a run; nothing is trained.

    Args:
        noise_batches: how many batches.
        reference_factor: the reference gradient is that of this many batches' prompts.
    """

    steps: int = 0
    noise_batches: int = 10_000
    reference_factor: int = 100

    def __post_init__(self):
        super().__post_init__()
        self.require("noise_batches", "an int >= 2", lambda n: isinstance(n, int) and n >= 2)
        self.require("reference_factor", "an int >= 1", lambda n: isinstance(n, int) and n >= 1)
