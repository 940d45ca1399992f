"""Each replica against the run that it stands for, made alone and by other means."""

import keras
import numpy as np
import pytest
import torch
from keras import layers

from wdattn.data import in_context_regression
from wdattn.models import LinearTransformer
from wdattn.optimizers import Knob, Update
from wdattn.optimizers.update_rules import SGD, Adam
from wdattn.replicas import Replicas, stacked_step, weights_by_path
from wdattn.schedules import Linear

STEPS = 20
RATES = np.array([0.02, 0.05, 0.01])
DECAYS = np.array([0.0, 0.1, 1.0])
CLIPNORMS = np.array([np.inf, 0.3, 1.0])
BATCH_OF = np.array([0, 1, 0])


def squared_error(y_true, y_pred):
    # Not ops.mean, which on JAX and PyTorch rounds float64 to float32.
    return keras.ops.sum(keras.ops.square(y_pred - y_true)) / y_true.shape[0]


def zero_loss(y_true, y_pred):
    return 0.0 * squared_error(y_true, y_pred)


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
        name="hidden",
    )(inputs)
    last = layers.Dense(
        1,
        kernel_initializer=keras.initializers.GlorotUniform(seed + 100),
        kernel_regularizer=keras.regularizers.L2(0.1),
        name="last",
    )
    return keras.Model(inputs, last(layers.Dropout(0.0)(hidden)))


def normalized(seed=0):
    inputs = keras.Input((6,))
    glorot = keras.initializers.GlorotUniform(seed)
    hidden = layers.Dense(8, use_bias=False, kernel_initializer=glorot, name="hidden")(inputs)
    hidden = layers.BatchNormalization(momentum=0.8, name="norm")(hidden)
    glorot = keras.initializers.GlorotUniform(seed + 100)
    last = layers.Dense(1, kernel_initializer=glorot, name="last")
    return keras.Model(inputs, last(layers.Activation("tanh")(hidden)))


def update(rule, **changes):
    """What all runs share; each has knobs for its rate, decay and clipping norm."""
    knobs = {name: Knob(name) for name in ("learning_rate", "weight_decay", "clipnorm")}
    return Update(rule, **{**knobs, **changes})


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


def replicas(build, rule, size=3, loss=squared_error, batch_of=BATCH_OF, knobs=None, **changes):
    """Runs of a rule with three knobs each, or of an `Update` with knobs of its own."""
    models = [build(seed) for seed in range(size)]
    if not isinstance(rule, Update):
        own = {"learning_rate": RATES, "weight_decay": DECAYS, "clipnorm": CLIPNORMS}
        knobs = {name: values[:size] for name, values in own.items()} | (knobs or {})
        rule = update(rule)
    batch_of = None if batch_of is None else batch_of[:size]
    starts = [weights_by_path(model) for model in models]
    return Replicas(models[0], loss, rule, starts, knobs, batch_of, **changes)


def train(runner, batches, steps=range(STEPS)):
    return np.stack([np.asarray(runner.step(*batches(step))) for step in steps])


def assert_equal_to_round_off(mine, theirs, dtype="float32"):
    """In the norm of each array: a single entry may cancel, and round-off is not relative to it.

    A path of 20 steps multiplies round-off: 109 units of float32 were seen, and 104 of float64.
    """
    for one, other in zip(_values(mine), _values(theirs), strict=True):
        distance = np.linalg.norm(np.asarray(one, "float64") - other) / np.linalg.norm(other)
        assert distance <= 500 * np.finfo(dtype).eps


def _values(weights):
    return weights.values() if isinstance(weights, dict) else weights


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
            list(weights_by_path(build(run)).values()),
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
        assert_equal_to_round_off(runner.weights(run), weights_by_path(model))
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
    runner = replicas(build, Update(SGD(), 1.0))
    runner.step(*BATCHES[build](0))
    return [a - runner.weights(run)[path] for path, a in weights_by_path(build(run)).items()]


def test_clipping_is_by_the_runs_own_norm():
    """One run clips, and its neighbour does not: the norm over both would clip it too."""
    gradients = [first_gradient(perceptron, run) for run in range(2)]
    norms = [np.sqrt(sum(np.sum(np.square(g)) for g in gradient)) for gradient in gradients]
    clipnorms = [norms[0] / 2, norms[1] * 1.01]
    clipped = Update(SGD(), 1.0, clipnorm=Knob("clipnorm"))
    runner = replicas(perceptron, clipped, 2, knobs={"clipnorm": clipnorms})
    runner.step(*vectors(0))
    for run, scale in enumerate([0.5, 1.0]):
        expected = [
            start - scale * gradient
            for start, gradient in zip(
                weights_by_path(perceptron(run)).values(), gradients[run], strict=True
            )
        ]
        for mine, theirs in zip(runner.weights(run).values(), expected, strict=True):
            # One step of float32 on parameters below 1, and gradients that are differences of them.
            np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-6)


