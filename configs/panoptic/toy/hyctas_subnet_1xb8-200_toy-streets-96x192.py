# One fixed panoptic network on toy streets from scratch, 200 steps: the schedule that exported networks take.
_base_ = [
    '../../panoptic_runtime.py',
    '../../_base_/datasets/toy_streets_panoptic.py',
    '../../_base_/models/hyctas_panoptic.py',
    '../../_base_/schedules/panoptic_sgd_poly.py',
]
max_iters = 200
# So few steps leave clipped SGD little time.
optim_wrapper = dict(
    _delete_=True, type='OptimWrapper', optimizer=dict(type='Adam', lr=5e-3), clip_grad=dict(max_norm=5.0)
)
model = dict(
    backbone=dict(base_channels=4),
    panoptic_head=dict(
        base_channels=4, num_things_classes=4, num_stuff_classes=7, loss_semantic=dict(anneal_steps=max_iters // 2)
    ),
    test_cfg=dict(nms_kernel=5, stuff_area_hw=(1024, 2048)),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, by_epoch=False, begin=0, end=20),
    dict(type='PolyLR', power=0.9, eta_min=1e-5, by_epoch=False, begin=20, end=max_iters),
]
train_cfg = dict(max_iters=max_iters)
