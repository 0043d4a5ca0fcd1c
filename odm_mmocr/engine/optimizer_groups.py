"""Parameters of an optimizer in as few groups as they have settings."""

from collections.abc import Sequence

import torch
from torch.optim import Optimizer


def merge_groups(optimizer: Optimizer) -> list[int]:
    """Put parameters with equal settings into one group.

    MMEngine gives each parameter a group of its own where some have settings of their own, and
    optimizers work group by group: hundreds of small steps in place of two or three.

    Args:
        optimizer: One that has made no step, changed in place.

    Returns:
        Of each parameter, in the new order, its place in the old one.
    """
    merged: dict[str, dict] = {}
    places: dict[str, list[int]] = {}
    count = 0
    for group in optimizer.param_groups:
        settings = {key: value for key, value in group.items() if key != 'params'}
        key = repr(sorted(settings.items(), key=lambda item: item[0]))
        merged.setdefault(key, dict(settings, params=[]))['params'].extend(group['params'])
        places.setdefault(key, []).extend(range(count, count + len(group['params'])))
        count += len(group['params'])
    optimizer.param_groups[:] = merged.values()
    return [place for found in places.values() for place in found]


def regroup_state(state: dict, optimizer: Optimizer, places: Sequence[int]) -> dict:
    """Bring a state that was saved before :func:`merge_groups` into the groups of an optimizer.

    Args:
        state: By `state_dict` of an optimizer.
        optimizer: With merged groups.
        places: What :func:`merge_groups` has returned.

    Returns:
        The state; as it is where it has as many groups as the optimizer, or other parameters.
    """
    groups = state['param_groups']
    settings = [group for group in groups for _ in group['params']]
    if len(groups) == len(optimizer.param_groups) or len(settings) != len(places):
        return state
    ids = [number for group in groups for number in group['params']]
    new = {place: number for number, place in enumerate(places)}
    regrouped, first = [], 0
    for group in optimizer.param_groups:
        last = first + len(group['params'])
        regrouped.append(dict(settings[places[first]], params=list(range(first, last))))
        first = last
    moved = {new[place]: state['state'][i] for place, i in enumerate(ids) if i in state['state']}
    return dict(state, state=moved, param_groups=regrouped)


def lay_out_state(optimizer: Optimizer) -> None:
    """Give what an optimizer keeps of each parameter the memory order of the parameter.

    Loaded, it has the order it was saved with. Fused steps walk through memory: on a CPU they would
    silently take the values of other elements.

    Args:
        optimizer: Changed in place.
    """
    for parameter, kept in optimizer.state.items():
        for name, value in kept.items():
            if (
                isinstance(value, torch.Tensor)
                and value.shape == parameter.shape
                and value.stride() != parameter.stride()
            ):
                kept[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
