"""The table as records, as text and in a notebook."""

import pytest

from wdattn.optimizers import AdamW, DecayRow, DecayTable
from wdattn.schedules import Linear

RULES = [("norm|bias", 0.0, 1.0), ("last", 0.5, 2.0), (".*", 1.0, 1.0)]


@pytest.fixture
def table(small_model):
    return AdamW(0.1, Linear(0.2, 0.0, 100), decay_rules=RULES).decay_table(small_model())


def test_rows(table):
    rows = {row.path: row for row in table}
    assert next(iter(rows)) == "first/kernel" and len(rows) == 6
    first, last = rows["first/kernel"], rows["last/kernel"]
    assert (first.rule, last.rule, rows["norm/gamma"].rule) == (".*", "last", "norm|bias")
    assert first.shape == (4, 6) and first.step == 0
    for row, decay, rate in ((first, 0.2, 0.1), (last, 0.1, 0.2)):
        assert row.decay == pytest.approx(decay) and row.rate == pytest.approx(rate)
        assert row.removed == pytest.approx(decay * rate)
    assert rows["norm/gamma"].removed == rows["last/bias"].removed == 0


def test_follows_the_steps(small_model, xy):
    model = small_model()
    model.compile(AdamW(0.1, Linear(0.2, 0.0, 8), decay_rules=RULES), loss="mse")
    model.fit(*xy, batch_size=16, verbose=0)
    row = model.optimizer.decay_table(model)[0]
    assert row.step == 4 and row.decay == pytest.approx(0.1)


def test_removed_is_what_a_step_removes(small_model, applied):
    """Under an effective rate too, where the norm is that of the decayed weights."""
    for coupling in ("decoupled", "independent", "corrected"):
        model = small_model()
        optimizer = AdamW(
            0.02, 0.3, coupling=coupling, decay_rules="no_bias_norm", effective_rate=True,
            peak_learning_rate=0.05,
        )  # fmt: skip
        removed = [row.removed for row in optimizer.decay_table(model)]
        starts, names = model.get_weights(), [v.name for v in model.trainable_variables]
        after = applied(optimizer, starts, [[0 * start for start in starts]], names)
        for start, weight, share in zip(starts, after, removed, strict=True):
            # A share of 0.6 % at least, told from float32 weights by their difference.
            assert 1 - weight.sum() / start.sum() == pytest.approx(share, rel=1e-4, abs=1e-7)


def test_text(table):
    text = repr(table)
    lines = text.splitlines()
    assert len(lines) == 1 + 1 + 6 + 1 + 1 and lines[0].split()[:2] == ["variable", "shape"]
    assert lines[-1] == "2 of 6 variables decay, 30 of 49 weights; coupling decoupled, step 0"
    assert max(map(len, lines)) <= 100


def test_html_is_escaped():
    row = DecayRow("a<b", (2,), "(?P<x>a)", 0.1, 0.1, 0.01, 0)
    text = DecayTable([row], "decoupled")._repr_html_()
    assert "a&lt;b" in text and "(?P&lt;x&gt;a)" in text and "<table>" in text


def test_an_empty_table_prints():
    assert "0 of 0 variables" in repr(DecayTable([], "l2"))