def test_decay_shrinks_every_parameter_by_rate_times_decay():
    """With no gradient to hide it: the error is 0 where the target is the prediction."""
    model = linear_transformer()
    x, _ = prompts(0, batches=1)
    start = weights_by_path(model)
    free = Update(Adam(), Knob("learning_rate"), Knob("weight_decay"))
    knobs = {"learning_rate": [0.1, 0.5], "weight_decay": [0.2, 0.0]}
    runner = Replicas(model, zero_loss, free, [start] * 2, knobs, batch_of=[0, 0])
    for _ in range(3):
        runner.step(x, np.zeros((1, 32, 1), "float32"))
    for path, weight in start.items():
        shrunk, kept = runner.weights(0)[path], runner.weights(1)[path]
        np.testing.assert_allclose(shrunk, (1 - 0.1 * 0.2) ** 3 * weight, rtol=1e-6)
        np.testing.assert_array_equal(kept, weight)


def test_replicas_that_share_a_batch_get_it_once():
    """As if each had been handed a copy: to the bit, since nothing but the gather differs."""
    shared = replicas(perceptron, Adam(), batch_of=[1, 0, 1])
    copied = replicas(perceptron, Adam(), batch_of=None)
    for step in range(3):
        x, y = vectors(step)
        np.testing.assert_array_equal(shared.step(x, y), copied.step(x[[1, 0, 1]], y[[1, 0, 1]]))
    for run in range(3):
        for path, weight in shared.weights(run).items():
            np.testing.assert_array_equal(weight, copied.weights(run)[path])


@pytest.mark.parametrize("build", [linear_transformer, normalized])
def test_batches_that_serve_equally_many_runs(build):
    """Whatever the order of the runs: each as with a batch of its own, to round-off."""
    batch_of = np.array([1, 0, 0, 1])
    rates, clipnorms = [0.02, 0.05, 0.01, 0.03], [0.3, 1, 2, np.inf]
    knobs = {"learning_rate": rates, "weight_decay": 0.1, "clipnorm": clipnorms}
    shared = replicas(build, update(Adam()), 4, batch_of=batch_of, knobs=knobs)
    copied = replicas(build, update(Adam()), 4, batch_of=None, knobs=knobs)
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
    runner = replicas(normalized, SGD(0.9), skip_nonfinite=True, knobs={"clipnorm": 1.0})
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
    path = next(iter(runner.weights(0)))
    assert np.isnan(runner.weights(0)[path]).any() and np.isfinite(runner.weights(1)[path]).all()
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
    for array in (x, y, *weights.values(), *state.values()):
        array[...] = 7
    np.testing.assert_array_equal(np.asarray(losses), np.asarray(losses))
    assert runner.steps_taken == 1
    assert all(
        (array != 7).any() for array in [*runner.weights(0).values(), runner.state()["parameters"]]
    )


def test_the_model_itself_is_left_alone():
    model = normalized()
    before = weights_by_path(model)
    runner = Replicas(model, squared_error, Update(Adam(), 0.1), [before])
    runner.step(*vectors(0, batches=1))
    for path, now in weights_by_path(model).items():
        np.testing.assert_array_equal(now, before[path])


def with_dropout(inside):
    inputs = keras.Input((6,))
    block = keras.Sequential([layers.Dense(4), layers.Dropout(0.1, name="random_one")], name="in")
    out = block(inputs) if inside else layers.Dropout(0.1, name="random_one")(inputs)
    return keras.Model(inputs, layers.Dense(1)(layers.Dropout(0.0, name="quiet")(out)))


@pytest.mark.parametrize("inside", [False, True])
def test_a_random_layer_is_named(inside):
    model = with_dropout(inside)
    with pytest.raises(ValueError, match=r"`model` must have no random layers, got random_one$"):
        Replicas(model, squared_error, Update(Adam()), [weights_by_path(model)])


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"knobs": {"learning_rate": [0.1, 0.1]}},
            r"knob `learning_rate` must be .*3 runs, got \[0",
        ),
        ({"knobs": {"learning_rate": -0.1}}, "knob `learning_rate` must be finite and >= 0.*-0.1"),
        ({"knobs": {"learning_rate": [0.1, np.nan, 0.1]}}, "`learning_rate` must be .*got .*nan"),
        ({"knobs": {"learning_rate": "fast"}}, "`learning_rate` must be .*got 'fast'"),
        ({"knobs": {"weight_decay": [[0.1] * 3]}}, r"knob `weight_decay` must be .*got \[\["),
        ({"knobs": {"weight_decay": np.inf}}, "`weight_decay` must be finite and >= 0.*got inf"),
        ({"knobs": {"clipnorm": 0.0}}, "`clipnorm` must be > 0.*got 0.0"),
        ({"knobs": {"clipnorm": [1.0, None, 1.0]}}, "`clipnorm` must be > 0.*got .*None"),
        ({"knobs": {"decay": 0.1}}, "`knobs` must be among learning_rate, .*, got decay"),
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
    start = weights_by_path(model)
    path = next(iter(start))
    short = {other: array for other, array in start.items() if other != path}
    for starts, says in [
        ([], "`starts` must hold at least one"),
        ([start, short], r"`starts\[1\]` must hold an array for each path, of shapes .*\(5, 5\)"),
        ([start | {path: np.zeros(5)}], r"`starts\[0\]` must hold .*got .*\(5,\)"),
        ([list(start.values())], r"`starts\[0\]` must hold an array for each path"),
    ]:
        with pytest.raises(ValueError, match=says):
            Replicas(model, squared_error, Update(Adam()), starts)


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
            Replicas(model, squared_error, Update(Adam()), [])


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


