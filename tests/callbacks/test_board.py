import contextlib

import keras
import numpy as np
import pytest

from wdattn.callbacks import Monitor
from wdattn.callbacks.board import Board


class Summary:
    """What of `tf.summary` the callbacks use, noted down."""

    def __init__(self):
        self.scalars, self.folders, self.recorded, self.open = [], [], [], set()
        self.writing = None

    def create_file_writer(self, folder):
        self.folders.append(folder)
        self.open.add(folder)
        return Writer(self, folder)

    @contextlib.contextmanager
    def record_if(self, condition):
        self.recorded.append(condition)
        yield

    def scalar(self, name, value, step):
        if self.writing is None:  # as in TensorFlow: no writer, no number
            return
        assert self.writing in self.open, "the writer is closed"
        self.scalars.append((self.writing.rpartition("/")[2], name, value, step))


class Writer:
    def __init__(self, summary, folder):
        self.summary, self.folder = summary, folder

    @contextlib.contextmanager
    def as_default(self, step=None):
        before, self.summary.writing = self.summary.writing, self.folder
        yield
        self.summary.writing = before

    def flush(self): ...

    def close(self):
        self.summary.open.discard(self.folder)


class TensorBoard(keras.callbacks.TensorBoard):
    """Keras' own, with the noting summary in the place of TensorFlow's."""

    def __init__(self, folder):
        super().__init__(folder, write_graph=False)
        self.noted = Summary()

    @property
    def summary(self):
        return self.noted


def fitted(*callbacks):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(np.ones((5, 2)), np.ones(5), batch_size=1, verbose=0, callbacks=list(callbacks))


@pytest.mark.parametrize(
    "first", ["board", "monitor"]
)  # Keras' writer is closed before ours or not
def test_rows_stand_beside_keras_own(tmp_path, first):
    board = TensorBoard(tmp_path)
    monitor = Monitor({"a": lambda model: {"b": 2.5, "text": "no number"}}, every=3)
    fitted(*([board, monitor] if first == "board" else [monitor, board]))
    ours = [row for row in board.noted.scalars if row[0] == "monitor"]
    assert ours == [("monitor", "a/b", 2.5, step) for step in (0, 3, 5)]
    assert str(tmp_path / "monitor") in board.noted.folders and not board.noted.open
    assert set(board.noted.recorded) == {True}


def test_a_second_fit_writes_on(tmp_path):
    board, monitor = TensorBoard(tmp_path), Monitor({"a": lambda model: 1}, every=5)
    fitted(board, monitor)
    fitted(board, monitor)
    steps = [step for folder, _, _, step in board.noted.scalars if folder == "monitor"]
    assert steps == [0, 5, 5, 10]


def test_none_without_one():
    class Looker(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            self.found = Board.beside(self)

    looker = Looker()
    fitted(looker)
    assert looker.found is None
    looker.on_train_begin()  # called by hand, outside of any list
    assert looker.found is None


@pytest.mark.parametrize("update_freq", ["epoch", 2])
def test_the_real_one(tmp_path, update_freq):
    pytest.importorskip("tensorboard", reason="TensorBoard is not installed")
    pytest.importorskip("tensorflow", reason="TensorBoard's callback needs TensorFlow")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util import tensor_util

    board = keras.callbacks.TensorBoard(tmp_path, write_graph=False, update_freq=update_freq)
    fitted(board, Monitor({"a": lambda model: 2.5}, every=3))
    events = EventAccumulator(str(tmp_path / "monitor")).Reload()
    found = [(e.step, tensor_util.make_ndarray(e.tensor_proto)) for e in events.Tensors("a")]
    assert found == [(0, 2.5), (3, 2.5), (5, 2.5)]
