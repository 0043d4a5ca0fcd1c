import pytest
import torch
from mmengine.model import BaseModel
from mmengine.runner import Runner
from mmocr.registry import DATASETS, MODELS
from torch import nn
from torch.utils.data import Dataset

import odm_mmocr  # noqa: F401, registers
from odm_mmocr.structures import ODMDataSample


@DATASETS.register_module()
class CountedSamples(Dataset):
    """Sample i is the number i plus noise from the generator that SeededDataset seeds."""

    metainfo = {}

    def __len__(self):
        return 10

    def __getitem__(self, index):
        if int(index) == 3:
            raise OSError('three.jpg is broken')
        return dict(inputs=index + torch.rand(1), data_samples=ODMDataSample())


@MODELS.register_module()
class OneWeight(BaseModel):
    """Fits one weight to the data, and keeps what it has seen."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.seen = []

    def forward(self, inputs, data_samples, mode='tensor'):
        inputs = torch.stack(inputs)
        self.seen.append(inputs.flatten().tolist())
        loss = (self.weight - inputs).square().mean()
        return dict(loss=loss) if mode == 'loss' else list(data_samples)


@pytest.fixture
def make_runner(tmp_path):
    """Function that builds a runner for a number of iterations."""

    def make(iterations, workers=0, **changes):
        config = dict(
            model=dict(type='OneWeight'),
            work_dir=str(tmp_path / 'run'),
            train_dataloader=dict(
                batch_size=3,
                num_workers=workers,
                sampler=dict(type='SeededInfiniteSampler'),
                dataset=dict(type='SeededDataset', dataset=dict(type='CountedSamples')),
                collate_fn=dict(type='pseudo_collate'),
            ),
            train_cfg=dict(type='ResumableIterTrainLoop', max_iters=iterations),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9)),
            default_hooks=dict(
                checkpoint=dict(type='AtomicCheckpointHook', by_epoch=False, interval=2)
            ),
            custom_hooks=[dict(type='DataFaultsHook')],
            log_processor=dict(by_epoch=False),
            log_level='WARNING',
            randomness=dict(seed=0),
            default_scope='mmocr',
            experiment_name=f'{tmp_path.name}-{iterations}-{workers}-{len(changes)}',
        )
        config.update(changes)
        return Runner(**config)

    return make
