"""What identifies a run of Ahn et al. (2024): the paper's own values are the defaults."""

from dataclasses import dataclass, replace

from wdattn.arguments import is_integer
from wdattn.reproduction.design.settings import Settings

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
    ("network", 20, "sgdm"): 0.05,
    ("network", 20, "adam"): 0.01,
}
LAWS, RULES = ("normal", "gamma", "sphere", "network"), ("adam", "sgdm")


@dataclass(frozen=True, kw_only=True)
class Regression(Settings):
    """One linear transformer trained on fresh prompts of random linear regression.

    A `learning_rate` or `clipnorm` of None is the paper's choice for the covariates and the
    optimizer, so that a control that changes the covariates carries the rate that belongs to them.

    Args:
        covariates: law of the covariates: "normal", "gamma" or "sphere"; or "network": normal ones
            that a fixed network maps before the regression, and a student that has to learn it
            (Appendix B; `dim` is 5 there, `layers` is 3).
        context: context tokens in a prompt.
        dim: dimension of the covariates.
        layers: depth of the linear transformer.
        activation: of the attention scores: None (linear attention) or "softmax".
        batch: prompts a step.
        optimizer: "adam" or "sgdm".
        evaluation_prompts: prompts in each fixed evaluation batch.
    """

    covariates: str = "normal"
    context: int = 20
    dim: int = 5
    layers: int = 3
    activation: str | None = None
    batch: int = 1000
    steps: int = 10_000
    optimizer: str = "adam"
    evaluation_prompts: int = 1000

    def __post_init__(self):
        super().__post_init__()
        self.require("covariates", f"one of {', '.join(LAWS)}", lambda name: name in LAWS)
        self.require("optimizer", f"one of {', '.join(RULES)}", lambda name: name in RULES)
        self.require("activation", "None or softmax", lambda name: name in (None, "softmax"))
        for name in ("context", "dim", "layers", "batch", "evaluation_prompts"):
            self.require(name, "an int >= 1", lambda n: is_integer(n) and n >= 1)
        if self.covariates == "network":
            for name, value in (("dim", 5), ("layers", 3), ("activation", None)):
                self.require(name, f"{value} with covariates 'network'", lambda v, w=value: v == w)

    def filled(self) -> "Regression":
        """With the authors' rate and clipping norm in place of each None."""
        return replace(self, learning_rate=self._rate(), clipnorm=self._clip())

    def _rate(self):
        if self.learning_rate is not None:
            return self.learning_rate
        task = (self.covariates, self.context, self.optimizer)
        if task not in RATES:
            raise ValueError(f"`learning_rate` must be given for {task}; the paper has rates for "
                             f"{', '.join(map(str, RATES))}")  # fmt: skip
        return RATES[task]

    def _clip(self):
        if self.clipnorm is not None:
            return self.clipnorm
        return 0.1 if self.covariates == "sphere" else 1.0


@dataclass(frozen=True, kw_only=True)
class Noise(Regression):
    """Gradients of many batches at the start of a run; nothing is trained.

    Args:
        noise_batches: how many batches.
        reference_factor: the reference gradient is that of this many batches' prompts.
        gaussian: draw Gaussian vectors with the noise's covariance in its place.
    """

    steps: int = 0
    learning_rate: float | None = 0.0
    gaussian: bool = False
    noise_batches: int = 10_000
    reference_factor: int = 100

    def __post_init__(self):
        super().__post_init__()
        self.require("noise_batches", "an int >= 2", lambda n: is_integer(n) and n >= 2)
        self.require("reference_factor", "an int >= 1", lambda n: is_integer(n) and n >= 1)
