# What each part of ODM is worth: one is left out at a time. docs/ablations.md: how to run it, what
# to set by --pretrain-options and --finetune-options.
pretrain = dict(
    config='odm_pretrain_laptop_pseudo.py',
    # All three losses of the paper with its weights; this config leaves L_ocr out, for speed.
    options={
        'model.loss_ocr': dict(type='OCRLPIPSLoss', features=dict(type='PPOCRFeatures')),
        'model.loss_contrastive.loss_weight': 0.5,
        # From nothing, where this config goes on from another run.
        'optim_wrapper.optimizer.lr': 1e-3,
    },
    iterations=2000,
)
variants = {
    'full': {},
    'without L_ocr': {'model.loss_ocr': None},
    'without L_bc': {'model.loss_contrastive': None},
    # Nothing of the prompt reaches the head, and every word is to be drawn, so that the drawing
    # never depends on a prompt. L_bc stays: it is left out above.
    'without Text-Controller': {
        'model.text_controller.depth': 0,
        'model.text_controller.match': False,
        'model.loss_word': None,
        'train_dataloader..DropText.ratio': (0.0, 0.0),
        'train_dataloader..NoiseText.ratio': (0.0, 0.0),
        'train_dataloader..DropText.max_words': 32,
        'train_dataloader..NoiseText.max_words': 32,
        'train_dataloader..RenderDestylizedLabel.max_words': 32,
        'train_dataloader..PackODMInputs.max_words': 32,
    },
    'without Drop-Text': {'train_dataloader..DropText.ratio': (0.0, 0.0)},
    'without Noise-Text': {'train_dataloader..NoiseText.ratio': (0.0, 0.0)},
    # No part of the paper; the small configs have it.
    'without the word loss': {'model.loss_word': None},
}
finetune = dict(
    config='dbnet_resnet18_reduced_icdar2015.py',
    fractions=[0.1, 1.0],
    seeds=[0, 1, 2],
    lr_factors=[1.0],
    schedule=1000,
)
seeds = [0]
