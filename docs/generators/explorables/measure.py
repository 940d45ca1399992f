"""`python -m docs.generators.explorables.measure`: the runs that only an explorable shows.

On the Keras backend in use, into docs/records; what is stored is not made again.
"""

from dataclasses import replace
from pathlib import Path

from docs.generators import explorables
from wdattn import papers
from wdattn.reproduction import Executor, Live, Request, Store

RECORDS = Path(__file__).parents[2] / "records"


def main(scale="laptop"):
    """Makes the `RUNS` of each explorable's module, pairs of an experiment and an arm.

    Args:
        scale: name of the scale.
    """
    for key, module in explorables.modules():
        progress = Live()
        store = Store(RECORDS / key, progress.note)
        paper = replace(
            papers.lookup(key), studies=(*{e.name: e for e, _ in module.RUNS}.values(),)
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
    main()
