"""Keras' own tests, which come with the installed Keras, with our classes in the place of Keras'.

All must pass but those that `DIFFERENT` lists: these must fail, for the reason that is given, since
ours differs there on purpose. What Keras' tests say of messages is not asked: ours are our own.
"""

import importlib

import keras
import pytest

from wdattn import layers, optimizers

pytestmark = pytest.mark.filterwarnings("default")  # Keras' tests raise warnings of their own

ONE_AXIS = "inputs have one axis of tokens: `attention_axes` is 1"
DIFFERENT = {
    "layers.attention.multi_head_attention_test.MultiHeadAttentionTest": {
        **dict.fromkeys(
            (
                "test_attention_axes_negative_indexing",
                "test_causal_only_masks_non_4d_inputs",
                "test_compute_output_shape_different_qv_last_dims",
                "test_compute_output_shape_high_dim_different_proj",
                "test_compute_output_shape_high_dim_same_proj",
                "test_high_dim_attention_4d_inputs_1freebatch_mask2",
                "test_high_dim_attention_4d_inputs_1freebatch_mask3",
                "test_high_dim_attention_4d_inputs_1freebatch_mask4",
                "test_high_dim_attention_4d_inputs_2d_attention",
                "test_high_dim_attention_5d_inputs_2d_attention",
                "test_high_dim_attention_5d_inputs_2d_attention_fullmask",
            ),
            ONE_AXIS,
        ),
        "test_sliding_window_serialization": "it reads a private name: ours is `sliding_window`",
        "test_flash_attention_with_errors": "it reads a private name: ours is `flash_attention`",
    },
    "layers.normalization.layer_normalization_test.LayerNormalizationTest": {
        "test_output_with_rms_scaling": "no `rms_scaling`, of which Keras itself warns",
    },
    "optimizers.adamw_test.AdamWTest": {
        "test_config": "no `amsgrad`",
        "test_correctness_with_golden": "epsilon, 2 here, stands after the bias correction",
        "test_weight_decay": "`decay_rules`, which are saved, in place of `exclude_from_...`",
        "test_weight_decay_is_none": "None is the default, or what `timescale` says",
    },
    "optimizers.sgd_test.SGDTest": {
        "test_single_step": "it counts variables: our decay is one, so that it can be assigned",
        "test_weight_decay": "`decay_rules`, which are saved, in place of `exclude_from_...`",
    },
}


class Replaced:
    """A module some of whose names are replaced."""

    def __init__(self, module, **names):
        self.__dict__.update(names)
        self._module = module

    def __getattr__(self, name):
        return getattr(self._module, name)


class Peer:
    """What is asked of ours in another way than of Keras'."""

    def assertRaisesRegex(self, error, message, *args, **kwargs):
        return self.assertRaises((error, ValueError), *args, **kwargs)

    def run_layer_test(self, layer_cls, init_kwargs, **kwargs):
        if "rms_scaling" in init_kwargs:  # one of several settings in a test of Keras'
            with self.assertRaises(ValueError):
                layer_cls(**init_kwargs)
        else:
            super().run_layer_test(layer_cls, init_kwargs, **kwargs)


def theirs(name, **replaced):
    """Keras' test class, to be run with names of its module replaced."""
    module, _, test_class = name.rpartition(".")
    module = importlib.import_module(f"keras.src.{module}")
    stock = getattr(module, test_class)

    @pytest.fixture(autouse=True)
    def swap(self, monkeypatch):
        for name, thing in replaced.items():
            monkeypatch.setattr(module, name, thing)

    own = type(test_class, (Peer, stock), {"swap": swap, "__module__": __name__})
    for test, reason in DIFFERENT.get(name, {}).items():
        fails = pytest.mark.xfail(strict=True, reason=reason)
        setattr(own, test, fails(_copied(getattr(stock, test))))
    return own


def _copied(test):
    """A function of its own, so that a mark is not one on Keras' test."""

    def copied(self):
        test(self)

    return copied


LAYERS = Replaced(
    keras.src.layers,
    MultiHeadAttention=layers.MultiHeadAttention,
    LayerNormalization=layers.LayerNormalization,
    RMSNormalization=layers.RMSNormalization,
)
TestMultiHeadAttention = theirs(
    "layers.attention.multi_head_attention_test.MultiHeadAttentionTest", layers=LAYERS
)
TestLayerNormalization = theirs(
    "layers.normalization.layer_normalization_test.LayerNormalizationTest", layers=LAYERS
)
TestRMSNormalization = theirs(
    "layers.normalization.rms_normalization_test.RMSNormalizationTest", layers=LAYERS
)
TestAdamW = theirs("optimizers.adamw_test.AdamWTest", AdamW=optimizers.AdamW)
TestSGD = theirs("optimizers.sgd_test.SGDTest", SGD=optimizers.SGDW)
