"""What is measured of an iterate."""

import keras
import numpy as np

from .system import BIAS


def height(snapshot):
    return np.linalg.norm(keras.ops.convert_to_numpy(snapshot.model().trainable_variables[0]))


def width(snapshot):
    return [snapshot.step, snapshot.weights[BIAS][0]]


def stride(snapshot):
    return np.sqrt(sum(np.sum(np.square(part, dtype="float64")) for part in snapshot.update()))


MEASURES = {"height": height, "width": width, "stride": stride}
