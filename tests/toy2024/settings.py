"""What identifies a run: the paper's own values are the defaults."""

from dataclasses import dataclass, replace

from wdattn.reproduction import Settings


@dataclass(frozen=True, kw_only=True)
class Toy(Settings):
    """Linear regression by one layer: "plain" takes momentum, "fancy" Adam; depth means nothing."""

    steps: int = 20
    kind: str = "plain"
    depth: int = 2

    def filled(self):
        return self if self.learning_rate is not None else replace(self, learning_rate=0.1)
