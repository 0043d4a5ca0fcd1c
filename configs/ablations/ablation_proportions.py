# How many words to drop and to invent, and how much of a batch to take from pseudo-labels.
# docs/ablations.md: how to run it.
_base_ = 'ablation_modules.py'

_drop = 'train_dataloader..DropText.ratio'
_noise = 'train_dataloader..NoiseText.ratio'
_shares = 'train_dataloader.dataset.dataset.ratios'  # of pseudo-labelled, synthesized, labelled

pretrain = dict(options={_drop: (0.3, 0.5), _noise: (0.3, 0.5), _shares: [0.5, 0.5, 0.0]})
variants = {
    '_delete_': True,
    'base': {},  # drop and noise 0.3 to 0.5, pseudo-labels 50 %
    'drop and noise 0': {_drop: (0.0, 0.0), _noise: (0.0, 0.0)},
    'drop and noise 0.1 to 0.3': {_drop: (0.1, 0.3), _noise: (0.1, 0.3)},
    'pseudo-labels 0 %': {_shares: [0.0, 1.0, 0.0]},
    'pseudo-labels 25 %': {_shares: [0.25, 0.75, 0.0]},
    'pseudo-labels 100 %': {_shares: [1.0, 0.0, 0.0]},
}
