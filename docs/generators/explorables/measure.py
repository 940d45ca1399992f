"""`python -m docs.generators.explorables.measure [KEY]`: the runs that only an explorable shows.

On the Keras backend in use, into docs/records; what is stored is not made again.
"""

import sys
from dataclasses import replace
from pathlib import Path

from docs.generators import explorables
from wdattn import papers
from wdattn.reproduction import Executor, Live, Request, Store

RECORDS = Path(__file__).parents[2] / "records"


def main(keys=(), scale="laptop"):
    """Makes the `RUNS` of each explorable's module, pairs of an experiment and an arm.

    Args:
        keys: of papers; none for all.
        scale: name of the scale.
    """
    chosen = [one for one in explorables.modules() if not keys or one[0] in keys]
    for key, module in chosen:
        progress = Live()
        store = Store(RECORDS / key, progress.note)
        paper = replace(
            papers.lookup(key).bare(), studies=(*{e.name: e for e, _ in module.RUNS}.values(),)
        )
        executor = Executor(paper, scale, store, progress)
        requests = [
            Request(experiment, arm, experiment.at(scale).seeds, column)
            for experiment, arm in module.RUNS
            for column in experiment.watch
        ]
        with store.writing():
            executor.fulfil(requests)


if __name__ == "__main__":
    main(sys.argv[1:])
