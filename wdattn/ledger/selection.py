"""What of a paper a call asks for."""

from dataclasses import dataclass

from wdattn.reproduction.design.claim import Claim
from wdattn.reproduction.design.experiment import Arm, Experiment
from wdattn.reproduction.design.paper import Figure, Paper
from wdattn.reproduction.run.executor import Request


@dataclass(frozen=True)
class Selection:
    """Claims of one paper, and studies whose figures are asked for.

    Args:
        paper: whose they are.
        claims: what is judged.
        studies: names of experiments that no claim reads.
    """

    paper: Paper
    claims: tuple[Claim, ...]
    studies: tuple[str, ...] = ()

    @classmethod
    def of(cls, paper: Paper, claim: str | None = None, experiment: str | None = None):
        """What these names mean; every claim and study of the paper where neither is given.

        Args:
            paper: whose names they are.
            claim: id of a claim, or None.
            experiment: name of an experiment that claims read, or of a study, or None.

        Raises:
            ValueError: if there is no such name; it lists the known ones.
        """
        studies = tuple(study.name for study in paper.studies if experiment in (None, study.name))
        return cls(paper, paper.choose(claim, experiment), () if claim else studies)

    @classmethod
    def headline(cls, paper: Paper):
        """The claims of a paper that a call without a key re-measures.

        Args:
            paper: whose they are.
        """
        return cls(paper, tuple(map(paper.claim, paper.headline)))

    def check(self, scale: str) -> None:
        """A ValueError if what was asked for by name is not there at that scale."""
        for claim in self.claims:
            claim.experiment.at(scale)
        if not self.claims:
            for name in self.studies:
                self.paper.experiments()[name].at(scale)

    def figures(self, scale: str) -> list[Figure]:
        """The figures at that scale that belong to these claims or show these studies."""
        ids = {claim.id for claim in self.claims}
        return [
            figure
            for figure in self.paper.figures
            if figure.drawn_at(scale)
            and (figure.claim in ids or figure.experiment.name in self.studies)
        ]

    def requests(self, scale: str, seeds: tuple[int, ...] | None, controls: bool) -> list[Request]:
        """What has to be measured so that the claims can be judged and the figures drawn.

        Args:
            scale: name of the scale.
            seeds: of every run, in place of the scale's own; None keeps those.
            controls: whether the claims are measured without their mechanism as well.
        """
        wanted = []
        for claim in self.claims:
            own = judged_seeds(claim.experiment, scale, seeds)
            for removed in (False, True)[: 1 + controls]:
                wanted += [
                    Request(claim.experiment, arm, own, column)
                    for arm, column in claim.reading(removed)
                ]
        for figure in self.figures(scale):
            own = judged_seeds(figure.experiment, scale, seeds)
            wanted += [
                Request(figure.experiment, arm, own, column)
                for arm in figure.shown(scale).values()
                for column in figure.columns
                if self._is_meant(figure, arm, scale)
            ]
        return wanted

    def _is_meant(self, figure: Figure, arm: Arm, scale: str) -> bool:
        """Whether one of these claims reads the figure's arm, or no claim of the paper does."""
        experiment, at_scale = figure.experiment, figure.experiment.at(scale)
        run = at_scale.run(arm, 0)

        def is_read(claims):
            own = [claim for claim in claims if claim.experiment == experiment]
            arms = [read for claim in own for read in claim.arms()]
            return any(at_scale.run(read, 0) == run for read in arms)

        return is_read(self.claims) or not is_read(self.paper.claims)


def judged_seeds(
    experiment: Experiment, scale: str, seeds: tuple[int, ...] | None
) -> tuple[int, ...]:
    """The seeds that were asked for, or the scale's own."""
    return experiment.at(scale).seeds if seeds is None else seeds
