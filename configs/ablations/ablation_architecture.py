# Choices that the paper leaves open or that are made otherwise here, against those of the small
# configs. docs/ablations.md: how to run it.
_base_ = 'ablation_modules.py'

variants = {
    '_delete_': True,
    'base': {},
    # Images are 192x128.
    'text attention at stride 32': {
        'model.image_encoder.text_stride': 32,
        'model.text_controller.grid': (4, 6),
    },
    'plain BCE': {'model.loss_seg.positive_weight': None, 'model.loss_seg.dice_weight': 0.0},
    'CRAFT features': {'model.loss_ocr.features': dict(type='CRAFTFeatures')},
    # Only what it learns from: all are validated with the labels of the base.
    'label in a serif font': {
        'train_dataloader..RenderDestylizedLabel.fonts': ['DejaVuSerif.ttf'],
    },
    'label in a monospaced font': {
        'train_dataloader..RenderDestylizedLabel.fonts': ['DejaVuSansMono.ttf'],
    },
}