# Knobs, and what an update may be beyond rate, decay and norm


def linear(seed=0):
    """A model whose gradient is given by the batch: the loss is the sum of w * x."""
    inputs = keras.Input((3,))
    first = layers.Dense(1, use_bias=False, name="first", kernel_initializer="ones")
    second = layers.Dense(1, use_bias=False, name="second", kernel_initializer="ones")
    return keras.Model(inputs, first(inputs) + 2 * second(inputs))


def summed(y_true, y_pred):
    return keras.ops.sum(y_pred) + 0.0 * keras.ops.sum(y_true)


def slopes(step, runs=2):
    x = np.random.default_rng([step, 7]).normal(size=(runs, 1, 3)).astype("float32")
    return x, np.zeros((runs, 1, 1), "float32")


def by_hand(step_of_run, run, steps=5):
    """The kernels of one run by a literal step on `(first, second)`."""
    first, second = np.ones(3), np.ones(3)
    for index in range(steps):
        x = slopes(index)[0][run, 0].astype("float64")
        first, second = step_of_run(index, first, second, x, 2 * x)
    return first, second


def assert_kernels(runner, run, wanted):
    found = runner.weights(run)
    for path, kernel in zip(("first/kernel", "second/kernel"), wanted, strict=True):
        np.testing.assert_allclose(found[path][:, 0], kernel, rtol=1e-5, atol=1e-6)


def of_linear(update, knobs=None, size=2):
    model = linear()
    return Replicas(model, summed, update, [weights_by_path(model)] * size, knobs)


def test_knobs_of_a_step_need_no_new_trace(monkeypatch):
    """Each run and step has a rate of its own; the step is traced a fixed number of times."""
    traces, literal = [], stacked_step.step

    def counted(*args):
        traces.append(1)
        return literal(*args)

    monkeypatch.setattr(stacked_step, "step", counted)
    runner = of_linear(Update(SGD(), Knob("rate"), Knob("decay")), {"decay": [0.0, 0.5]})
    rates = [np.array([0.1, 0.2]) / (1 + index) for index in range(5)]
    counts = []
    for index in range(5):
        runner.step(*slopes(index), knobs={"rate": rates[index]})
        counts.append(len(traces))
    for run, decay in enumerate([0.0, 0.5]):

        def step(index, first, second, g, h, run=run, decay=decay):
            rate = rates[index][run]
            return first - rate * (g + decay * first), second - rate * (h + decay * second)

        assert_kernels(runner, run, by_hand(step, run))
    calls_as_often = keras.backend.backend() == "torch"  # which compiles nothing
    assert counts == ([1, 2, 3, 4, 5] if calls_as_often else [counts[0]] * 5)


def test_knobs_that_are_missing_or_not_known_are_named():
    runner = of_linear(Update(SGD(), Knob("rate")))
    with pytest.raises(ValueError, match=r"`knobs` must give rate, got \[\]"):
        runner.step(*slopes(0))
    with pytest.raises(ValueError, match="`knobs` must be among rate, got rat"):
        runner.step(*slopes(0), knobs={"rat": 0.1})
    with pytest.raises(ValueError, match="knob `rate` must be finite and >= 0, got -1"):
        runner.step(*slopes(0), knobs={"rate": -1})
    with pytest.raises(ValueError, match="`knobs` must be among none, got rate"):
        of_linear(Update(SGD(), 0.1), {"rate": 0.1})


