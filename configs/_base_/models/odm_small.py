# For minutes on a CPU: narrow layers around a ResNet-18, and losses that learn to listen soon.
_base_ = 'odm_resnet18.py'

model = dict(
    # Residual branches that start at zero would take most of these minutes to wake up.
    image_encoder=dict(backbone=dict(zero_init_residual=False)),
    text_controller=dict(depth=2, num_heads=4, word_heads=4),
    head=dict(channels=64, hidden_channels=(64, 32)),
    loss_seg=dict(positive_weight=2.0, dice_weight=1.0),
    loss_ocr=None,
    loss_contrastive=dict(loss_weight=0.1),
    loss_word=dict(type='WordContrastiveLoss', loss_weight=1.5),
)
