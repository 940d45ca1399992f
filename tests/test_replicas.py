"""Each replica against the run that it stands for, made alone and by other means."""

import keras
import numpy as np
import pytest
import torch
from keras import layers
from keras.ops import convert_to_numpy

from wdattn.data import in_context_regression
from wdattn.models import LinearTransformer
from wdattn.optimizers.update_rules import SGD, Adam
from wdattn.replicas import Replicas

STEPS = 20
RATES = np.array([0.02, 0.05, 0.01])
DECAYS = np.array([0.0, 0.1, 1.0])
CLIPNORMS = np.array([np.inf, 0.3, 1.0])
BATCH_OF = np.array([0, 1, 0])


def squared_error(y_true, y_pred):
    # Not ops.mean, which on JAX and PyTorch rounds float64 to float32.
    return keras.ops.sum(keras.ops.square(y_pred - y_true)) / y_true.shape[0]


def linear_transformer(seed=0):
    return LinearTransformer(depth=3, dim=5, seed=seed)


def float64_transformer(seed=0):
    return LinearTransformer(depth=3, dim=5, seed=seed, dtype="float64")


def perceptron(seed=0):
    """With all that a layer can add to the loss, and a dropout that is off."""
    inputs = keras.Input((6,))
    hidden = layers.Dense(
        8,
        "tanh",
        kernel_initializer=keras.initializers.GlorotUniform(seed),
        kernel_regularizer=keras.regularizers.L2(0.1),
        activity_regularizer=keras.regularizers.L2(0.01),
    )(inputs)
    last = layers.Dense(
        1,
        kernel_initializer=keras.initializers.GlorotUniform(seed + 100),
        kernel_regularizer=keras.regularizers.L2(0.1),
    )
    return keras.Model(inputs, last(layers.Dropout(0.0)(hidden)))


def normalized(seed=0):
    inputs = keras.Input((6,))
    glorot = keras.initializers.GlorotUniform(seed)
    hidden = layers.Dense(8, use_bias=False, kernel_initializer=glorot)(inputs)
    hidden = layers.Activation("tanh")(layers.BatchNormalization(momentum=0.8)(hidden))
    last = layers.Dense(1, kernel_initializer=keras.initializers.GlorotUniform(seed + 100))
    return keras.Model(inputs, last(hidden))


def start_of(model):
    variables = [*model.trainable_variables, *model.non_trainable_variables]
    return [np.array(convert_to_numpy(variable)) for variable in variables]


def prompts(step, batches=2):
    pairs = [in_context_regression(32, seed=seed, step=step) for seed in range(batches)]
    return tuple(np.stack(parts) for parts in zip(*pairs, strict=True))


def vectors(step, batches=2):
    rng = np.random.default_rng([step, batches])
    x = rng.normal(size=(batches, 16, 6)).astype("float32")
    return x, np.sin(x.sum(axis=-1, keepdims=True))


BATCHES = {
    linear_transformer: prompts,
    float64_transformer: prompts,
    perceptron: vectors,
    normalized: vectors,
}


def replicas(build, rule, size=3, loss=squared_error, **changes):
    models = [build(seed) for seed in range(size)]
    arguments = {
        "rates": RATES[:size],
        "decays": DECAYS[:size],
        "clipnorms": CLIPNORMS[:size],
        "batch_of": BATCH_OF[:size],
        **changes,
    }
    starts = [start_of(model) for model in models]
    return Replicas(models[0], loss, rule, starts, **arguments)


def train(runner, batches, steps=range(STEPS)):
    return np.stack([np.asarray(runner.step(*batches(step))) for step in steps])


def assert_equal_to_round_off(mine, theirs, dtype="float32"):
    """In the norm of each array: a single entry may cancel, and round-off is not relative to it.

    A path of 20 steps multiplies round-off: 109 units of float32 were seen, and 104 of float64.
    """
    for one, other in zip(mine, theirs, strict=True):
        distance = np.linalg.norm(np.asarray(one, "float64") - other) / np.linalg.norm(other)
        assert distance <= 500 * np.finfo(dtype).eps


# The single run as PyTorch's own loop: float64, its optimizers, models as the papers write them.


