"""Keras callbacks: what happens during `fit`."""

from wdattn.callbacks.monitor import Monitor

__all__ = ["Monitor"]
