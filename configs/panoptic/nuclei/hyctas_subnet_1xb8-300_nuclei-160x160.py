# One fixed panoptic network from scratch, 300 steps: the schedule that exported networks take. Adam, not the SGD of the
# other configs: with so few steps SGD reached PQ 8 to 56, depending on the network and its luck, where Adam reaches
# about 70 (docs/results/nuclei.md).
_base_ = [
    '../../panoptic_runtime.py',
    '../../_base_/datasets/nuclei_panoptic.py',
    '../../_base_/models/hyctas_panoptic.py',
    '../../_base_/schedules/panoptic_sgd_poly.py',
]
max_iters = 300
model = dict(
    backbone=dict(base_channels=4),
    panoptic_head=dict(
        base_channels=4, num_things_classes=1, num_stuff_classes=1, loss_semantic=dict(anneal_steps=max_iters // 2)
    ),
    test_cfg=dict(nms_kernel=5, top_k=400, stuff_area=0),
)
train_dataloader = dict(dataset=dict(indices=None))  # the weights that are judged may see every training image
optim_wrapper = dict(
    _delete_=True, type='OptimWrapper', optimizer=dict(type='Adam', lr=2e-3), clip_grad=dict(max_norm=5.0)
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, by_epoch=False, begin=0, end=50),
    dict(type='PolyLR', power=0.9, eta_min=1e-5, by_epoch=False, begin=50, end=max_iters),
]
train_cfg = dict(max_iters=max_iters)
