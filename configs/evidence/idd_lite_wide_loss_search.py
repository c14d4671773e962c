# The search of the wide space without a supernet: as many candidates, each trained for 75 steps and judged by its loss.
_base_ = './idd_lite_wide_search.py'
train_cfg = dict(
    _delete_=True,
    type='SearchLoop',
    algorithm=dict(type='NSGA2'),
    evaluator=dict(type='ShortTraining', options={'train_dataloader.dataset.part': 'fit'}, calibration_batches=4),
    objectives=['train_loss', 'latency_ms'],
    input_hw=(227, 320),
    branches=(1, 2, 3),
    population=12,
    generations=3,
    latency_table='work_dirs/idd_lite_latency_table.json',  # one for all experiments
    subnet_config='idd_lite_subnet.py',
    num_chosen=4,
    seed=0,
)