def test_schedules_rules_and_a_decay_by_path():
    """Rates by schedule; the decay of the first matrix is a knob, that of the second is fixed."""
    rules = [("first", Knob("first_decay"), 0.5), (".*", 0.25, 1.0)]
    decayed = Update(SGD(0.9), Linear(0.2, 0.1, 4), weight_decay=2.0, decay_rules=rules)
    runner = of_linear(decayed, {"first_decay": [0.0, 0.3]})
    for index in range(5):
        runner.step(*slopes(index))
    for run, share in enumerate([0.0, 0.3]):
        buffers = [np.zeros(3), np.zeros(3)]

        def step(index, first, second, g, h, buffers=buffers, share=share):
            rate = max(0.2 - 0.025 * index, 0.1)
            buffers[:] = 0.9 * buffers[0] + g, 0.9 * buffers[1] + h
            first = first - rate / 2 * (buffers[0] + 2 * share * first)
            return first, second - rate * (buffers[1] + 2 * 0.25 * second)

        assert_kernels(runner, run, by_hand(step, run))


def test_the_effective_rate_is_the_given_one_times_the_norm():
    rules = [("first", 0.0, 1.0), (".*", 1.0, 1.0)]
    runner = of_linear(Update(SGD(), 0.1, decay_rules=rules, effective_rate=True))
    for index in range(5):
        runner.step(*slopes(index))

    def step(index, first, second, g, h):
        rate = 0.1 * np.linalg.norm(second)
        return first - rate * g, second - rate * h

    assert_kernels(runner, 1, by_hand(step, 1))


def test_after_a_step_comes_a_projection():
    """Onto a sphere whose radius is a knob that nothing else reads."""

    def project(weights, knobs):
        kernel = weights["first/kernel"]
        length = keras.ops.sqrt(keras.ops.sum(keras.ops.square(kernel)))
        return {"first/kernel": kernel * knobs["radius"] / length}

    projected = Update(SGD(), 0.1, average=0.5, after=project)
    runner = of_linear(projected, {"radius": [1.0, 2.0]})
    for index in range(5):
        runner.step(*slopes(index))
    for run, radius in enumerate([1.0, 2.0]):
        averages = []

        def step(index, first, second, g, h, radius=radius, averages=averages):
            first, second = first - 0.1 * g, second - 0.1 * h
            first = radius * first / np.linalg.norm(first)
            now = np.stack([first, second])
            averages.append(now if not averages else (averages[-1] + now) / 2)
            return first, second

        assert_kernels(runner, run, by_hand(step, run))
        found = runner.average(run)
        for path, wanted in zip(("first/kernel", "second/kernel"), averages[-1], strict=True):
            np.testing.assert_allclose(found[path][:, 0], wanted, rtol=1e-5, atol=1e-6)


def test_the_average_starts_at_the_start_and_resumes_to_the_bit():
    averaging = Update(Adam(), 0.1, average=Knob("momentum"))
    runner = of_linear(averaging, {"momentum": [0.9, 0.5]})
    for path, weight in runner.weights(0).items():
        np.testing.assert_array_equal(runner.average(0)[path], weight)
    for index in range(3):
        runner.step(*slopes(index))
    fresh = of_linear(averaging, {"momentum": [0.9, 0.5]})
    fresh.restore(runner.state())
    for one in (runner, fresh):
        one.step(*slopes(3))
    for path, weight in runner.average(1).items():
        np.testing.assert_array_equal(fresh.average(1)[path], weight)
    assert np.abs(runner.average(0)["first/kernel"] - runner.average(1)["first/kernel"]).max() > 0.1
    with pytest.raises(ValueError, match="`update` must have an `average`, got None"):
        of_linear(Update(Adam())).average(0)


def test_a_frozen_layer_is_started_by_path_and_stays():
    model = linear()
    start = weights_by_path(model)
    start["first/kernel"] = start["first/kernel"] + 1
    model.get_layer("first").trainable = False
    rules = [("first", 0.0, 1.0), (".*", 1.0, 1.0)]  # one that only the frozen variable matches
    runner = Replicas(model, summed, Update(SGD(), 0.1, decay_rules=rules), [start])
    assert list(runner.weights(0)) == ["second/kernel", "first/kernel"]
    runner.step(*slopes(0, runs=1))
    np.testing.assert_array_equal(runner.weights(0)["first/kernel"], start["first/kernel"])
    assert (runner.weights(0)["second/kernel"] != 1).any()


def test_mixed_precision_trains_float32_weights_on_a_float32_loss():
    dtypes = []

    def noted(y_true, y_pred):
        dtypes.append(str(y_pred.dtype))
        return squared_error(y_true, y_pred)

    inputs = keras.Input((6,))
    hidden = layers.Dense(8, "tanh", dtype="mixed_bfloat16", name="hidden")(inputs)
    out = layers.Dense(1, dtype="mixed_bfloat16", name="out")(hidden)
    model = keras.Model(inputs, out)
    start = weights_by_path(model)
    runner = Replicas(model, noted, Update(Adam(), 0.05), [start])
    losses = train(runner, lambda step: vectors(step, batches=1))
    assert all("float32" in dtype for dtype in dtypes)
    assert losses[-5:].mean() < losses[:5].mean()
    assert all(weight.dtype == "float32" for weight in runner.weights(0).values())
