"""Attention of keras_hub and keras_cv, where they are installed: `make test-extras`."""

import importlib
import json
import warnings

import keras
import numpy as np
import pytest

from wdattn import cli
from wdattn.diagnostics import attention_layers, load_model
from wdattn.spectra import product_spectra


@pytest.fixture(scope="module")
def models():
    with warnings.catch_warnings():  # what its imports warn of is not ours
        warnings.simplefilter("ignore")
        return pytest.importorskip("keras_hub").models


SIZES = {"vocabulary_size": 11, "num_layers": 2, "intermediate_dim": 8}
PLAIN = SIZES | {"num_heads": 2, "hidden_dim": 8}
GROUPED = SIZES | {"num_query_heads": 4, "num_key_value_heads": 2, "hidden_dim": 16}
IMAGE = {"image_shape": (8, 8, 3), "patch_size": 4, "num_layers": 2, "num_heads": 2,
         "hidden_dim": 8, "mlp_dim": 8}  # fmt: skip
# Backbone: arguments, then layers, heads, groups, width, d_k, rotated pairs and normalisation.
BACKBONES = {
    "BertBackbone": (PLAIN, (2, 2, 2, 8, 4, 0, False)),
    "GPT2Backbone": (PLAIN | {"max_sequence_length": 8}, (2, 2, 2, 8, 4, 0, False)),
    "ViTBackbone": (IMAGE, (2, 2, 2, 8, 4, 0, False)),
    "LlamaBackbone": (GROUPED, (2, 4, 2, 16, 4, 2, False)),
    "MistralBackbone": (GROUPED | {"sliding_window": 4}, (2, 4, 2, 16, 4, 2, False)),
    "GemmaBackbone": (GROUPED | {"head_dim": 6}, (2, 4, 2, 16, 6, 3, False)),
    "Qwen3Backbone": (GROUPED | {"head_dim": 6}, (2, 4, 2, 16, 6, 3, True)),
    "GPTNeoXBackbone": (PLAIN | {"rotary_percentage": 0.5}, (2, 2, 2, 8, 4, 1, False)),
    "BloomBackbone": (PLAIN, (2, 2, 2, 8, 4, 0, False)),
    "DebertaV3Backbone": (PLAIN | {"bucket_size": 4}, (2, 2, 2, 8, 4, 0, False)),
}


@pytest.mark.filterwarnings("ignore")  # what keras_hub warns of is not ours
@pytest.mark.parametrize("name", BACKBONES)
def test_backbones(models, rng, name):
    arguments, (count, heads, groups, width, rank, pairs, normed) = BACKBONES[name]
    model = getattr(models, name)(**arguments)
    model.set_weights([rng.normal(size=weight.shape) for weight in model.weights])
    records = attention_layers(model)
    assert len(records) == count
    for factors in records:
        assert factors.query.shape == factors.output.shape == (heads, width, rank)
        assert factors.key.shape == factors.value.shape == (groups, width, rank)
        assert (0 if factors.rotary is None else len(factors.rotary)) == pairs
        assert factors.query_key_norm == normed
    # Every number of the projections' kernels is read, and each once.
    kernels = [weight for weight in model.weights if weight.path.startswith(records[0].name)
               and weight.path.endswith("kernel")]  # fmt: skip
    read = [getattr(records[0], part).ravel() for part in ("query", "key", "value", "output")]
    held = [keras.ops.convert_to_numpy(kernel).ravel() for kernel in kernels]
    np.testing.assert_array_equal(np.sort(np.concatenate(read)), np.sort(np.concatenate(held)))


@pytest.mark.filterwarnings("ignore")
def test_a_rotation_of_the_pairs_leaves_the_scores_of_llama(models, rng):
    # A rotation that commutes with the rotary embedding moves from queries to keys unseen: that
    # these pairs are the ones that the model rotates.
    model = models.LlamaBackbone(**(GROUPED | {"num_layers": 1}))
    tokens = {"token_ids": rng.integers(0, 11, (1, 6)), "padding_mask": np.ones((1, 6), int)}
    before = keras.ops.convert_to_numpy(model(tokens))
    (factors,) = attention_layers(model)
    weights = {weight.path: weight for weight in model.weights}
    turn = np.eye(4)
    for (i, j), angle in zip(factors.rotary, (0.5, 1.2), strict=True):
        turn[[i, i, j, j], [i, j, i, j]] = (
            np.cos(angle),
            -np.sin(angle),
            np.sin(angle),
            np.cos(angle),
        )
    for name, part in (("query", factors.query), ("key", factors.key)):
        weights[f"{factors.name}/{name}/kernel"].assign((part @ turn).transpose(1, 0, 2))
    np.testing.assert_allclose(keras.ops.convert_to_numpy(model(tokens)), before, atol=1e-4)


@pytest.mark.filterwarnings("ignore")
def test_a_saved_backbone_and_a_preset_give_the_same(models, tmp_path, capsys):
    model = models.GPT2Backbone(**(PLAIN | {"max_sequence_length": 8}))
    model.save(tmp_path / "gpt2.keras")
    model.save_to_preset(str(tmp_path / "preset"))
    said = []
    for source in (tmp_path / "gpt2.keras", tmp_path / "preset"):
        command = ["spectra", str(source), "--format", "json"]
        assert cli.main([*command, "--backend", keras.backend.backend()]) == 0
        said.append(json.loads(capsys.readouterr().out))
    assert said[0] == said[1] and len(said[0]) == 2 * 2 * 2
    (first, _) = attention_layers(load_model(tmp_path / "gpt2.keras"))
    expected = product_spectra(*first.product("key_query"))[0]
    np.testing.assert_allclose(said[0][0]["singular_values"], expected, rtol=1e-12)


@pytest.mark.filterwarnings("ignore")
def test_clip_of_keras_cv(rng):
    pytest.importorskip("keras_cv")
    clip = importlib.import_module("keras_cv.src.models.feature_extractor.clip.clip_encoder")
    encoder = clip.CLIPEncoder(8, 2, 2)
    encoder.build((None, 5, 8))
    encoder.set_weights([rng.normal(size=weight.shape) for weight in encoder.weights])
    records = attention_layers(encoder)
    assert [factors.query.shape for factors in records] == [(2, 8, 4)] * 2
    attention = encoder.resblocks[1].attn
    x = rng.normal(size=8)
    (kernel, bias) = (keras.ops.convert_to_numpy(weight) for weight in attention.q_proj.weights)
    query = (x @ kernel + bias).reshape(2, 4)
    for head in range(2):
        own = x @ records[1].query[head] + records[1].query_bias[head]
        np.testing.assert_allclose(own, query[head], rtol=1e-5)  # float32 weights and product
