"""From a claim and its records to a row of the ledger."""

from wdattn.ledger.accepted import Answers
from wdattn.ledger.row import Row
from wdattn.ledger.stored import plainly
from wdattn.reproduction.design.claim import NOT_JUDGED, Claim
from wdattn.reproduction.design.paper import Paper
from wdattn.reproduction.design.references import Find
from wdattn.reproduction.judge.judgement import judge_runs


def judged_row(
    paper: Paper,
    claim: Claim,
    find: Find,
    *,
    scale: str,
    seeds: tuple[int, ...],
    backend: str,
) -> Row:
    """Judges a claim, and its control where its runs were made, into one row.

    Builds and versions are those of the records that were read, not of what is installed.

    Args:
        paper: whose claim it is.
        claim: what is judged.
        find: settings to record.
        scale: name of the scale.
        seeds: the judged seeds.
        backend: on which the runs were made.
    """
    answers = Answers(find)
    judged = judge_runs(claim, answers, scale, seeds)
    control = judge_runs(claim, answers, scale, seeds, control=True)
    made = control.verdict != NOT_JUDGED
    experiment = claim.experiment
    row = Row(
        paper=paper.key,
        claim=claim.id,
        title=claim.sentence,
        source=claim.source or experiment.source,
        backend=backend,
        scale=scale,
        seeds=tuple(seeds),
        verdict=judged.verdict,
        parts=judged.parts,
        set_aside=judged.set_aside,
        control=control.verdict if made else None,
        control_parts=control.parts if made else (),
        why=judged.why,
        expects=claim.expects or experiment.expects,
        threshold_source=claim.threshold_source,
        deviations=experiment.at(scale).deviations(),
        remark=claim.remark,
        choices=judged.choices,
        beside=judged.beside,
        skipped=judged.skipped,
        builds=answers.builds(),
        versions=answers.versions(),
    )
    return plainly(row)
