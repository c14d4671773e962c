# NSGA-II over the panoptic supernet: panoptic quality against the latency of the whole network. Candidates are scored
# on training images held out from the weights; the validation images stay for the end.
_base_ = './hyctas_supernet_1xb8-2k_nuclei-160x160.py'
train_dataloader = dict(batch_size=16, sampler=dict(type='DefaultSampler', shuffle=True))  # recalibrates the batch norm
val_dataloader = dict(
    dataset=dict(
        ann_file='panoptic_train.json',
        data_prefix=dict(img='images/train', seg='panoptic_train'),
        indices={{_base_.select_images}},
    ),
)
train_cfg = dict(
    _delete_=True,
    type='NSGA2SearchLoop',
    supernet='work_dirs/hyctas_supernet_1xb8-2k_nuclei-160x160/iter_2000.pth',
    input_hw=(256, 256),
    objectives=['PQ', 'latency_ms'],
    branches=(1, 2, 3),
    population=12,
    generations=4,
    calibration_batches=8,
    num_chosen=3,
    subnet_config='hyctas_subnet_1xb8-300_nuclei-160x160.py',
    seed=0,
)
custom_hooks = []
param_scheduler = None
default_hooks = dict(checkpoint=None)
