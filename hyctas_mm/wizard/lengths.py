"""How long everything is trained and searched, and how long that will take."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hyctas_mm.archs import SearchSpace
from hyctas_mm.errors import BadValue

TRACKS = 3
"""Numbers of branches, each searched by itself."""
_SHARES = dict(supernet=0.4, search=0.25, retraining=0.35)
_MIN_STEPS, _MIN_POPULATION, _MIN_GENERATIONS = 200, 6, 3
_LEAST_SUBNET_STEPS, _MOST_OF_LEAST = 300, 600
_LEAST_SUBNET_EPOCHS, _LEAST_STEPS_OF_A_CLASS = 3, 20
_MAX_EPOCHS, _MAX_SUBNET_EPOCHS = 600, 200  # 600 as in our Cityscapes supernet
_PART_SECONDS = 0.05
_TABLE_NETWORKS = 80


@dataclass(frozen=True)
class Lengths:
    """Numbers of everything that takes time.

    Attributes:
        steps: Training steps of the supernet.
        subnet_steps: Training steps of each chosen network.
        population: Candidates of a generation, for each number of branches.
        generations: Generations.
        calibration_images: Images that a candidate's batch norm is recalibrated on.
        num_chosen: Networks that are retrained.
        latency_seconds: Time to measure each part of the latency table.
        latency_networks: Networks that the latency table of a target is fitted to.
        latency_error: Median error that such a table may have.
        inherit: Whether retraining starts from the supernet's weights.
    """

    steps: int
    subnet_steps: int
    population: int
    generations: int
    calibration_images: int
    num_chosen: int
    latency_seconds: float = _PART_SECONDS
    latency_networks: int = _TABLE_NETWORKS
    latency_error: float = 0.1
    inherit: bool = True

    @property
    def candidates(self) -> int:
        """Candidates of all numbers of branches."""
        return TRACKS * self.population * self.generations


QUICK = Lengths(
    steps=20,
    subnet_steps=10,
    population=2,
    generations=2,
    calibration_images=16,
    num_chosen=2,
    latency_seconds=0.005,
    latency_networks=24,
    latency_error=1.0,
)
"""To see that everything runs; the networks are worth nothing."""
QUICK_SELECT = 12
"""Images to score on for :data:`QUICK`."""


@dataclass(frozen=True)
class Speed:
    """Seconds that were measured.

    Attributes:
        step: A training step with its images.
        calibration_image: A candidate's recalibration, for each image.
        image: Scoring an image.
        on_target: Writing and measuring a network for the latency table of a target; None without one.
    """

    step: float
    calibration_image: float
    image: float
    on_target: float | None = None

    def candidate(self, lengths: Lengths, num_select: int) -> float:
        """Seconds of a candidate; its price takes milliseconds."""
        return self.calibration_image * lengths.calibration_images + self.image * num_select


@dataclass(frozen=True)
class Estimate:
    """A step of the job and the seconds that it will take."""

    step: str
    what: str
    seconds: float


class TooShort(BadValue):
    """The time given is not enough for anything that makes sense.

    Attributes:
        excess: What the least takes, over the time given.
    """

    def __init__(self, message: str, excess: float) -> None:
        super().__init__(message)
        self.excess = excess


def usual_lengths(num_fit: int, batch: int, device_type: str) -> Lengths:
    """Lengths by number of images: those of our runs on two CPU cores (IDD-Lite); several times as long on a GPU.

    Args:
        num_fit: Training images of the supernet.
        batch: Images of a step.
        device_type: ``'cpu'`` or ``'cuda'``.
    """
    epoch = num_fit / batch
    if device_type == 'cpu':
        return Lengths(
            steps=_within(24 * epoch, 1000, 4000),
            subnet_steps=_within(5 * epoch, 300, 1000),
            population=12,
            generations=5,
            calibration_images=128,
            num_chosen=3,
        )
    return Lengths(
        steps=_within(100 * epoch, 4000, 60_000),
        subnet_steps=_within(40 * epoch, 2000, 40_000),
        population=20,
        generations=10,
        calibration_images=512,
        num_chosen=5,
    )


def fit_hours(
    lengths: Lengths,
    hours: float,
    speed: Speed,
    num_fit: int,
    num_select: int,
    num_val: int,
    batch: int,
    space: SearchSpace,
    num_classes: int,
) -> Lengths:
    """Lengths that fill the hours: 40 % supernet, 25 % search, 35 % retraining.

    A network that ships is trained: rather fewer networks than too few steps for each.

    Raises:
        TooShort: Saying what the least takes.
    """
    seconds, epoch = 3600 * hours, num_fit / batch
    test = 2 * num_val * speed.image
    least_steps = least_subnet_steps(epoch, num_classes)
    steps = _within(_SHARES['supernet'] * seconds / speed.step, _MIN_STEPS, max(_MIN_STEPS, _MAX_EPOCHS * epoch))
    for_search = _SHARES['search'] * seconds - table_seconds(space, lengths, speed)
    each = max(0.0, for_search / speed.candidate(lengths, num_select) / TRACKS)
    population = _within((2 * each) ** 0.5, _MIN_POPULATION, 40)  # twice as many as generations, as in the paper
    generations = _within(each / population, _MIN_GENERATIONS, 20)
    for_retraining = _SHARES['retraining'] * seconds
    num_chosen = _within(for_retraining / (least_steps * speed.step + test), 1, lengths.num_chosen)
    left = (for_retraining / num_chosen - test) / speed.step
    subnet_steps = _within(left, least_steps, max(least_steps, _MAX_SUBNET_EPOCHS * epoch))
    fitted = replace(
        lengths,
        steps=steps,
        subnet_steps=subnet_steps,
        population=population,
        generations=generations,
        num_chosen=num_chosen,
    )
    total = sum(e.seconds for e in estimate(fitted, speed, num_select, num_val, batch, space))
    if total > 1.3 * seconds:
        least = (
            f'{fitted.steps} supernet steps, {fitted.candidates} candidates and {_networks(num_chosen)} of '
            f'{fitted.subnet_steps} steps'
        )
        text = f'--hours {hours:g} is not enough: {least} take about {duration(total)}'
        raise TooShort(
            f'{text}; give at least --hours {total / 3600 + 0.05:.1f}, a smaller --size, or --quick for a try',
            total / seconds,
        )
    return fitted


def least_subnet_steps(epoch: float, num_classes: int) -> int:
    """Steps below which a network is not worth retraining: three passes over the images and 20 steps for each class,
    from 300 to 600 steps.

    Args:
        epoch: Steps of one pass.
        num_classes: Number of classes.
    """
    least = max(_LEAST_SUBNET_EPOCHS * epoch, _LEAST_STEPS_OF_A_CLASS * num_classes)
    return _within(least, _LEAST_SUBNET_STEPS, _MOST_OF_LEAST)


def estimate(
    lengths: Lengths, speed: Speed, num_select: int, num_val: int, batch: int, space: SearchSpace
) -> list[Estimate]:
    """What each step of the job will take."""
    test = 2 * num_val * speed.image  # with the supernet's weights and after retraining
    search, table = lengths.candidates * speed.candidate(lengths, num_select), table_seconds(space, lengths, speed)
    steps = [Estimate('supernet', f'{lengths.steps} steps of {batch} images', lengths.steps * speed.step)]
    if speed.on_target is None:
        search += table
    else:
        steps.append(Estimate('latency table', f'{lengths.latency_networks} networks measured on the target', table))
    return [
        *steps,
        Estimate('search', f'{lengths.candidates} candidates, scored on {num_select} images', search),
        Estimate(
            'retraining and test',
            f'{_networks(lengths.num_chosen)} of {lengths.subnet_steps} steps, tested on {num_val} images',
            lengths.num_chosen * (lengths.subnet_steps * speed.step + test),
        ),
        Estimate(
            'files that ship, report',
            f'ONNX of {_networks(lengths.num_chosen)}, scored on {num_val} images; report.html',
            20.0 + lengths.num_chosen * (15.0 + num_val * speed.image),
        ),
    ]


def table_seconds(space: SearchSpace, lengths: Lengths, speed: Speed) -> float:
    """Time to make the latency table: of a target that of its networks; else that of its parts, as if every kind of
    cell came up: op, widths in and out, stride, going down or not.
    """
    if speed.on_target is not None:
        return lengths.latency_networks * speed.on_target
    kinds = (len(space.ops) - 1) * len(space.widths) ** 2 * 5
    return lengths.latency_seconds * min(kinds, space.layers * lengths.candidates)


def duration(seconds: float) -> str:
    """A time for a person, e.g. ``'1 h 5 min'``."""
    if seconds < 90:
        return f'{max(1, round(seconds))} s'
    minutes = round(seconds / 60)
    return f'{minutes} min' if minutes < 90 else f'{minutes // 60} h {minutes % 60} min'


def _networks(count: int) -> str:
    return f'{count} network{"s" if count > 1 else ""}'


def _within(value: float, low: float, high: float) -> int:
    return int(min(max(value, low), high))
