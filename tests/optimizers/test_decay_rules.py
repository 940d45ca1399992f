"""Who is decayed by which rule, and the mistakes that are named."""

import keras
import pytest

from wdattn.models import LinearTransformer
from wdattn.optimizers import PRESETS, AdamW, DecayRules

PATHS = [
    "gpt/token_embedding/embeddings",
    "gpt/position_embedding/embeddings",
    "gpt/block_0/attention_norm/gamma",
    "gpt/block_0/attention_norm/beta",
    "gpt/block_0/self_attention/query/kernel",
    "gpt/block_0/self_attention/query/bias",
    "gpt/block_0/self_attention/attention_output/kernel",
    "gpt/block_0/mlp/up/kernel",
    "gpt/block_0/mlp/up/bias",
    "gpt/norm/scale",
    "gpt/class_token",
]
ATTENTION = {4, 6}
DECAYED = {
    "all": set(range(11)),
    "kernels": {4, 6, 7},
    "no_bias_norm": {0, 1, 4, 6, 7, 10},
    "attention_only": ATTENTION,
    "except_attention": set(range(11)) - ATTENTION,
    "gpt2": {0, 1, 4, 6, 7},
}


def decayed(rules, paths=PATHS):
    return {i for i, (_, decay, _) in enumerate(DecayRules(rules).match(paths)) if decay}


@pytest.mark.parametrize("preset", PRESETS)
def test_presets(preset):
    assert decayed(preset) == DECAYED[preset]


def test_presets_know_keras_layers():
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(4, 3),
            keras.layers.BatchNormalization(),
            keras.layers.Reshape((36, 4)),
            keras.layers.Bidirectional(keras.layers.GRU(4, return_sequences=True)),
            keras.layers.GroupNormalization(2),
            keras.layers.RMSNormalization(),
        ]
    )
    paths = [v.path for v in model.trainable_variables]
    kernels = {i for i, path in enumerate(paths) if path.endswith("kernel")}
    assert len(kernels) == 5
    for preset in ("kernels", "no_bias_norm", "gpt2"):
        assert decayed(preset, paths) == kernels
    attention = keras.layers.MultiHeadAttention(2, 4, name="multi_head_attention")
    attention.build((None, 3, 8), (None, 3, 8))
    paths = [v.path for v in attention.trainable_variables]
    assert decayed("attention_only", paths) == {
        i for i, path in enumerate(paths) if path.endswith("kernel")
    }


def test_presets_know_our_layers():
    paths = [v.path for v in LinearTransformer(depth=2, dim=3).trainable_variables]
    for preset in ("kernels", "attention_only", "gpt2", "no_bias_norm"):
        assert decayed(preset, paths) == set(range(len(paths)))
    assert decayed("except_attention", paths) == set()


def test_the_first_match_wins():
    rules = [("bias$", 0.0, 1.0), ("self_attention", 2.0, 0.5), (".*", 1.0, 1.0)]
    found = DecayRules(rules).match(PATHS)
    assert found[5] == ("bias$", 0.0, 1.0) and found[4] == ("self_attention", 2.0, 0.5)
    assert found[7] == (".*", 1.0, 1.0)


def test_the_path_is_searched_not_the_name():
    assert decayed([("block_0/self_attention/query", 1.0, 1.0), (".*", 0.0, 1.0)]) == {4, 5}


def test_a_rule_without_a_match_is_named():
    with pytest.raises(ValueError, match=r"nothing matches 'qery'") as error:
        DecayRules([("qery", 1.0, 1.0), (".*", 0.0, 1.0)]).match(PATHS)
    assert PATHS[4] in str(error.value)
    DecayRules("attention_only").match(["dense/kernel"])  # a preset need not match


def test_a_variable_without_a_rule_is_named():
    with pytest.raises(ValueError, match="no rule is for") as error:
        DecayRules([("kernel", 1.0, 1.0)]).match(PATHS)
    assert "gpt/class_token" in str(error.value) and "mlp/up/kernel" not in str(error.value)


def test_the_optimizer_says_so_when_it_is_built(small_model):
    model = small_model()
    optimizer = AdamW(decay_rules=[("kernels", 1.0, 1.0), (".*", 0.0, 1.0)])
    for call in (optimizer.build, lambda variables: optimizer.decay_table(model)):
        with pytest.raises(ValueError, match="nothing matches 'kernels'"):
            call(model.trainable_variables)


@pytest.mark.parametrize("rules", ["gpt2", [["a", 0.5, 2.0], [".*", 1.0, 1.0]]])
def test_config(rules):
    assert DecayRules(rules).config() == rules
    assert DecayRules(DecayRules(rules).config()).rules == DecayRules(rules).rules
