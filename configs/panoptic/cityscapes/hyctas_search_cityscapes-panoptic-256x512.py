# The paper's search (section 4.2) with panoptic quality in place of mIoU: 2400 candidates, batch norm recalculated on about 1000 training images, scored
# on the validation images.
_base_ = './hyctas_supernet_1xb16-111k_cityscapes-panoptic-256x512.py'
train_dataloader = dict(sampler=dict(type='DefaultSampler', shuffle=True), dataset=dict(pipeline={{_base_.test_pipeline}}))
train_cfg = dict(
    _delete_=True,
    type='NSGA2SearchLoop',
    supernet='work_dirs/hyctas_supernet_1xb16-111k_cityscapes-panoptic-256x512/iter_111000.pth',
    subnet_config='hyctas-s_4xb8-186k_cityscapes-panoptic-512x1024.py',
    input_hw=(1024, 2048),
    objectives=['PQ', 'latency_ms'],
    branches=(1, 2, 3),
    population=40,
    generations=20,
    crossover_prob=0.9,
    mutation_prob=0.02,
    calibration_batches=63,
    num_chosen=5,
    post_processing=True,
)
custom_hooks = []
param_scheduler = None
default_hooks = dict(checkpoint=None)
