import json
import subprocess
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from odm_mmocr.benchmark import Comparison, Recipe, Start
from odm_mmocr.benchmark.training import EvaluationRecord
from odm_mmocr.checkpoints import load_checkpoint


def test_evaluations_are_kept_over_a_stop(tmp_path):
    path = tmp_path / 'evaluations.json'
    for iteration in (3, 6, 6):  # one that was made, but not noted as done, is made again
        record = EvaluationRecord(path)
        record.after_val_epoch(SimpleNamespace(iter=iteration), {'icdar/hmean': iteration / 10})
    assert record.curve() == {'icdar/hmean': [(3, 0.3), (6, 0.6)]}


@pytest.mark.slow
@pytest.mark.parametrize('moment', ['iter_2.pth', 'iter_3.pth', 'detector.pth'])
def test_killed_run_ends_as_an_unbroken_one(plan, tmp_path, moment, monkeypatch):
    monkeypatch.setenv('OMP_NUM_THREADS', '1')
    single = replace(
        plan,
        starts=[Start('random')],
        fractions=(1.0,),
        seeds=(0,),
        recipes=(Recipe(),),
        schedule='3',  # evaluated at 2 and 3
        options={
            **plan.options,
            'val_evaluator.pred_score_thrs': dict(start=0.01, stop=0.5, step=0.1),
        },
    )
    Comparison(single, tmp_path / 'whole').run(1, lambda *_: None)
    comparison = Comparison(single, tmp_path / 'killed')
    name = 'random_100pc_lr1_seed0'
    folder = tmp_path / 'killed' / 'runs' / name
    folder.mkdir(parents=True)
    config = (tmp_path / 'whole' / 'runs' / name / 'config.py').read_text()
    config = config.replace(str(tmp_path / 'whole'), str(tmp_path / 'killed'))
    (folder / 'config.py').write_text(config)
    command = [sys.executable, '-m', 'odm_mmocr.benchmark.training', str(folder)]
    with open(folder / 'log.txt', 'wb') as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        while not (folder / moment).exists():
            assert process.poll() is None
            time.sleep(0.002)
        process.kill()
        process.wait()
    comparison.run(1, lambda *_: None)
    results, weights = (
        [read(tmp_path / kind / 'runs' / name / file) for kind in ('whole', 'killed')]
        for read, file in (
            (lambda path: json.loads(path.read_text()), 'result.json'),
            (lambda path: load_checkpoint(path)['state_dict'], 'detector.pth'),
        )
    )
    assert [step for step, _ in results[0]['curve']['icdar/hmean']] == [2, 3]
    assert results[1] == results[0]
    for key, tensor in weights[0].items():
        torch.testing.assert_close(weights[1][key], tensor)
