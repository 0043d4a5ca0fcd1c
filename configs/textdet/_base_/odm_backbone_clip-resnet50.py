# What detectors with this backbone start from: the file that odm_pretrain_clip-resnet50.py leaves.
custom_imports = dict(imports=['odm_mmocr'], allow_failed_imports=False)

odm_backbone = dict(
    type='ODMPretrained',
    # Another file: ODM_BACKBONE=… in the environment, or --backbone of tools/train.py.
    checkpoint='{{$ODM_BACKBONE:backbone_clip-resnet50.pth}}',
)
