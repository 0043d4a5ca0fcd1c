"""The device that a name stands for."""

import torch


def find_device(device: str | None) -> torch.device:
    """Find a device.

    Args:
        device: Its name, such as ``'cpu'`` or ``'cuda:0'``; None: a GPU where there is one.

    Returns:
        The device, which is there.

    Raises:
        ValueError: There is no such device.
    """
    if device is None:
        return torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    try:
        found = torch.device(device)
    except RuntimeError as error:
        raise ValueError(f'device={device!r} is no device; expected such as cpu, cuda:0') from error
    if found.type == 'cuda' and (found.index or 0) >= torch.cuda.device_count():
        raise ValueError(
            f'device={device!r}: PyTorch sees {torch.cuda.device_count()} GPUs; give cpu, or None '
            'for what there is'
        )
    return found
