"""The arms that claims and figures of Ahn et al. (2024) share."""

SGDM, ADAM = {"optimizer": "sgdm"}, {"optimizer": "adam"}
FEWER, GAMMA, SPHERE = {"context": 5}, {"covariates": "gamma"}, {"covariates": "sphere"}
SOFTMAX_ATTENTION, LINEAR_ATTENTION = {"activation": "softmax"}, {"activation": None}
