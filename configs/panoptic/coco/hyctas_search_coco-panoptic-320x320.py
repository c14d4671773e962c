# The paper's search on COCO with panoptic quality in place of mIoU; candidates are scored on the validation images.
_base_ = './hyctas_supernet_4xb4-111k_coco-panoptic-320x320.py'
train_dataloader = dict(  # recalibrates the batch norm, on crops, as batches need one size
    batch_size=16, sampler=dict(type='DefaultSampler', shuffle=True)
)
train_cfg = dict(
    _delete_=True,
    type='NSGA2SearchLoop',
    supernet='work_dirs/hyctas_supernet_4xb4-111k_coco-panoptic-320x320/iter_111000.pth',
    subnet_config='hyctas-s_8xb8-200k_coco-panoptic-640x640.py',
    input_hw=(640, 640),
    objectives=['PQ', 'latency_ms'],
    branches=(1, 2, 3),
    population=40,
    generations=20,
    calibration_batches=63,
    post_processing=True,
)
custom_hooks = []
param_scheduler = None
default_hooks = dict(checkpoint=None)
