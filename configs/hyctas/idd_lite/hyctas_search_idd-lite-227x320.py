# NSGA-II over the supernet. Candidates are scored on training drives held out from the weights; the 102 validation
# images stay for the end.
_base_ = './hyctas_supernet_1xb8-4k_idd-lite-160x224.py'
train_dataloader = dict(  # recalibrates the batch norm
    batch_size=16,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(pipeline={{_base_.test_pipeline}}),
)
val_dataloader = dict(batch_size=16, dataset=dict(part='select', data_prefix={{_base_.train_prefix}}))
train_cfg = dict(
    _delete_=True,
    type='NSGA2SearchLoop',
    supernet='work_dirs/hyctas_supernet_1xb8-4k_idd-lite-160x224/iter_4000.pth',
    input_hw=(227, 320),
    objectives=['mIoU', 'latency_ms'],
    branches=(1, 2, 3),
    population=20,
    generations=8,
    calibration_batches=8,
    subnet_config='hyctas_subnet_1xb8-800_idd-lite-160x224.py',
    seed=0,
)
custom_hooks = []
param_scheduler = None
default_hooks = dict(checkpoint=None)