def literal_transformer(z, weights):
    """Ahn et al. (2024), Section 2, tokens as rows: scores, mask and all."""
    n = z.shape[1] - 1
    mask = torch.diag(torch.tensor([1.0] * n + [0.0], dtype=z.dtype))
    for value, key_query in zip(weights[::2], weights[1::2], strict=True):
        p = torch.block_diag(value, torch.ones(1, 1, dtype=z.dtype))
        q = torch.block_diag(key_query, torch.zeros(1, 1, dtype=z.dtype))
        z = z + (z @ q.T @ z.transpose(1, 2)) @ mask @ z @ p.T / n
    return -z[:, -1, -1:], 0.0


def literal_perceptron(x, weights):
    kernel, bias, last_kernel, last_bias = weights
    hidden = torch.tanh(x @ kernel + bias)
    # Keras divides the penalty of an activity by the batch.
    penalty = 0.1 * (kernel.square().sum() + last_kernel.square().sum())
    return hidden @ last_kernel + last_bias, penalty + 0.01 * hidden.square().sum() / len(x)


def alone(predict, rule, weights, batches, rate, decay, clipnorm, steps=STEPS):
    weights = [torch.nn.Parameter(torch.tensor(weight, dtype=torch.float64)) for weight in weights]
    optimizer = (
        torch.optim.SGD(weights, lr=rate, momentum=rule.momentum)
        if isinstance(rule, SGD)
        else torch.optim.Adam(weights, rate, (rule.beta_1, rule.beta_2), rule.epsilon)
    )
    losses = []
    for step in range(steps):
        x, y = (torch.tensor(part, dtype=torch.float64) for part in batches(step))
        prediction, penalty = predict(x, weights)
        loss = (prediction - y).square().mean() + penalty
        optimizer.zero_grad()
        loss.backward()
        norm = torch.sqrt(sum(weight.grad.square().sum() for weight in weights))
        with torch.no_grad():
            for weight in weights:
                weight.grad *= min(1.0, clipnorm / norm)
                weight *= 1 - rate * decay
        optimizer.step()
        losses.append(loss.item())
    return losses, [weight.detach().numpy() for weight in weights]


