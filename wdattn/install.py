"""The line to type for an extra that is missing: messages, pages and notebooks have it from here.

`python -m docs.generators.pip_lines` writes it anew into README, docs and tutorials.
"""

from pathlib import Path

REPOSITORY = "https://github.com/wdattn/wdattn"

# Until wdattn is on PyPI; from then on "wdattn[{extra}]", which is all that has to change.
REQUIREMENT = "wdattn[{extra}] @ git+" + REPOSITORY

ROOT = Path(__file__).parents[1]


def pip_line(extra: str) -> str:
    """What installs wdattn with an extra, without a checkout.

    Args:
        extra: "jax", "tensorflow", "torch", or another of pyproject.toml.
    """
    return f'pip install "{REQUIREMENT.format(extra=extra)}"'


def missing(extra: str) -> str:
    """What installs an extra here: from the checkout that this code lies in, if it does.

    Args:
        extra: as for `pip_line`.
    """
    if not (ROOT / "constraints.txt").is_file():
        return pip_line(extra)
    here = "" if Path.cwd() == ROOT else f"{ROOT}/"
    return f'pip install -c {here}constraints.txt -e "{here or "."}[{extra}]"'
