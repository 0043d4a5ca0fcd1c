# The released architecture: converted checkpoints give what the reference implementation gives.
_base_ = 'odm_clip-resnet50.py'

model = dict(
    # CLIP's mean and deviation, times 255.
    data_preprocessor=dict(
        mean=[122.7709383, 116.7460125, 104.09373615],
        std=[68.5005327, 66.6321579, 70.32316305],
    ),
    image_encoder=dict(text_stride=32),
    text_controller=dict(grid=(16, 16), mask_padding=False, match=False),
    head=dict(refine_stride=2, subpixel=1, upsample='nearest', conv_bias=True, ink_prior=None),
    loss_ocr=dict(features=dict(_delete_=True, type='CRAFTFeatures')),
)