@pytest.mark.parametrize(
    ("build", "predict", "rule"),
    [
        (linear_transformer, literal_transformer, Adam(0.9, 0.9)),
        (linear_transformer, literal_transformer, SGD(0.9)),
        # In float64 a fault has no round-off to hide in. Stock Keras layers have no float64 on JAX
        # and PyTorch: activations and means round to float32.
        (float64_transformer, literal_transformer, Adam(0.9, 0.9)),
        (float64_transformer, literal_transformer, SGD(0.9)),
        (perceptron, literal_perceptron, Adam()),
        (perceptron, literal_perceptron, SGD()),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_each_path_is_that_of_torch(build, predict, rule):
    runner, dtype = replicas(build, rule), build(0).dtype
    losses = train(runner, BATCHES[build])
    assert losses.dtype == dtype
    for run, (rate, decay, clipnorm) in enumerate(zip(RATES, DECAYS, CLIPNORMS, strict=True)):
        expected_losses, weights = alone(
            predict,
            rule,
            start_of(build(run)),
            lambda step, run=run: [part[BATCH_OF[run]] for part in BATCHES[build](step)],
            rate,
            decay,
            clipnorm,
        )
        assert_equal_to_round_off(runner.weights(run), weights, dtype)
        assert_equal_to_round_off([losses[:, run]], [expected_losses], dtype)


@pytest.mark.parametrize("build", [perceptron, normalized])
def test_each_path_is_that_of_keras(build):
    """Of `train_on_batch`: the rate in its momentum makes no difference while it is constant."""
    loss = keras.losses.MeanSquaredError()
    runner = replicas(build, SGD(0.9), loss=loss)
    losses = train(runner, BATCHES[build])
    for run, (rate, decay, clipnorm) in enumerate(zip(RATES, DECAYS, CLIPNORMS, strict=True)):
        model = build(run)
        optimizer = keras.optimizers.SGD(
            rate,
            momentum=0.9,
            weight_decay=decay,
            global_clipnorm=float(clipnorm) if np.isfinite(clipnorm) else None,
        )
        model.compile(optimizer, loss, jit_compile=False)
        expected_losses = [
            model.train_on_batch(*(part[BATCH_OF[run]] for part in BATCHES[build](step)))
            for step in range(STEPS)
        ]
        # The statistics of batch normalization stand among the weights.
        assert_equal_to_round_off(runner.weights(run), start_of(model))
        assert_equal_to_round_off([losses[:, run]], [expected_losses])


def test_one_replica_is_the_one_among_others():
    among = replicas(normalized, Adam())
    alone = replicas(normalized, Adam(), size=1)
    losses = train(among, vectors)[:, :1]
    first_batches = train(alone, lambda step: [part[:1] for part in vectors(step)])
    assert_equal_to_round_off([first_batches], [losses])
    assert_equal_to_round_off(alone.weights(0), among.weights(0))


def first_gradient(build, run):
    """Of one run, by a step of plain descent."""
    runner = replicas(build, SGD(), rates=1.0, decays=0.0, clipnorms=None)
    runner.step(*BATCHES[build](0))
    return [a - b for a, b in zip(start_of(build(run)), runner.weights(run), strict=True)]


def test_clipping_is_by_the_runs_own_norm():
    """One run clips, and its neighbour does not: the norm over both would clip it too."""
    gradients = [first_gradient(perceptron, run) for run in range(2)]
    norms = [np.sqrt(sum(np.sum(np.square(g)) for g in gradient)) for gradient in gradients]
    clipnorms = [norms[0] / 2, norms[1] * 1.01]
    runner = replicas(perceptron, SGD(), 2, rates=1.0, decays=0.0, clipnorms=clipnorms)
    runner.step(*vectors(0))
    for run, scale in enumerate([0.5, 1.0]):
        expected = [
            start - scale * gradient
            for start, gradient in zip(start_of(perceptron(run)), gradients[run], strict=True)
        ]
        for mine, theirs in zip(runner.weights(run), expected, strict=True):
            # One step of float32 on parameters below 1, and gradients that are differences of them.
            np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-6)


def test_decay_shrinks_every_parameter_by_rate_times_decay():
    """With no gradient to hide it: the error is 0 where the target is the prediction."""
    model = linear_transformer()
    x, _ = prompts(0, batches=1)
    runner = Replicas(model, lambda y, p: 0.0 * squared_error(y, p), Adam(), [start_of(model)] * 2,
                      rates=[0.1, 0.5], decays=[0.2, 0.0], batch_of=[0, 0])  # fmt: skip
    for _ in range(3):
        runner.step(x, np.zeros((1, 32, 1), "float32"))
    for shrunk, kept, start in zip(runner.weights(0), runner.weights(1), start_of(model),
                                   strict=True):  # fmt: skip
        np.testing.assert_allclose(shrunk, (1 - 0.1 * 0.2) ** 3 * start, rtol=1e-6)
        np.testing.assert_array_equal(kept, start)


def test_replicas_that_share_a_batch_get_it_once():
    """As if each had been handed a copy: to the bit, since nothing but the gather differs."""
    shared = replicas(perceptron, Adam(), batch_of=[1, 0, 1])
    copied = replicas(perceptron, Adam(), batch_of=None)
    for step in range(3):
        x, y = vectors(step)
        np.testing.assert_array_equal(shared.step(x, y), copied.step(x[[1, 0, 1]], y[[1, 0, 1]]))
    for run in range(3):
        for one, other in zip(shared.weights(run), copied.weights(run), strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("build", [linear_transformer, normalized])
def test_batches_that_serve_equally_many_runs(build):
    """Whatever the order of the runs: each as with a batch of its own, to round-off."""
    batch_of = np.array([1, 0, 0, 1])
    changes = {"rates": [0.02, 0.05, 0.01, 0.03], "decays": 0.1, "clipnorms": [0.3, 1, 2, np.inf]}
    shared = replicas(build, Adam(), size=4, **{**changes, "batch_of": batch_of})
    copied = replicas(build, Adam(), size=4, **{**changes, "batch_of": None})
    for step in range(5):
        x, y = BATCHES[build](step)
        losses = copied.step(x[batch_of], y[batch_of])
        assert_equal_to_round_off([shared.step(x, y)], [np.asarray(losses)])
    for run in range(4):
        assert_equal_to_round_off(shared.weights(run), copied.weights(run))


@pytest.mark.parametrize("poison", [np.nan, np.inf])
@pytest.mark.parametrize("rule", [Adam(), SGD(0.9)], ids=str)
def test_an_update_that_is_not_finite_is_skipped(rule, poison):
    runner = replicas(normalized, rule, skip_nonfinite=True)
    runner.step(*vectors(0))
    before = runner.state()
    x, y = vectors(1)
    y[0, 0] = poison  # of runs 0 and 2
    losses = np.asarray(runner.step(x, y))
    assert not np.isfinite(losses[[0, 2]]).any() and np.isfinite(losses[1])
    np.testing.assert_array_equal(runner.skipped, [1, 0, 1])
    after = runner.state()
    for name in before.keys() - {"skipped", "steps_taken"}:
        np.testing.assert_array_equal(after[name][[0, 2]], before[name][[0, 2]])
    assert (after["parameters"][1] != before["parameters"][1]).any()
    assert runner.steps_taken == 2  # which Adam's bias correction counts

    fresh = replicas(normalized, rule, skip_nonfinite=True)
    fresh.restore(after)
    np.testing.assert_array_equal(fresh.skipped, [1, 0, 1])
    assert np.isfinite(train(fresh, vectors, range(2, 4))).all()


def test_a_loss_that_overflows_alone_does_not_skip():
    runner = replicas(normalized, SGD(0.9), skip_nonfinite=True, clipnorms=1.0)
    x, y = vectors(0)
    y[0, 0] = 1e30  # its square is infinite, the gradient is not
    before = runner.state()["parameters"]
    losses = np.asarray(runner.step(x, y))
    assert np.isinf(losses[[0, 2]]).all()
    np.testing.assert_array_equal(runner.skipped, [0, 0, 0])
    after = runner.state()["parameters"]
    assert (after[0] != before[0]).any() and np.isfinite(after).all()


def test_nothing_is_skipped_unless_asked_for():
    runner = replicas(perceptron, Adam())
    x, y = vectors(0)
    y[0, 0] = np.nan
    runner.step(x, y)
    assert np.isnan(runner.weights(0)[0]).any() and np.isfinite(runner.weights(1)[0]).all()
    np.testing.assert_array_equal(runner.skipped, [0, 0, 0])
    assert "skipped" not in runner.state()


def test_a_guard_that_has_nothing_to_do_changes_nothing():
    guarded, plain = replicas(perceptron, Adam(), skip_nonfinite=True), replicas(perceptron, Adam())
    train(guarded, vectors), train(plain, vectors)
    for run in range(3):
        assert_equal_to_round_off(guarded.weights(run), plain.weights(run))


@pytest.mark.parametrize("rule", [Adam(), SGD(0.9), SGD()], ids=str)
def test_resumes_to_the_bit(rule):
    straight = replicas(normalized, rule)
    train(straight, vectors, range(4))
    saved = {name: array.copy() for name, array in straight.state().items()}
    losses = train(straight, vectors, range(4, 10))

    fresh = replicas(normalized, rule)
    fresh.restore(saved)
    assert fresh.steps_taken == 4
    np.testing.assert_array_equal(train(fresh, vectors, range(4, 10)), losses)
    assert fresh.steps_taken == straight.steps_taken == 10
    for name, array in straight.state().items():
        np.testing.assert_array_equal(fresh.state()[name], array)


def test_nothing_that_is_handed_out_or_in_is_shared():
    runner = replicas(normalized, SGD(0.9))
    x, y = vectors(0)
    losses = runner.step(x, y)
    state, weights = runner.state(), runner.weights(0)
    for array in (x, y, *weights, *state.values()):
        array[...] = 7
    np.testing.assert_array_equal(np.asarray(losses), np.asarray(losses))
    assert runner.steps_taken == 1
    assert all((array != 7).any() for array in [*runner.weights(0), runner.state()["parameters"]])


def test_the_model_itself_is_left_alone():
    model = normalized()
    before = start_of(model)
    runner = Replicas(model, squared_error, Adam(), [before], 0.1)
    runner.step(*vectors(0, batches=1))
    for now, then in zip(start_of(model), before, strict=True):
        np.testing.assert_array_equal(now, then)


def with_dropout(inside):
    inputs = keras.Input((6,))
    block = keras.Sequential([layers.Dense(4), layers.Dropout(0.1, name="random_one")], name="in")
    out = block(inputs) if inside else layers.Dropout(0.1, name="random_one")(inputs)
    return keras.Model(inputs, layers.Dense(1)(layers.Dropout(0.0, name="quiet")(out)))


@pytest.mark.parametrize("inside", [False, True])
def test_a_random_layer_is_named(inside):
    model = with_dropout(inside)
    with pytest.raises(ValueError, match=r"`model` must have no random layers, got random_one$"):
        Replicas(model, squared_error, Adam(), [start_of(model)], 0.1)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"rates": [0.1, 0.1]}, r"`rates` must be finite and >= 0.*3 runs, got \[0.1, 0.1\]"),
        ({"rates": -0.1}, "`rates` must be finite and >= 0.*got -0.1"),
        ({"rates": [0.1, np.nan, 0.1]}, "`rates` must be finite and >= 0.*got .*nan"),
        ({"rates": "fast"}, "`rates` must be finite and >= 0.*got 'fast'"),
        ({"decays": [[0.1] * 3]}, "`decays` must be finite and >= 0"),
        ({"decays": np.inf}, "`decays` must be finite and >= 0.*got inf"),
        ({"clipnorms": 0.0}, "`clipnorms` must be > 0.*got 0.0"),
        ({"clipnorms": [1.0, None, 1.0]}, "`clipnorms` must be > 0.*got .*None"),
        ({"batch_of": [0, 1]}, r"`batch_of` must be one integer >= 0 .* 3 runs, got \[0, 1\]"),
        ({"batch_of": [0, 1, -1]}, r"`batch_of` must be one integer >= 0 .*got \[0, 1, -1\]"),
        ({"batch_of": [0.0, 1.0, 0.0]}, "`batch_of` must be one integer >= 0 .*got"),
    ],
)
def test_bad_arguments_are_named(changes, says):
    with pytest.raises(ValueError, match=says):
        replicas(linear_transformer, Adam(), **changes)


