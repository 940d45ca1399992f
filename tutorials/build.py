"""Makes what readers of the tutorials see, from the sources `NN_name.py` in percent cells.

`python tutorials/build.py run` executes the sources and writes `NN_name.ipynb` beside each;
`python tutorials/build.py pages` writes the site's pages, `docs/tutorials/`, from those notebooks.
Names after `run` choose tutorials: `run 03` takes the one whose name begins so.

A code cell that draws says in its header what there is to see: `# %% alt="..."`. That text is the
picture's in the notebook and on the site.
"""

import argparse
import re
import sys
import tomllib
from pathlib import Path

import nbformat

HERE = Path(__file__).parent
DOCS = HERE.parent / "docs" / "tutorials"
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
SECONDS = 600  # of one cell; a tutorial is meant to take less than 240 in all
LARGEST = 1_000_000  # bytes of a notebook
BUTTONS = """[Download the notebook]({name}.ipynb){{ .md-button download="{name}.ipynb" }}
[Open in Colab]({colab}){{ .md-button }}
"""
INDEX = """# Tutorials

Each is a notebook: read it here, download it, or open it in Colab. They run on JAX, TensorFlow
and PyTorch, in a few minutes on a laptop; also as plain scripts."""
# What Python warns of. All else on the error stream is the log of a C++ library, which comes and
# goes with the machine; and tqdm misses a widget when keras-hub imports it.
WARNING = re.compile(r"^.*(?<!Tqdm)Warning: .*$", re.MULTILINE)


def sources(chosen=()):
    """The tutorials in their order; where `chosen` is given, those that begin like one of it."""
    return [
        path
        for path in sorted(HERE.glob("[0-9][0-9]_*.py"))
        if not chosen or path.stem.startswith(tuple(chosen))
    ]


def notebook(path):
    """The notebook of a source, not executed: the same bytes for the same source."""
    import jupytext

    found = jupytext.read(path, fmt="py:percent")
    found.metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    for number, cell in enumerate(found.cells):
        cell.id = f"cell-{number}"  # jupytext draws them at random
    return found


def execute(path):
    """The notebook of a source with its outputs."""
    from nbclient import NotebookClient

    found = notebook(path)
    client = NotebookClient(
        found,
        timeout=SECONDS,
        kernel_name=KERNEL["name"],
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(HERE)}},
    )
    client.execute()
    found.metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    for cell in (cell for cell in found.cells if cell.cell_type == "code"):
        cell.outputs = [output for output in cell.outputs if not is_chatter(output)]
    for cell in pictured(found):
        for output in images(cell):
            output.metadata["image/png"] = {
                **output.metadata.get("image/png", {}),
                "alt": cell.metadata["alt"],
            }
    return found


def is_chatter(output):
    """Whether an output is nothing but a library's log; a ValueError for another warning."""
    if output.get("name") != "stderr":
        return False
    if said := WARNING.findall(output.text):
        raise ValueError("a tutorial must not warn, got\n" + "\n".join(said))
    return True


def images(cell):
    """The outputs of a code cell that are pictures."""
    outputs = cell.outputs if cell.cell_type == "code" else ()
    return [output for output in outputs if "image/png" in output.get("data", {})]


def pictured(found):
    """The cells with pictures; a ValueError for one without an alternative text."""
    cells = [cell for cell in found.cells if images(cell)]
    for cell in cells:
        if not cell.metadata.get("alt"):
            raise ValueError(f'this cell draws, and its header must say alt="...":\n{cell.source}')
    return cells


def run(chosen):
    for path in sources(chosen):
        text = nbformat.writes(execute(path)) + "\n"
        if len(text) > LARGEST:
            raise ValueError(f"{path.stem} is {len(text):,} bytes, more than {LARGEST:,}")
        path.with_suffix(".ipynb").write_text(text, "utf-8")
        print(path.with_suffix(".ipynb"), f"{len(text):,} bytes", flush=True)


def repository():
    """The `owner/name` of the project, as pyproject.toml says."""
    project = tomllib.loads((HERE.parent / "pyproject.toml").read_text("utf-8"))["project"]
    return project["urls"]["Repository"].removeprefix("https://github.com/")


def colab(name):
    place = f"{repository()}/blob/main/tutorials/{name}.ipynb"
    return f"https://colab.research.google.com/github/{place}"


def page(found, name):
    """A notebook as Markdown with its buttons, and the pictures beside it."""
    from nbconvert import MarkdownExporter

    resources = {"output_files_dir": f"{name}_files", "unique_key": name}
    text, resources = MarkdownExporter().from_notebook_node(found, resources)
    alts = iter([cell.metadata["alt"] for cell in pictured(found) for _ in images(cell)])
    text = re.sub(r"!\[png\]", lambda _: f"![{next(alts)}]", text)
    title, _, rest = text.lstrip().partition("\n")
    text = f"{title}\n\n{BUTTONS.format(name=name, colab=colab(name))}\n{rest}"
    # Links between notebooks lead from page to page; what is folded is Markdown too.
    text = re.sub(r"\]\((\d\d_\w+)\.ipynb\)(?!\{)", r"](\1.md)", text)
    return text.replace("<details>", '<details markdown="1">'), resources["outputs"]


def pages():
    DOCS.mkdir(parents=True, exist_ok=True)
    listed = []
    for path in sources():
        name, stored = path.stem, path.with_suffix(".ipynb")
        found = nbformat.read(stored, as_version=4)
        text, files = page(found, name)
        (DOCS / f"{name}.md").write_text(text, "utf-8")
        (DOCS / stored.name).write_bytes(stored.read_bytes())
        for file, data in files.items():
            (DOCS / file).parent.mkdir(exist_ok=True)
            (DOCS / file).write_bytes(data)
        title, opening, *_ = found.cells[0].source.split("\n\n")
        listed.append(f"## [{title.removeprefix('# ')}]({name}.md)\n\n{opening}")
    (DOCS / "index.md").write_text("\n\n".join([INDEX, *listed, ""]), "utf-8")


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("pages", help="write the site's pages from the notebooks")
    names = commands.add_parser("run", help="execute the sources and write the notebooks")
    names.add_argument("names", nargs="*", help="beginnings of names, such as 03")
    options = parser.parse_args(arguments)
    if options.command == "pages":
        return pages()
    if not sources(options.names):
        raise SystemExit(f"no tutorial begins with {' or '.join(options.names)}")
    return run(options.names)


if __name__ == "__main__":
    sys.exit(main())
