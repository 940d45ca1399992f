"""The claims of Ahn et al. (2024), each fixed before its runs."""

from wdattn.papers.ahn2024.claims import appendix, covariates, curvature, depth, loss, noise

CLAIMS = tuple(
    sorted(
        (
            *loss.CLAIMS,
            *noise.CLAIMS,
            *curvature.CLAIMS,
            *covariates.CLAIMS,
            *depth.CLAIMS,
            *appendix.CLAIMS,
        ),
        key=lambda claim: int(claim.id[1:]),
    )
)
