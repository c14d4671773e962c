# Panoptic quality against the latency of the whole network on toy streets: 32 candidates, scored on a training city
# held out from the weights.
_base_ = './hyctas_supernet_1xb8-600_toy-streets-96x192.py'
train_dataloader = dict(  # recalibrates the batch norm
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(pipeline={{_base_.test_pipeline}}),
)
val_dataloader = dict(
    dataset=dict(
        ann_file='panoptic_train.json',
        data_prefix=dict(img='leftImg8bit/train', seg='panoptic_train'),
        indices={{_base_.select_images}},
    ),
)
train_cfg = dict(
    _delete_=True,
    type='NSGA2SearchLoop',
    supernet='work_dirs/hyctas_supernet_1xb8-600_toy-streets-96x192/iter_600.pth',
    input_hw=(128, 256),
    objectives=['PQ', 'latency_ms'],
    branches=(1,),
    population=8,
    generations=4,
    calibration_batches=6,
    num_chosen=2,
    latency_seconds=0.03,
    subnet_config='hyctas_subnet_1xb8-200_toy-streets-96x192.py',
    seed=0,
)
custom_hooks = []
param_scheduler = None
default_hooks = dict(checkpoint=None)
