# The paper's search (section 4.2): population 40, 20 generations, each number of branches by itself, 2400 candidates in
# all; batch norm recalculated on about 1000 training images. Nothing is trained.
_base_ = '../schedules/supernet_111k.py'
train_cfg = dict(
    _delete_=True,
    type='NSGA2SearchLoop',
    objectives=['mIoU', 'latency_ms'],
    branches=(1, 2, 3),
    population=40,
    generations=20,
    crossover_prob=0.9,
    mutation_prob=0.02,
    calibration_batches=63,
    num_chosen=5,
)
custom_hooks = []
param_scheduler = None
default_hooks = dict(checkpoint=None)
