"""Small files in the names and layouts of Hugging Face's models, and a large one's memory."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from wdattn.spectra import hugging_face_layers, product_spectra

WIDTH, HEADS = 12, 3


def gpt2(rng, layers, prefix=""):
    """`Conv1D` keeps (inputs, outputs); query, key and value are side by side."""
    shapes = {"c_attn.weight": (WIDTH, 3 * WIDTH), "c_attn.bias": (3 * WIDTH,),
              "c_proj.weight": (WIDTH, WIDTH), "c_proj.bias": (WIDTH,)}  # fmt: skip
    names = {f"{prefix}h.{i}.attn.{name}": s for i in range(layers) for name, s in shapes.items()}
    return {
        name: rng.normal(size=s) for name, s in {f"{prefix}wte.weight": (5, WIDTH), **names}.items()
    }


def linear(rng, layers, start, parts, rows=None, bias=True, prefix=""):
    """`torch.nn.Linear` keeps (outputs, inputs)."""
    tensors = {}
    for i in range(layers):
        for part in parts:
            out = (rows or {}).get(part, WIDTH)
            tensors[f"{prefix}{start}.{i}.{part}.weight"] = rng.normal(size=(out, WIDTH))
            if bias:
                tensors[f"{prefix}{start}.{i}.{part}.bias"] = rng.normal(size=out)
    return tensors


BERT = [f"attention.{part}" for part in ("self.query", "self.key", "self.value", "output.dense")]
VIT = [f"attention.{p}" for p in ("attention.query", "attention.key", "attention.value",
                                  "output.dense")]  # fmt: skip
LLAMA = [f"self_attn.{part}_proj" for part in "qkvo"]


def scores(layer, head, x, y):
    """q . k and the output of a head for one token, as the model computes them."""
    group = head * layer.groups // layer.heads
    biases = [0 if bias is None else bias for bias in
              (layer.query_bias, layer.key_bias, layer.value_bias)]  # fmt: skip
    b_q, b_k, b_v = (bias if np.isscalar(bias) else bias[entry] for bias, entry in
                     zip(biases, (head, group, group), strict=True))  # fmt: skip
    query, key = x @ layer.query[head] + b_q, y @ layer.key[group] + b_k
    return query @ key, layer.output[head] @ (y @ layer.value[group] + b_v)


@pytest.mark.parametrize("prefix", ["", "transformer."])
def test_gpt2(rng, tmp_path, safetensors, prefix):
    tensors = gpt2(rng, 2, prefix)
    path = safetensors(tmp_path / "model.safetensors", tensors, "F64")
    layers = list(hugging_face_layers(path, heads=HEADS))
    assert [layer.name for layer in layers] == [f"{prefix}h.0.attn", f"{prefix}h.1.attn"]
    assert layers[0].rotary is None and not layers[0].query_key_norm
    x, y = rng.normal(size=(2, WIDTH))
    at = f"{prefix}h.1.attn"
    weight, bias = tensors[f"{at}.c_attn.weight"], tensors[f"{at}.c_attn.bias"]
    query = (x @ weight + bias)[:WIDTH].reshape(HEADS, -1)
    key, value = (
        (y @ weight + bias)[n * WIDTH : (n + 1) * WIDTH].reshape(HEADS, -1) for n in (1, 2)
    )
    for head in range(HEADS):
        alone = np.zeros((HEADS, 4))
        alone[head] = value[head]
        score, out = scores(layers[1], head, x, y)
        np.testing.assert_allclose(score, query[head] @ key[head])
        np.testing.assert_allclose(out, alone.ravel() @ tensors[f"{at}.c_proj.weight"])


@pytest.mark.parametrize(
    ("start", "parts", "bias"),
    [("encoder.layer", BERT, True), ("encoder.layer", VIT, True), ("encoder.layer", VIT, False)],
)
@pytest.mark.parametrize("prefix", ["", "bert.", "vit."])
def test_bert_and_vit(rng, tmp_path, safetensors, start, parts, bias, prefix):
    tensors = linear(rng, 2, start, parts, bias=bias, prefix=prefix)
    path = safetensors(tmp_path / "model.safetensors", tensors, "F64")
    first, second = hugging_face_layers(path, heads=HEADS)
    assert first.name == f"{prefix}{start}.0.attention" and first.rotary is None
    x, y = rng.normal(size=(2, WIDTH))

    def apply(part, token):
        name = f"{prefix}{start}.1.{part}"
        return tensors[f"{name}.weight"] @ token + (tensors[f"{name}.bias"] if bias else 0)

    query, key, value = (apply(part, token).reshape(HEADS, -1)
                         for part, token in zip(parts, (x, y, y), strict=False))  # fmt: skip
    for head in range(HEADS):
        alone = np.zeros((HEADS, 4))
        alone[head] = value[head]
        score, out = scores(second, head, x, y)
        np.testing.assert_allclose(score, query[head] @ key[head])
        weight = tensors[f"{prefix}{start}.1.{parts[3]}.weight"]
        np.testing.assert_allclose(out, weight @ alone.ravel())


def test_llama_shares_keys_and_rotates_halves(rng, tmp_path, safetensors):
    rows = {LLAMA[0]: 24, LLAMA[1]: 8, LLAMA[2]: 8}
    tensors = linear(rng, 1, "layers", LLAMA[:3], rows, bias=False, prefix="model.")
    tensors["model.layers.0.self_attn.o_proj.weight"] = rng.normal(size=(WIDTH, 24))
    path = safetensors(tmp_path / "model.safetensors", tensors, "F64")
    (tmp_path / "config.json").write_text(json.dumps({"num_attention_heads": 6}))
    (layer,) = hugging_face_layers(path)
    assert layer.query.shape == (6, WIDTH, 4) and layer.key.shape == (2, WIDTH, 4)
    assert layer.rotary.tolist() == [[0, 2], [1, 3]] and layer.query_bias is None
    config = {"num_attention_heads": 6, "partial_rotary_factor": 0.5}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert next(hugging_face_layers(path)).rotary.tolist() == [[0, 1]]
    q, k, v, o = (tensors[f"model.layers.0.{part}.weight"] for part in LLAMA)
    spectra = product_spectra(*layer.product("key_query"))
    values = product_spectra(*layer.product("value_output"))
    for head in range(6):
        own, shared = slice(4 * head, 4 * head + 4), slice(4 * (head // 3), 4 * (head // 3) + 4)
        dense = np.linalg.svd(k[shared].T @ q[own], compute_uv=False)[:4]
        np.testing.assert_allclose(spectra[head], dense)
        dense = np.linalg.svd(o[:, own] @ v[shared], compute_uv=False)[:4]
        np.testing.assert_allclose(values[head], dense)


def test_normalised_queries_are_seen(rng, tmp_path, safetensors):
    tensors = linear(rng, 1, "layers", LLAMA, bias=True, prefix="model.")
    tensors["model.layers.0.self_attn.q_norm.weight"] = np.ones(4)
    path = safetensors(tmp_path / "model.safetensors", tensors)
    (layer,) = hugging_face_layers(path, heads=HEADS)
    assert layer.query_key_norm and layer.query_bias.shape == (HEADS, 4)


def test_layers_come_in_the_order_of_their_numbers(rng, tmp_path, safetensors):
    path = safetensors(tmp_path / "model.safetensors", gpt2(rng, 11))
    names = [layer.name for layer in hugging_face_layers(path, heads=HEADS)]
    assert names == [f"h.{i}.attn" for i in range(11)]
    (one,) = hugging_face_layers(path, heads=HEADS, layer=10)
    assert one.name == "h.10.attn"
    for layer in (11, -1, 0.0, True):
        with pytest.raises(ValueError, match=rf"`layer` must be .*, got {layer}"):
            next(hugging_face_layers(path, heads=HEADS, layer=layer))


def test_heads_come_from_the_config(rng, tmp_path, safetensors):
    path = safetensors(tmp_path / "model.safetensors", gpt2(rng, 1))
    with pytest.raises(ValueError, match="`heads` must be given for .*no config.json"):
        next(hugging_face_layers(path))
    (tmp_path / "config.json").write_text('{"n_head": 2}')
    assert next(hugging_face_layers(path)).heads == 2
    assert next(hugging_face_layers(path, heads=6)).heads == 6
    with pytest.raises(ValueError, match=r"`heads` must divide the columns of c_attn, \(12, 12\)"):
        next(hugging_face_layers(path, heads=5))
    for heads in (0, 2.0, True):
        with pytest.raises(ValueError, match="`heads` must be None or an int >= 1, got"):
            next(hugging_face_layers(path, heads=heads))


def test_a_config_of_another_kind(rng, tmp_path, safetensors):
    tensors = linear(rng, 1, "layers", LLAMA, bias=False)
    path, config = safetensors(tmp_path / "model.safetensors", tensors), tmp_path / "config.json"
    config.write_text("[]")
    with pytest.raises(ValueError, match="`heads` must be given for .*no config.json with"):
        next(hugging_face_layers(path))
    for text, words in (
        ("[", "config.json must be JSON"),
        ('{"num_attention_heads": [2]}', r"must give `num_attention_heads` as an int >= 1, got \["),
        ('{"n_head": true}', "must give `n_head` as an int >= 1, got True"),
        ('{"n_head": 0}', "must give `n_head` as an int >= 1, got 0"),
        ('{"n_head": 3, "partial_rotary_factor": "1"}', r"a float in \(0, 1\], got '1'"),
        ('{"n_head": 3, "partial_rotary_factor": 2}', r"a float in \(0, 1\], got 2"),
        ('{"n_head": 3, "partial_rotary_factor": 0.25}', "even number of units .* got 1 of 4"),
    ):
        config.write_text(text)
        with pytest.raises(ValueError, match=words):
            next(hugging_face_layers(path))


def test_shared_keys_that_do_not_fit(rng, tmp_path, safetensors):
    tensors = linear(rng, 1, "layers", LLAMA, {LLAMA[1]: 8, LLAMA[2]: 8}, bias=False)
    path = safetensors(tmp_path / "model.safetensors", tensors)
    with pytest.raises(
        ValueError, match=r"`heads` must fit queries of \(12, 12\) and keys of \(8, 12"
    ):
        next(hugging_face_layers(path, heads=4))
    tensors = linear(rng, 1, "layers", LLAMA, {LLAMA[1]: 4, LLAMA[2]: 6}, bias=False)
    path = safetensors(tmp_path / "model.safetensors", tensors)
    with pytest.raises(ValueError, match="`value` and `output` of 'layers.0.self_attn' must be"):
        next(hugging_face_layers(path, heads=6))


def test_an_unknown_naming_says_what_it_saw(rng, tmp_path, safetensors):
    names = [f"blocks.{i}.attn.qkv.weight" for i in range(40)] + ["head.weight"]
    path = safetensors(tmp_path / "x.safetensors", {name: np.ones((6, 2)) for name in names})
    with pytest.raises(ValueError, match="one of GPT-2, BERT, ViT, LLaMA") as told:
        next(hugging_face_layers(path, heads=1))
    said = str(told.value)
    assert "41 tensors: blocks.0.attn.qkv.weight [6, 2], head.weight [6, 2]" in said
    many = {f"{chr(97 + i)}.weight": np.ones(1) for i in range(20)}
    with pytest.raises(ValueError, match="and 8 more kinds"):
        next(hugging_face_layers(safetensors(path, many), heads=1))
    with pytest.raises(ValueError, match="it has no tensor"):
        next(hugging_face_layers(safetensors(path, {}), heads=1))


def test_names_in_messages_are_escaped(tmp_path, safetensors):
    path = safetensors(tmp_path / "x.safetensors", {"\x1b]0;\x07": np.ones(1)})
    with pytest.raises(ValueError) as told:
        next(hugging_face_layers(path, heads=1))
    assert r"\x1b]0;\x07 [1]" in str(told.value) and str(told.value).isprintable()


@pytest.mark.parametrize(
    ("name", "shape", "words"),
    [
        ("c_attn.weight", (12, 35), "must have query, key and value side by side, got"),
        ("c_attn.weight", (), "must have query, key and value side by side, got"),
        ("c_attn.weight", (36,), r"`heads` must divide the columns of c_attn, \(12,\)"),
        ("c_attn.weight", (0, 36), r"`heads` must divide the columns of c_attn, \(0, 12\)"),
        ("c_attn.weight", (12, 0), r"`heads` must divide the columns of c_attn, \(12, 0\)"),
        ("c_attn.bias", (35,), "must have query, key and value side by side"),
        ("c_attn.bias", (3,), r"`heads` must divide the bias of c_attn, \(1,\), got 3"),
        ("c_attn.bias", (18,), r"`query_bias` of 'h.0.attn' must have the shape \(3, 4\)"),
        ("c_proj.weight", (), r"`heads` must divide the columns of c_proj, \(\)"),
        ("c_proj.weight", (6, 12), "`value` and `output` of 'h.0.attn' must be"),
    ],
)
def test_shapes_that_do_not_fit(rng, tmp_path, safetensors, name, shape, words):
    tensors = gpt2(rng, 1) | {f"h.0.attn.{name}": np.ones(shape)}
    with pytest.raises(ValueError, match=words):
        next(hugging_face_layers(safetensors(tmp_path / "x.safetensors", tensors), heads=HEADS))


@pytest.mark.parametrize("shape", [(), (12,), (0, 12)])
def test_keys_of_no_shape(rng, tmp_path, safetensors, shape):
    tensors = linear(rng, 1, "layers", LLAMA, bias=False)
    tensors["layers.0.self_attn.k_proj.weight"] = np.ones(shape)
    with pytest.raises(ValueError, match=r"`heads` must fit queries of \(12, 12\) and keys of"):
        next(hugging_face_layers(safetensors(tmp_path / "x.safetensors", tensors), heads=3))


def test_half_a_naming_is_an_unknown_one(rng, tmp_path, safetensors):
    parts = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.out_proj"]
    tensors = linear(rng, 1, "layers", parts, prefix="model.decoder.")
    with pytest.raises(ValueError, match="self_attn.out_proj.weight"):
        next(hugging_face_layers(safetensors(tmp_path / "x.safetensors", tensors), heads=3))


READ = """
import resource, sys
import numpy as np
from wdattn import spectra

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

