"""Camera, light and canvas of the synthetic street scenes, and the shapes and colours they are painted with.

World coordinates are metres: ``x`` to the right of the camera, ``y`` up from the ground, ``z`` ahead of the camera.
Colours are RGB in 0..255.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

EGO_VEHICLE, ROAD, SIDEWALK, BUILDING, POLE, TRAFFIC_SIGN = 1, 7, 8, 11, 17, 20
VEGETATION, SKY, PERSON, RIDER, CAR, BICYCLE = 21, 23, 24, 25, 26, 33
SKYLINE_Z = 120.0
CIRCLE: NDArray[np.float64] = np.stack([np.cos(np.arange(12) * np.pi / 6), np.sin(np.arange(12) * np.pi / 6)], axis=1)

Colour = NDArray[np.float64]
Points = NDArray[np.float64]


@dataclass(frozen=True)
class Camera:
    """Pinhole camera; ``width`` to ``centre`` in pixels, ``height`` in metres, ``bend`` of the street in 1/metres."""

    width: int
    focal: float
    horizon: float
    centre: float
    height: float
    bend: float

    def sway(self, z: ArrayLike) -> NDArray[np.float64]:
        """Sideways shift in metres of the bending street at depth ``z``."""
        return self.bend * np.maximum(np.asarray(z) - 8.0, 0.0) ** 2

    def project(self, points: Points) -> NDArray[np.int32]:
        """Turn world points (..., 3) into integer pixel (column, row) pairs (..., 2)."""
        scale = self.focal / np.maximum(points[..., 2], 0.6)
        pixels = np.empty((*scale.shape, 2), dtype=np.int32)
        pixels[..., 0] = self.centre + points[..., 0] * scale
        pixels[..., 1] = self.horizon + (self.height - points[..., 1]) * scale
        return pixels

    def project_flat(self, shape: ArrayLike, at: tuple[float, float]) -> NDArray[np.int32]:
        """Pixels (N, 2) of a camera-facing outline (N, 2) of (right, up) metres standing at ``at`` = (x, z)."""
        scale = self.focal / at[1]
        foot = np.array([self.centre + at[0] * scale, self.horizon + self.height * scale])
        return (foot + np.asarray(shape) * (scale, -scale)).astype(np.int32)

    def sees(self, x: float, z: float, reach: float) -> bool:
        """Whether something within ``reach`` metres of ``x`` at depth ``z`` can be in the picture."""
        left, right = self.centre + (x - reach) * self.focal / z, self.centre + (x + reach) * self.focal / z
        return right >= 0 and left < self.width


@dataclass(frozen=True)
class Light:
    """Weather and time of day; ``shade`` dims faces off the sun, ``lit`` is the share of lit windows."""

    sun_side: int
    shade: float
    haze: Colour
    haze_length: float
    exposure: Colour
    lit: float
    sky_top: Colour
    cloud: float


@dataclass(frozen=True)
class Street:
    """Sideways positions in metres of the road edges, building lines and centre line, and where cars park."""

    road: tuple[float, float]
    walls: tuple[float, float]
    centre: float
    parking: tuple[bool, bool]


@dataclass(frozen=True)
class Canvas:
    """What is being painted: ``image`` (H, W, 3) uint8 and ``ids`` (H, W) uint16 of instance ids, both in place."""

    rng: np.random.Generator
    camera: Camera
    light: Light
    image: NDArray[np.uint8]
    ids: NDArray[np.uint16]
    counts: dict[int, int] = field(default_factory=dict)

    def new_id(self, label: int) -> int:
        """Return the next unused instance id of the thing class ``label``."""
        self.counts[label] = self.counts.get(label, -1) + 1
        return label * 1000 + self.counts[label]

    def tint(self, colour: ArrayLike, z: float) -> list[float]:
        """Fade ``colour`` (3,) towards the haze by the depth ``z`` in metres."""
        keep = math.exp(-z / self.light.haze_length)
        mixed = (np.asarray(colour) * keep + self.light.haze * (1 - keep)).tolist()
        return [min(max(value, 0.0), 255.0) for value in mixed]

    def fill(self, points: Points, colour: ArrayLike, ident: int | None = None) -> None:
        """Fill the world polygon (N, 3), or polygons (M, N, 3); ``ident`` None leaves the labels as they are."""
        pixels = self.camera.project(points)
        corners = points.reshape(-1, 3)
        z = float(corners[0, 2] + corners[len(corners) // 2, 2]) / 2
        self._fill_pixels(list(pixels) if pixels.ndim == 3 else [pixels], self.tint(colour, z), ident)

    def flat(self, shape: ArrayLike, at: tuple[float, float], colour: ArrayLike, ident: int | None = None) -> None:
        """Fill a camera-facing polygon (N, 2) of (right, up) metres standing at ``at`` = (x, z)."""
        self._fill_pixels([self.camera.project_flat(shape, at)], self.tint(colour, at[1]), ident)

    def _fill_pixels(self, polygons: list[NDArray[np.int32]], colour: list[float], ident: int | None) -> None:
        cv2.fillPoly(self.image, polygons, colour)
        if ident is not None:
            cv2.fillPoly(self.ids, polygons, (ident,))


def limb(start: Sequence[float], end: Sequence[float], width: float) -> Points:
    """Quad (4, 2) of the given width in metres around the segment from ``start`` to ``end``."""
    (x0, y0), (x1, y1) = start, end
    half = width / 2 / max(math.hypot(x1 - x0, y1 - y0), 1e-6)
    right, up = (y0 - y1) * half, (x1 - x0) * half
    return np.array([(x0 + right, y0 + up), (x1 + right, y1 + up), (x1 - right, y1 - up), (x0 - right, y0 - up)])


def blob(rng: np.random.Generator, centre: Sequence[float], radius: Sequence[float], rough: float = 0.0) -> Points:
    """Ellipse (12, 2) around ``centre`` whose outline wobbles by the share ``rough``."""
    wobble = 1 + rough * rng.uniform(-1, 1, (12, 1)) if rough else np.ones((12, 1))
    outline: Points = np.asarray(centre) + CIRCLE * wobble * np.asarray(radius)
    return outline


def any_colour(rng: np.random.Generator) -> Colour:
    """Any colour, greys included: used for cars, clothes, shop fronts."""
    colour, grey = rng.uniform(15, 230, 3), rng.uniform(20, 215)
    return np.asarray(grey + (colour - grey) * rng.uniform(0, 1), dtype=np.float64)


def street_grey(rng: np.random.Generator) -> Colour:
    """A greyish colour from the one pool that road, pavement, walls and poles share."""
    return np.array([1.0, 0.2, -1.0]) * float(rng.normal(0, 7)) + rng.normal(0, 3, 3) + float(rng.uniform(70, 165))


def leaf_colour(rng: np.random.Generator) -> Colour:
    """Green mostly, else autumn brown."""
    base = np.array((62.0, 92.0, 44.0) if rng.random() < 0.75 else (130.0, 92.0, 48.0))
    return base * float(rng.uniform(0.6, 1.3)) + rng.normal(0, 9, 3)


def make_light(rng: np.random.Generator) -> Light:
    kind = rng.choice(4, p=(0.4, 0.3, 0.2, 0.1))  # clear, overcast, low sun, dusk
    top = np.array([(95, 140, 200), (165, 170, 178), (120, 130, 170), (50, 60, 95)][kind]) + rng.normal(0, 10, 3)
    low = np.array([(200, 212, 222), (190, 192, 195), (235, 190, 150), (130, 110, 120)][kind]) + rng.normal(0, 10, 3)
    level = rng.uniform(*[(0.8, 1.25), (0.65, 1.0), (0.7, 1.05), (0.55, 0.8)][kind])
    return Light(
        sun_side=int(rng.choice((-1, 1))),
        shade=float(rng.uniform(*[(0.5, 0.7), (0.9, 1.0), (0.5, 0.75), (0.85, 1.0)][kind])),
        haze=low,
        haze_length=float(rng.uniform(110, 500)),
        exposure=level * (1 + rng.normal(0, 0.06, 3)) * ((1.08, 1.0, 0.88) if kind == 2 else (1.0, 1.0, 1.0)),
        lit=(0.02, 0.1, 0.08, 0.5)[kind],
        sky_top=top,
        cloud=float(rng.uniform(0.0, 1.0)),
    )


def make_street(rng: np.random.Generator) -> Street:
    left, right = -float(rng.uniform(3.6, 7.6)), float(rng.uniform(2.0, 5.0))
    return Street(
        road=(left, right),
        walls=(left - float(rng.uniform(2.0, 5.0)), right + float(rng.uniform(2.0, 5.0))),
        centre=float(rng.uniform(-2.0, -1.3)),
        parking=(left < -5.0 and rng.random() < 0.7, right > 3.1 and rng.random() < 0.7),
    )
