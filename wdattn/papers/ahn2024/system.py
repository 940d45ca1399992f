"""How a run of Ahn et al. (2024) is made: model, loss, update rule, start and batches."""

from functools import lru_cache

import keras

from wdattn.data import in_context_regression
from wdattn.models import LinearTransformer
from wdattn.optimizers import Knob, Update, update_rules
from wdattn.papers.ahn2024 import network
from wdattn.papers.ahn2024.settings import Regression
from wdattn.replicas import weights_by_path
from wdattn.reproduction.design.system import System

RULES = {
    # Both betas are 0.9 in the authors' code; SGD keeps torch's momentum buffer.
    "adam": update_rules.Adam(beta_1=0.9, beta_2=0.9, epsilon=1e-8),
    "sgdm": update_rules.SGD(momentum=0.9),
}


def build(settings: Regression) -> System:
    """The system of every run that can be stacked with this one."""
    return System(
        model=_model(
            settings.covariates,
            settings.layers,
            settings.dim,
            settings.activation,
            settings.precision,
        ),
        loss=squared_error,
        update=Update(
            RULES[settings.optimizer],
            learning_rate=Knob("learning_rate"),
            weight_decay=Knob("weight_decay"),
            clipnorm=Knob("clipnorm"),
        ),
        start=start,
        batch=batch,
        skip_nonfinite=True,  # at 8 layers an outlier prompt overflows
    )


def squared_error(y_true, y_pred):
    """Mean squared error over prompts."""
    return keras.ops.mean(keras.ops.square(y_pred - y_true))


def start(settings: Regression):
    """Weights of iterate 0, by path; by seed alone.

    They are N(0, 0.05^2), those of Appendix B's student as torch starts.
    """
    if settings.covariates == "network":
        return weights_by_path(network.student(settings.seed))
    return weights_by_path(LinearTransformer(settings.layers, settings.dim, seed=settings.seed))


def batch(settings: Regression, step: int):
    """The fresh prompts of a step."""
    return prompts(settings, settings.batch, settings.seed, settings.stream, step)


def prompts(settings: Regression, count: int, seed: int, stream: int, step: int = 0):
    """`count` prompts of the run's task."""
    learns_network = settings.covariates == "network"
    return in_context_regression(
        count,
        setting="normal" if learns_network else settings.covariates,
        features=network.teacher if learns_network else None,
        dim=settings.dim,
        context=settings.context,
        seed=seed,
        stream=stream,
        step=step,
    )


@lru_cache(maxsize=16)  # one model a kind, so that what measures it is compiled once
def _model(covariates, layers, dim, activation, precision):
    """The model, in `precision`: that of the call."""
    if covariates == "network":
        return network.student(seed=0)
    return LinearTransformer(layers, dim, activation=activation, seed=0)