spectra.rows_of(spectra.hugging_face_layers(sys.argv[1], heads=4))
small = peak()
rows = spectra.rows_of(spectra.hugging_face_layers(sys.argv[2], heads=4))
print(len(rows), peak() - small, "keras" in sys.modules)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows counts no peak in `resource`")
def test_a_large_file_costs_the_memory_of_a_layer(rng, tmp_path, safetensors):
    width, layers = 256, 40  # 0.5 MB a layer as bfloat16, 2 MB as float64
    layer = rng.normal(size=(width, 4 * width))
    tensors = {"wte.weight": np.ones((60_000, width), "float32")}
    for i in range(layers):
        tensors[f"h.{i}.attn.c_attn.weight"] = layer[:, : 3 * width]
        tensors[f"h.{i}.attn.c_proj.weight"] = layer[:, 3 * width :]
    large = safetensors(tmp_path / "large.safetensors", tensors, "BF16")
    few = {name: values for name, values in tensors.items() if name.startswith("h.0.")}
    small = safetensors(tmp_path / "small.safetensors", few, "BF16")
    size = large.stat().st_size
    done = subprocess.run(
        [sys.executable, "-c", READ, str(small), str(large)],
        capture_output=True, text=True, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    count, more, keras = done.stdout.split()
    assert (count, keras) == (str(2 * 4 * layers), "False")
    assert size > 50e6 and int(more) < 0.1 * size  # 1 MB on Linux: what one layer left to reuse
