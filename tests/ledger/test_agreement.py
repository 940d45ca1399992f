"""Whether backends agree on a claim: compared within one scale and the same seeds."""

from math import log

from wdattn.ledger.agreement import agreement, disagreement


def test_runs_of_one_verdict_agree(row):
    rows = [row(), row(backend="torch")]
    assert disagreement(rows) == ""
    assert agreement(rows) == ["Verdicts agree on all backends (jax, torch)."]


def test_each_verdict_is_named_with_the_runs_that_came_to_it(row, part):
    near = part(effect=log(2), interval=(log(1.5), log(2.7)))
    rows = [row(), row(backend="tensorflow", verdict="inconclusive", parts=(near,)),
            row(backend="torch")]  # fmt: skip
    assert disagreement(rows) == (
        "reproduced on jax (×4.00 [3.00, 5.00]) and torch (×4.00 [3.00, 5.00]), "
        "inconclusive on tensorflow (×2.00 [1.50, 2.70])"
    )


def test_parts_are_told_apart_by_their_labels(row, part):
    two = (part(label="up"), part(label="down", effect=None, interval=None))
    rows = [row(parts=two), row(backend="torch", verdict="not judged", parts=())]
    assert disagreement(rows) == (
        "reproduced on jax (up: ×4.00 [3.00, 5.00]; down: no mean over seeds), not judged on torch"
    )


def test_only_rows_of_one_claim_scale_and_seeds_are_compared(row):
    others = [row(claim="C2"), row(paper="other2024"), row(scale="paper"), row(seeds=(0, 1))]
    for other in others:
        assert agreement([row(verdict="contradicted"), other]) == []
    (told,) = agreement([row(), row(backend="torch", verdict="contradicted"), *others])
    assert told.startswith("C1 (laptop scale): the verdict depends on the backend: reproduced on")
    assert agreement([row()]) == []
