"""A made-up paper, as CONTRIBUTING says to write one: what the engine is tested with."""

from wdattn.reproduction import Paper

PAPER = Paper.of_findings(
    __name__,
    key="toy2024",
    title="Toys",
    citation="T. Toy et al., 2024",
    headline=("C1", "C2"),
)
