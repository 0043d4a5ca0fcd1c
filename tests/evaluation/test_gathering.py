"""Figures gathered from several processes are exactly those of one."""

import itertools
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
import torch.distributed
from mmengine.evaluator import BaseMetric

from odm_mmocr.evaluation import (
    DestylizationMetric,
    EndToEndMetric,
    PromptControlMetric,
    ReadBackMetric,
    RetrievalMetric,
)

COUNT, PROCESSES = 7, 3


def samples():
    rng = np.random.default_rng(0)
    word = np.array([2, 2, 28, 2, 28, 20, 2, 20], np.float32)
    for index in range(COUNT):
        maps = {
            name: torch.from_numpy(rng.integers(0, 256, (1, 24, 32), dtype=np.uint8))
            for name in ('label', 'dropped')
        }
        features = torch.nn.functional.normalize(torch.from_numpy(rng.normal(size=(2, 4))), dim=1)
        yield dict(
            pred_destylized=dict(probability=torch.from_numpy(rng.random((1, 24, 32)))),
            gt_destylized=dict(maps, ignore=torch.zeros(1, 24, 32, dtype=bool)),
            gt_instances=dict(
                polygons=[word],
                prompted=torch.tensor([True]),
                texts=['word'],
                ignored=torch.tensor([index == 2]),
            ),
            pred_instances=dict(
                polygons=[word] * (index % 3),
                texts=['word', 'ward'][: index % 3],
                scores=torch.tensor([0.4 + 0.08 * index, 0.6][: index % 3]),
            ),
            pred_features=dict(image=features[0], text=features[1]),
            prompt=dict(texts=[f'word{index}'], shown=torch.tensor([True])),
        )


def evaluate(chosen):
    made = list(samples())
    figures = {}
    for metric in (
        DestylizationMetric(),
        PromptControlMetric(),
        RetrievalMetric(ks=(1, 3)),
        EndToEndMetric(),
    ):
        for index in chosen:
            metric.process([], [made[index]])
        figures.update(metric.evaluate(COUNT))
    metric = ReadBackMetric.__new__(ReadBackMetric)  # without its reader: what it has counted
    BaseMetric.__init__(metric, prefix='odm')
    for index in chosen:
        metric.results.append(np.full((3, 3), [index + 2, index, index + 1]))
    figures.update(metric.evaluate(COUNT))
    return figures


def evaluate_share(rank, folder):
    os.chdir(folder)  # where MMEngine exchanges results
    torch.distributed.init_process_group(
        'gloo', f'file://{folder}/rendezvous', rank=rank, world_size=PROCESSES
    )
    # As MMEngine's sampler deals them: in turns, the first ones once more at the end.
    rounds = -(-COUNT // PROCESSES)
    dealt = list(itertools.islice(itertools.cycle(range(COUNT)), rounds * PROCESSES))
    figures = evaluate(dealt[rank::PROCESSES])
    with open(f'{folder}/{rank}.json', 'w') as file:
        json.dump(figures, file)
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_figures_do_not_depend_on_the_number_of_processes(tmp_path):
    workers = [
        subprocess.Popen([sys.executable, __file__, str(rank), str(tmp_path)])
        for rank in range(PROCESSES)
    ]
    try:
        assert [worker.wait(120) for worker in workers] == [0] * PROCESSES
    finally:
        for worker in workers:
            worker.kill()
    expected = evaluate(range(COUNT))
    assert len(expected) > 29
    for rank in range(PROCESSES):
        assert json.loads((tmp_path / f'{rank}.json').read_text()) == expected


if __name__ == '__main__':
    evaluate_share(int(sys.argv[1]), sys.argv[2])
