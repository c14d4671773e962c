# The paper's search with panoptic quality in place of mIoU; candidates are scored on the validation images.
_base_ = [
    '../../panoptic_runtime.py',
    '../../_base_/datasets/cityscapes_panoptic_256x512.py',
    '../../_base_/models/hyctas_panoptic_supernet.py',
    '../../_base_/searches/paper.py',
]
model = dict(  # as the supernet has it
    panoptic_head=dict(num_things_classes=8, num_stuff_classes=11, loss_semantic=dict(anneal_steps=55_500)),
)
optim_wrapper = dict(clip_grad=dict(max_norm=5.0))
train_dataloader = dict(
    sampler=dict(type='DefaultSampler', shuffle=True), dataset=dict(pipeline={{_base_.test_pipeline}})
)
train_cfg = dict(
    supernet='work_dirs/hyctas_supernet_1xb16-111k_cityscapes-panoptic-256x512/iter_111000.pth',
    subnet_config='hyctas-s_4xb8-186k_cityscapes-panoptic-512x1024.py',
    input_hw=(1024, 2048),
    objectives=['PQ', 'latency_ms'],
    post_processing=True,
)
