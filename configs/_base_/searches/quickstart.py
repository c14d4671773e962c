# The quickstart's search: 96 candidates, in minutes on two CPU cores. Nothing is trained.
_base_ = '../schedules/sgd_poly.py'
train_cfg = dict(
    _delete_=True,
    type='NSGA2SearchLoop',
    objectives=['mIoU', 'latency_ms'],
    branches=(1, 2, 3),
    population=8,
    generations=4,
    calibration_batches=6,
    num_chosen=3,
    latency_seconds=0.03,
)
custom_hooks = []
param_scheduler = None
default_hooks = dict(checkpoint=None)
model_wrapper_cfg = dict(type='SupernetDataParallel')
