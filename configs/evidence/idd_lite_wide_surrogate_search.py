# The search of the wide space in which a model of the scores, refitted each generation, says what to evaluate.
_base_ = './idd_lite_wide_3k_search.py'
train_cfg = dict(
    _delete_=True,
    type='SearchLoop',
    algorithm=dict(type='SurrogateNSGA2'),
    evaluator=dict(
        type='InheritedWeights', supernet='work_dirs/idd_lite_wide_3k_supernet/iter_3000.pth', calibration_batches=4
    ),
    objectives=['mIoU', 'latency_ms'],
    input_hw=(227, 320),
    branches=(1, 2, 3),
    population=12,
    generations=3,
    latency_table='work_dirs/idd_lite_latency_table.json',  # one for all experiments
    subnet_config='idd_lite_subnet.py',
    num_chosen=4,
    seed=0,
)
