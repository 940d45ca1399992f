"""Optimizer steps of many variables in one call each: PyTorch's `_foreach` functions.

PyTorch compiles nothing here, so a step variable by variable costs its dozen operations for each.
These are twins of `wdattn.optimizers.step.move` with the rules of `update_rules`, in place; the
tests hold one to the other. Numbers stay tensors, so that a GPU is not waited for.
"""

import math

import torch


def norm(tensors):
    """Euclidean norm of all entries together."""
    return torch.linalg.vector_norm(torch.stack(torch._foreach_norm(tensors)))


def scaled(tensors, factor):
    """New tensors, each times a scalar tensor."""
    return torch._foreach_mul(tensors, factor)


def _adam(rule, gradients, slots, count):
    """The direction as numerators and denominators."""
    means, squares = slots
    torch._foreach_lerp_(means, gradients, 1 - rule.beta_1)
    torch._foreach_mul_(squares, rule.beta_2)
    torch._foreach_addcmul_(squares, gradients, gradients, 1 - rule.beta_2)
    scales = torch._foreach_sqrt(squares)
    torch._foreach_div_(scales, _correction(rule.beta_2, count).sqrt())
    torch._foreach_add_(scales, rule.epsilon)
    torch._foreach_mul_(scales, _correction(rule.beta_1, count))
    return means, scales


def _correction(beta, count):
    return -torch.expm1(count * (math.log(beta) if beta else -math.inf))


def _sgd(rule, gradients, slots, count):
    if not slots:
        return gradients, None
    (buffers,) = slots
    torch._foreach_mul_(buffers, rule.momentum)
    torch._foreach_add_(buffers, gradients)
    if not rule.nesterov:
        return buffers, None
    return torch._foreach_add(gradients, buffers, alpha=rule.momentum), None


RULES = {"Adam": _adam, "SGD": _sgd}
"""Name of a rule to its direction; it moves the slots on."""


@torch.no_grad()
def move(rule, parameters, gradients, slots, count, rate, coupled, removed, cautious):
    """Moves parameters and slots on in place.

    Args:
        rule: one whose type `RULES` names.
        parameters: list of tensors.
        gradients: list of tensors.
        slots: for each slot of the rule the list of its tensors.
        count: scalar tensor, the number of this step, from 1.
        rate: scalar tensor.
        coupled: scalar tensor, decay that goes through the gradient, or None.
        removed: scalar tensor, share that the decay takes, or None.
        cautious: whether it takes it only where the step moves an entry towards 0.
    """
    if coupled is not None:
        gradients = torch._foreach_add(gradients, torch._foreach_mul(parameters, coupled))
    above, below = RULES[type(rule).__name__](rule, gradients, slots, count)
    if removed is not None and not cautious:
        # Not times 1 - removed, whose rounding is the same at each step and adds up.
        torch._foreach_sub_(parameters, torch._foreach_mul(parameters, removed))
    elif removed is not None:
        # 1 where direction times parameter is >= 0, else 0: there is no comparison of lists.
        taken = torch._foreach_mul(above, parameters)
        torch._foreach_sign_(taken)
        torch._foreach_add_(taken, 1.0)
        torch._foreach_clamp_max_(taken, 1.0)
        torch._foreach_mul_(taken, -removed)
        torch._foreach_addcmul_(parameters, parameters, taken)
    if below is None:
        torch._foreach_add_(parameters, torch._foreach_mul(above, -rate))
        return
    # Not 0 times infinity at rate 0: the denominators are at least epsilon.
    torch._foreach_mul_(below, 1 / rate)
    torch._foreach_addcdiv_(parameters, above, below, value=-1)
