# Made weights/odm_resnet18_icdar2015.pth, 70 minutes of one CPU core: synthesized images, and the 1000
# training images of ICDAR 2015 with the words that an OCR engine reads in them. Before it:
# python tools/pseudo_label.py data/icdar2015/ch4_training_images --out data/icdar2015/ch4_training_images/pseudo.json
_base_ = 'odm_pretrain_laptop_pseudo.py'

photographs = _base_.train_dataloader.dataset.dataset.datasets[0]
photographs.update(data_root='data/icdar2015/ch4_training_images', ann_file='pseudo.json')
# Text is 0.4 to 1.2 times as large as in the photographs; detectors train at 0.35 to 0.83 times.
photographs.pipeline[4].crop = (0.125, 0.375)
train_dataloader = dict(
    dataset=dict(
        dataset=dict(datasets=[photographs, *_base_.train_dataloader.dataset.dataset.datasets[1:]])
    )
)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
train_cfg = dict(max_iters=3600, val_interval=600)
default_hooks = dict(checkpoint=dict(interval=300))
