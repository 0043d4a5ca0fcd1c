import re

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from mmocr.registry import TRANSFORMS

from odm_mmocr.checkpoints import load_config


@TRANSFORMS.register_module()
class Poison:
    """Makes the image of one sample so bright that the model overflows."""

    def __call__(self, results):
        if results['data_samples'].img_path.endswith('-1.png'):
            results['inputs'] = torch.full(results['inputs'].shape, float('inf'))
        return results


@pytest.mark.slow
@pytest.mark.parametrize('collate', ['pseudo_collate', 'packed_collate'])
def test_the_step_at_which_a_training_ended(collate, tmp_path, load_tool, as_command, capsys):
    cfg = load_config('odm_pretrain_quickstart')
    cfg.merge_from_dict(
        dict(
            work_dir=str(tmp_path / 'run'),
            experiment_name=f'replay-{collate}',
            train_cfg=dict(max_iters=99, val_interval=100),
            log_level='ERROR',
        )
    )
    cfg.train_dataloader.update(batch_size=2, num_workers=0)
    cfg.train_dataloader.collate_fn = dict(type=collate)
    cfg.train_dataloader.dataset.dataset.pipeline.append(dict(type='Poison'))
    cfg.train_dataloader.sampler.update(shuffle=False)
    cfg.custom_hooks = [
        dict(hook, max_in_row=1) if hook['type'] == 'FiniteStepsHook' else hook
        for hook in cfg.custom_hooks
    ]
    with pytest.raises(FloatingPointError, match='tools/replay_batch.py') as ended:
        Runner.from_cfg(Config(cfg.to_dict())).train()
    (path,) = (tmp_path / 'run' / 'non_finite').iterdir()
    assert str(path) in str(ended.value)

    as_command(load_tool('replay_batch'))(path, '--device', 'cpu')
    output = capsys.readouterr().out
    assert re.search(r'precision: b?float(32|16) on cpu', output)
    assert re.search(r'sample: synthesized/.*-1.png \(index 1, epoch 0\)', output)
    assert re.search(r'loss_seg: nan \(in the training nan\)', output)
    assert 'first output that is not finite: data_preprocessor (ODMDataPreprocessor)' in output
    assert re.search(r'gradients that are not finite: \d{2,}', output)


def test_wrong_files(tmp_path, load_tool, as_command):
    command = as_command(load_tool('replay_batch'))
    with pytest.raises(SystemExit, match='error: .*none.pth does not exist'):
        command(tmp_path / 'none.pth')
    torch.save(dict(state_dict={}), tmp_path / 'iter_1.pth')
    with pytest.raises(SystemExit, match='error: .*holds no batch'):
        command(tmp_path / 'iter_1.pth')
