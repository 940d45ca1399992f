"""`wdattn spectra`: singular values, rank and balance of every attention head."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

from wdattn import backend_choice, plots, spectra
from wdattn.cli.output import say, show
from wdattn.weights import escaped, is_safetensors

FORMATS = ("table", "json", "csv")


def add_to(commands) -> None:
    """Adds the command to a parser's.

    Args:
        commands: what `add_subparsers` gave.
    """
    command = commands.add_parser("spectra", help="singular values, rank and balance of every head")
    command.add_argument(
        "source",
        metavar="FILE|PRESET",
        help="a .keras file; a .safetensors file (or its .safetensors.index.json) in Hugging "
        "Face's naming of GPT-2, BERT, ViT or LLaMA, read without a backend; or a keras-hub preset",
    )
    command.add_argument("--format", choices=FORMATS, default="table")
    command.add_argument("--figure", metavar="FILE", help="also draw every head into this file")
    command.add_argument("--layer", type=int, metavar="L", help="only this layer, counted from 0")
    command.add_argument(
        "--heads",
        type=int,
        metavar="N",
        help="query heads of a layer, for .safetensors without a config.json beside it",
    )
    command.add_argument(
        "--biases", action="store_true", help="count biases as one more input held at 1"
    )
    command.add_argument("--backend", choices=backend_choice.BACKENDS)
    command.set_defaults(call=call)


def call(options) -> int:
    """Prints every head, and draws them if a figure is asked for.

    Args:
        options: what was parsed.
    """
    rows = spectra.rows_of(_layers(options), options.biases, max(options.layer or 0, 0))
    if not rows:
        raise ValueError(f"{options.source} must hold attention layers that wdattn knows, got none")
    if options.figure:
        _draw(rows, options.source, options.figure)
    if options.format == "table":
        show(spectra.SpectraTable(rows))
    else:
        say({"json": spectra.as_json, "csv": spectra.as_csv}[options.format](rows))
    return 0


def _layers(options) -> Iterator[spectra.AttentionHeads | spectra.MergedHeads]:
    """The attention layers, one at a time; a backend is loaded for whole models alone."""
    if is_safetensors(options.source):
        return spectra.hugging_face_layers(options.source, options.heads, options.layer)
    if options.heads is not None:
        raise ValueError("--heads is for .safetensors files alone: a Keras model knows its heads")
    backend_choice.use(options.backend)
    for room in ("layers", "models"):  # registers the classes that a file may hold
        importlib.import_module(f"wdattn.{room}")
    diagnostics = importlib.import_module("wdattn.diagnostics")
    model = diagnostics.load_model(options.source)
    return diagnostics.iterate_attention_layers(model, options.layer)


def _draw(rows: list[dict], source: str, file: str) -> None:
    blocks, null = spectra.panels(rows)
    name = escaped(Path(source).name or source).replace("$", r"\$")  # which would start a formula
    figure = plots.spectra(
        blocks,
        null=null,
        title=f"Attention heads of {name}",
        note="Singular values of each head's product over the largest one.",
    )
    figure.savefig(file, dpi=150)
    print(f"figure: {file}", file=sys.stderr)
