"""The normalisations that other layers choose from by name."""

from wdattn.layers.layer_normalization import LayerNormalization
from wdattn.layers.rms_normalization import RMSNormalization

NORMALIZATIONS = {"layer": LayerNormalization, "rms": RMSNormalization}
