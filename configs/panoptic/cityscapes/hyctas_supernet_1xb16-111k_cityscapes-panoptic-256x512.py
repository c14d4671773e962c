# A panoptic supernet on Cityscapes with the settings of our semantic one: 20 layers, 64 initial channels, 256x512,
# batch 16. The paper trains a semantic supernet only, and gives its networks a panoptic head.
_base_ = [
    '../../panoptic_runtime.py',
    '../../_base_/datasets/cityscapes_panoptic_256x512.py',
    '../../_base_/models/hyctas_panoptic_supernet.py',
    '../../_base_/schedules/supernet_111k.py',
]
model = dict(
    # half of the schedule
    panoptic_head=dict(num_things_classes=8, num_stuff_classes=11, loss_semantic=dict(anneal_steps=55_500)),
)
optim_wrapper = dict(clip_grad=dict(max_norm=5.0))  # see panoptic_186k.py
