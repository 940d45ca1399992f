import keras
import numpy as np
import pytest
from keras import ops

from wdattn.layers import PositionEmbedding


def added(layer, x, **kwargs):
    return ops.convert_to_numpy(layer(x, **kwargs)) - x


def test_learned_adds_the_rows_of_its_table(rng):
    x = rng.normal(size=(2, 3, 4))
    layer = PositionEmbedding(6, dtype="float64", name="positions")
    layer.build(x.shape)
    (table,) = layer.get_weights()
    assert layer.weights[0].path == "positions/embeddings" and table.shape == (6, 4)
    np.testing.assert_allclose(added(layer, x), np.tile(table[:3], (2, 1, 1)), rtol=1e-10)
    np.testing.assert_allclose(added(layer, x, positions=2)[1], table[2:5], rtol=1e-10)
    rows = np.array([[5, 0, 1], [2, 2, 2]])
    np.testing.assert_allclose(added(layer, x, positions=rows), table[rows], rtol=1e-10)


@pytest.mark.parametrize("positions", [None, 4000, [5, 0, 1]], ids=str)
def test_sincos_is_the_formula(positions):
    """Vaswani et al. (2017): sine at 2k, cosine at 2k + 1, entry by entry."""
    x = np.zeros((1, 3, 6))
    layer = PositionEmbedding(kind="sincos", max_wavelength=100.0, dtype="float64")
    options = {} if positions is None else {"positions": positions}
    found = added(layer, x, **options)[0]
    places = positions if isinstance(positions, list) else (positions or 0) + np.arange(3)
    for token, place in enumerate(places):
        for k in range(3):
            angle = place / 100.0 ** (2 * k / 6)
            wanted = [np.sin(angle), np.cos(angle)]
            # A list becomes a tensor of Keras, whose sine is a float32 on JAX.
            np.testing.assert_allclose(found[token, 2 * k : 2 * k + 2], wanted, atol=1e-6)


def test_sincos2d_is_the_formula():
    """Beyer et al. (2022): quarters of sin(x), cos(x), sin(y), cos(y), row by row."""
    found = added(PositionEmbedding((2, 3), "sincos2d", dtype="float64"), np.zeros((1, 6, 12)))[0]
    omega = 1 / 10_000.0 ** (np.arange(3) / 2)
    for token in range(6):
        y, x = divmod(token, 3)
        wanted = [np.sin(x * omega), np.cos(x * omega), np.sin(y * omega), np.cos(y * omega)]
        np.testing.assert_allclose(found[token], np.concatenate(wanted), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", ["learned", "sincos"])
def test_any_length(rng, kind):
    layer = PositionEmbedding({"learned": 9, "sincos": None}[kind], kind)
    inputs = keras.Input((None, 4))
    model = keras.Model(inputs, layer(inputs))
    for tokens in (1, 7):
        x = rng.normal(size=(2, tokens, 4)).astype("float32")
        found = ops.convert_to_numpy(layer(x))
        np.testing.assert_allclose(model.predict(x, verbose=0), found, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "shape"),
    [
        ({"size": 3}, (2, 4, 6)),
        ({"size": 3}, (2, 6)),
        ({"kind": "sincos"}, (2, 4, 5)),
        ({"kind": "sincos2d", "size": (2, 2)}, (2, 5, 8)),
        ({"kind": "sincos2d", "size": (2, 2)}, (2, 4, 4)),
    ],
    ids=str,
)
def test_bad_shapes(arguments, shape):
    with pytest.raises(ValueError, match="`inputs` must be") as error:
        PositionEmbedding(**arguments)(np.ones(shape, "float32"))
    assert str(shape) in str(error.value)


def test_a_grid_has_no_other_positions():
    with pytest.raises(ValueError, match="`positions` must be None"):
        PositionEmbedding((2, 2), "sincos2d")(np.ones((1, 4, 8), "float32"), positions=1)


def test_sincos_has_no_size():
    with pytest.raises(ValueError, match="`size` must be None with kind 'sincos', got 3"):
        PositionEmbedding(3, "sincos")


@pytest.mark.parametrize(
    "positions", [-1, 4, [0, 5, 6], [[0, -1, 2]], 1.5, True, "1", [0, 1]], ids=str
)
def test_bad_positions(positions):
    """Six rows, three tokens: a row that is not there would be another one, or not a number."""
    layer = PositionEmbedding(6, dtype="float64")
    given = np.array(positions) if isinstance(positions, list) else positions
    with pytest.raises(ValueError, match="`positions` must be"):
        layer.build((1, 3, 4))
        layer.call(np.zeros((1, 3, 4)), positions=given)
