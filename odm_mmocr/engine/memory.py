"""Memory of the process, on machines that train on their CPU."""

import ctypes
import sys

# Names of glibc's mallopt.
TRIM_THRESHOLD, TOP_PAD, MMAP_MAX = -1, -2, -4
GROWTH = 256 * 2**20  # bytes


def keep_freed_memory() -> bool:
    """Let the C library keep what PyTorch frees, for the next step, instead of giving it back.

    By default every large tensor is fresh memory from the system, which has to clear it first: a
    tenth and more of a training step on a CPU. The process then keeps the memory of its largest
    step, and some more for holes.

    Returns:
        Whether the C library could be told, which is so with glibc (Linux).
    """
    if not sys.platform.startswith('linux'):
        return False
    mallopt = getattr(ctypes.CDLL(None), 'mallopt', None)
    settings = ((MMAP_MAX, 0), (TRIM_THRESHOLD, -1), (TOP_PAD, GROWTH))
    return mallopt is not None and all(mallopt(*setting) == 1 for setting in settings)