def test_bad_starts_are_named():
    model = linear_transformer()
    start = start_of(model)
    for starts, says in [
        ([], "`starts` must hold at least one"),
        ([start, start[:-1]], r"`starts\[1\]` must hold arrays of shapes \[\(5, 5\), .*got"),
        ([[*start[:-1], np.zeros(5)]], r"`starts\[0\]` must hold .*got .*\(5,\)\]"),
    ]:
        with pytest.raises(ValueError, match=says):
            Replicas(model, squared_error, Adam(), starts, 0.1)


def test_bad_models_are_named():
    unbuilt = keras.Sequential([layers.Dense(1)])
    no_parameters = keras.Sequential([keras.Input((2,)), layers.Activation("tanh")])
    mixed = keras.Sequential([keras.Input((2,)), layers.Dense(1), layers.Dense(1, dtype="float16")])
    for model, says in [
        (unbuilt, "`model` must be a built Keras model with parameters, got <Sequential"),
        (no_parameters, "`model` must be a built Keras model with parameters, got <Sequential"),
        (None, "`model` must be a built Keras model with parameters, got None"),
        (
            mixed,
            r"`model` must have trainable variables of one dtype, got \['float16', 'float32'\]",
        ),
    ]:
        with pytest.raises(ValueError, match=says):
            Replicas(model, squared_error, Adam(), [], 0.1)


def test_bad_batches_are_named():
    runner = replicas(linear_transformer, Adam())
    x, y = prompts(0)
    with pytest.raises(ValueError, match=r"`x` must be \(2, batch, ...\).*got \(1, 32, 21, 6\)"):
        runner.step(x[:1], y)
    with pytest.raises(ValueError, match=r"`y` must be \(2, batch, ...\).*got \(3, 32, 1\)"):
        runner.step(x, y[[0, 1, 1]])
    with pytest.raises(ValueError, match=r"`replica` must be in 0...2, got 3"):
        runner.weights(3)


def test_a_loss_for_each_example_is_refused():
    """TensorFlow would take the gradient of its sum without a word."""
    runner = replicas(perceptron, Adam(), loss=keras.losses.mean_squared_error)
    with pytest.raises(ValueError, match=r"`loss` must return a scalar, got shape \(16,\)"):
        runner.step(*vectors(0))


def test_a_state_of_other_replicas_is_refused():
    runner = replicas(normalized, Adam())
    for other in (replicas(normalized, SGD()), replicas(normalized, Adam(), size=1)):
        with pytest.raises(ValueError, match=r"`state` must hold .*parameters.* got "):
            runner.restore(other.state())
