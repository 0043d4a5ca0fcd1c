import pytest
import torch

from odm_mmocr.models.losses import exchange, gather_rows, mean_over_processes


def test_one_process_has_everything():
    rows = torch.rand(3, 2)
    assert gather_rows(rows) is rows
    assert exchange(['stop']) == [['stop']]


@pytest.mark.parametrize('count', [4, 0.5, 0])
def test_mean(count):
    total = torch.tensor(2.0, requires_grad=True) * (count > 0)
    mean = mean_over_processes(total, torch.tensor(count))
    assert mean == (2 / count if count else 0)
