"""Reading on the machines of a Ray cluster."""

import json
import logging
import re
from collections.abc import Iterable, Iterator, Sequence

from .labeller import Labeller, Task, describe
from .workers import read_in_processes

INSTALL = 'install the extra: pip install "odm_mmocr[ray]"'
BLOCK_IMAGES = 64  # that a worker takes at once: what is lost when the cluster dies


class BlockReader:
    """What Ray Data's ``map_batches`` runs in each of its workers.

    Args:
        labeller: Reads the images.
        timeout: Seconds that an image may take; None: any.
    """

    def __init__(self, labeller: Labeller, timeout: float | None):
        self._labeller = labeller
        self._timeout = timeout

    def __call__(self, block: dict) -> dict:
        """Read a block of images, in one process of its own, as :func:`read_in_processes` does.

        Args:
            block: A column ``batches`` (str): lists of tasks as JSON.

        Returns:
            A column ``records`` (str): lists of records as JSON.
        """
        batches = (json.loads(batch) for batch in block['batches'])
        read = read_in_processes(self._labeller, batches, 1, self._timeout)
        # JSON, so that records of any form and file names of any bytes travel.
        return dict(records=[json.dumps(records) for records in read])


def read_with_ray(
    labeller: Labeller,
    batches: Iterable[Sequence[Task]],
    workers: int = 2,
    timeout: float | None = 120.0,
    address: str | None = None,
    gpus: float = 0.0,
) -> Iterator[list[dict]]:
    """Read batches of images by Ray Data; a runner as :func:`read_in_processes` is one.

    The package has to be installed on all machines, and they have to reach the images by the same
    names.

    Args:
        labeller: Reads the images; it is sent to the workers.
        batches: Tasks, number and name of an image each.
        workers: Number of workers on the whole cluster, of one core each.
        timeout: Seconds that an image may take; None: any.
        address: Of the cluster, such as ``auto`` or ``ray://host:10001``. None: the one that this
            process is connected to, else a new one on this machine.
        gpus: GPUs, or parts of one, for each worker.

    Yields:
        The records of a batch, in the order in which they are done.

    Raises:
        ImportError: Ray is not installed.
        ConnectionError: There is no such cluster.
        RuntimeError: The job fails, such as when no engine can be made.
    """
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise ImportError(f'reading with Ray needs the package {error.name}; {INSTALL}') from error
    if not ray.is_initialized():
        local = dict(num_cpus=workers) if address is None else {}
        ray.init(address=address, logging_level='warning', log_to_driver=False, **local)
    items = [dict(batches=json.dumps(batch)) for batch in batches]
    if not items:
        return
    images_a_batch = max(len(json.loads(item['batches'])) for item in items[:1])
    per_block = max(1, BLOCK_IMAGES // images_a_batch)
    # Small data sets still reach all workers.
    blocks = max(-(-len(items) // per_block), min(workers, len(items)))
    ray.data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger('ray.data').setLevel(logging.WARNING)
    read = ray.data.from_items(items, override_num_blocks=blocks).map_batches(
        BlockReader,
        batch_size=None,
        compute=ray.data.ActorPoolStrategy(size=workers),
        num_cpus=1,
        num_gpus=gpus,
        fn_constructor_args=(labeller, timeout),
    )
    try:
        for row in read.iter_rows():
            yield json.loads(row['records'])
    except ray.exceptions.RayError as error:
        raise RuntimeError(f'the Ray job has failed: {_reason(error)}') from error


def _reason(error: Exception) -> str:
    """What went wrong first: Ray tells the stacks of all its layers as well."""
    found = re.search(r'^[\w.]+(?:Error|Exception): .*', str(error), re.MULTILINE)
    return found[0] if found else describe(error)
