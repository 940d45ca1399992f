"""Whether the backends agree on a claim, in words."""

from collections.abc import Sequence

from wdattn.ledger.wording import Row, effect_name, ordered
from wdattn.plots import words


def disagreement(rows: Sequence[Row]) -> str:
    """Which runs of one claim came to which verdict, with their intervals; "" if to one.

    Args:
        rows: ledger rows of one claim.

    Examples:
        >>> part = {"effect": 0.5, "interval": [0.1, 0.9], "unit": "slope", "label": ""}
        >>> row = {"paper": "p", "claim": "C1", "scale": "laptop", "seeds": [0, 1], "parts": [part]}
        >>> disagreement([row | {"backend": "jax", "verdict": "reproduced"},
        ...               row | {"backend": "torch", "verdict": "inconclusive"}])
        'reproduced on jax (0.50 [0.10, 0.90]), inconclusive on torch (0.50 [0.10, 0.90])'
    """
    if len({row["verdict"] for row in rows}) < 2:
        return ""
    names = words.run_names(rows)
    verdicts = dict.fromkeys(row["verdict"] for row in rows)
    return ", ".join(
        f"{verdict} on "
        + " and ".join(
            name + _numbers(row)
            for row, name in zip(rows, names, strict=True)
            if row["verdict"] == verdict
        )
        for verdict in verdicts
    )


def agreement(rows: Sequence[Row]) -> list[str]:
    """A sentence for each claim whose verdict depends on the backend; else that they agree.

    Rows are compared within one scale and the same seeds; nothing is said where no claim was
    measured on two backends.

    Args:
        rows: ledger rows.
    """
    same: dict[tuple, list[Row]] = {}
    for row in ordered(rows):
        place = row["paper"], row["claim"], row["scale"], tuple(row["seeds"])
        same.setdefault(place, []).append(row)
    compared = {place: group for place, group in same.items() if len(group) > 1}
    if not compared:
        return []
    told = [
        f"{place[1]} ({place[2]} scale): the verdict depends on the backend: {said}."
        for place, group in compared.items()
        if (said := disagreement(group))
    ]
    backends = dict.fromkeys(row["backend"] for group in compared.values() for row in group)
    return told or [f"Verdicts agree on all backends ({', '.join(backends)})."]


def _numbers(row: Row) -> str:
    shown = [
        (f"{part['label']}: " if part.get("label") else "") + effect_name(part)
        for part in row["parts"]
    ]
    return f" ({'; '.join(shown)})" if shown else ""
