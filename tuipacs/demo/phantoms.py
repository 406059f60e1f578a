"""Pictures of nobody: phantoms made of ellipsoids, repeatable from a seed.

Coordinates run from -1 to 1: x to the patient's left, y to the back, z to the head.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Floats = NDArray[np.float32]

AIR = -1000.0  # HU


@dataclass(frozen=True)
class Ellipsoid:
    """Centre and half axes; what lies inside takes ``value``, in the order of the list."""

    x: float
    y: float
    z: float
    half_x: float
    half_y: float
    half_z: float
    value: float


def _paint(shapes: list[Ellipsoid], size: int, z: float, ground: float) -> Floats:
    """One slice of ``size`` x ``size`` through all shapes."""
    axis = np.linspace(-1, 1, size, dtype=np.float32)
    x, y = axis[np.newaxis, :], axis[:, np.newaxis]
    out = np.full((size, size), ground, dtype=np.float32)
    for shape in shapes:
        rest = 1.0 - ((z - shape.z) / shape.half_z) ** 2
        if rest <= 0:
            continue
        inside = ((x - shape.x) / shape.half_x) ** 2 + ((y - shape.y) / shape.half_y) ** 2 <= rest
        out[inside] = shape.value
    return out


def chest(seed: int) -> list[Ellipsoid]:
    """Trunk, lungs, heart, aorta, spine, ribs and a few lung nodules, in HU."""
    random = np.random.default_rng(seed)
    wide = float(random.uniform(0.82, 0.92))
    shapes = [
        Ellipsoid(0, 0, 0, wide, 0.62, 4.0, -90),  # fat
        Ellipsoid(0, 0, 0, wide - 0.06, 0.56, 4.0, 50),  # muscle
    ]
    for level in np.linspace(-0.9, 0.9, 7):  # a rib is a shell with the inside painted over
        shapes.append(Ellipsoid(0, 0, level, wide - 0.09, 0.53, 0.11, 600))
        shapes.append(Ellipsoid(0, 0, level, wide - 0.14, 0.48, 0.2, 45))
    shapes += [
        Ellipsoid(-0.40, -0.02, 0.05, 0.33, 0.42, 0.95, -860),  # right lung
        Ellipsoid(0.42, -0.02, 0.05, 0.30, 0.42, 0.95, -850),  # left lung
        Ellipsoid(0.14, -0.16, -0.25, 0.30, 0.26, 0.45, 45),  # heart
        Ellipsoid(0.14, -0.14, -0.25, 0.13, 0.12, 0.28, 160),  # its blood, with contrast
        Ellipsoid(0.10, 0.18, 0, 0.07, 0.07, 4.0, 170),  # aorta
        Ellipsoid(0, -0.12, 0.6, 0.06, 0.05, 0.5, AIR),  # trachea
        Ellipsoid(0, 0.36, 0, 0.12, 0.12, 4.0, 450),  # vertebrae
        Ellipsoid(0, 0.35, 0, 0.08, 0.08, 4.0, 200),
        Ellipsoid(0, 0.49, 0, 0.04, 0.04, 4.0, 30),  # spinal canal
        Ellipsoid(-0.30, 0.0, -1.0, 0.45, 0.42, 0.45, 60),  # liver
    ]
    for _ in range(int(random.integers(1, 4))):
        side = float(random.choice([-1.0, 1.0]))
        x, y = side * float(random.uniform(0.38, 0.52)), float(random.uniform(-0.2, 0.2))
        z, radius = float(random.uniform(-0.3, 0.5)), float(random.uniform(0.02, 0.05))
        shapes.append(Ellipsoid(x, y, z, radius, radius, radius * 2, 35))
    return shapes


def head(seed: int, *, magnetic: bool = False) -> list[Ellipsoid]:
    """Scalp, skull, brain, ventricles and one lesion: HU, or T1-like signal if ``magnetic``."""
    random = np.random.default_rng(seed)
    scalp, bone, grey, white, water, lesion = (
        (900, 40, 380, 520, 120, 700) if magnetic else (40, 1100, 38, 28, 6, 70)
    )
    shapes = [
        Ellipsoid(0, 0, 0, 0.72, 0.92, 1.05, scalp),
        Ellipsoid(0, 0, 0, 0.69, 0.89, 1.00, bone),
        Ellipsoid(0, 0, 0, 0.62, 0.82, 0.93, grey),
        Ellipsoid(-0.27, 0, 0.05, 0.27, 0.66, 0.72, white),
        Ellipsoid(0.27, 0, 0.05, 0.27, 0.66, 0.72, white),
        Ellipsoid(-0.12, -0.05, 0.05, 0.07, 0.30, 0.28, water),
        Ellipsoid(0.12, -0.05, 0.05, 0.07, 0.30, 0.28, water),
        Ellipsoid(0, 0.30, -0.1, 0.04, 0.08, 0.2, water),
        Ellipsoid(-0.28, -0.74, -0.62, 0.13, 0.12, 0.16, water),  # eyes
        Ellipsoid(0.28, -0.74, -0.62, 0.13, 0.12, 0.16, water),
    ]
    x = float(random.uniform(0.25, 0.42)) * float(random.choice([-1.0, 1.0]))
    y, z = float(random.uniform(-0.35, 0.35)), float(random.uniform(-0.1, 0.35))
    radius = float(random.uniform(0.05, 0.10))
    shapes.append(Ellipsoid(x, y, z, radius, radius, radius, lesion))
    return shapes


def ct_slice(
    shapes: list[Ellipsoid], size: int, z: float, random: np.random.Generator
) -> NDArray[np.int16]:
    """A noisy axial slice in HU, inside the round field of view; beyond it is -2000."""
    picture = _paint(shapes, size, z, AIR)
    picture += random.normal(0, 12, picture.shape).astype(np.float32)
    picture = np.clip(picture, -1024, 3071)
    axis = np.linspace(-1, 1, size, dtype=np.float32)
    picture[axis[np.newaxis, :] ** 2 + axis[:, np.newaxis] ** 2 > 1] = -2000
    return np.round(picture).astype(np.int16)


def mr_slice(
    shapes: list[Ellipsoid], size: int, z: float, random: np.random.Generator
) -> NDArray[np.uint16]:
    """An axial slice with Rician noise and the uneven signal of a head coil."""
    picture = _paint(shapes, size, z, 0.0)
    axis = np.linspace(-1, 1, size, dtype=np.float32)
    picture *= 1.0 - 0.25 * (axis[:, np.newaxis] + 1) / 2
    real = picture + random.normal(0, 14, picture.shape)
    imaginary = random.normal(0, 14, picture.shape)
    return np.round(np.hypot(real, imaginary)).clip(0, 4095).astype(np.uint16)


def radiograph(seed: int, rows: int, columns: int) -> NDArray[np.uint16]:
    """A chest from the front: transmitted intensity of 12 bits, so bone is low (MONOCHROME1)."""
    shapes = chest(seed)
    coarse = 192
    path = np.stack(
        [
            np.clip(_paint(shapes, coarse, z, AIR) + 1000, 0, None).sum(axis=0)
            for z in np.linspace(0.95, -0.95, coarse)
        ]
    )
    intensity = np.exp(-2.4 * path / path.max())
    grey = Image.fromarray(intensity.astype(np.float32)).resize(
        (columns, rows), Image.Resampling.BICUBIC
    )
    noise = np.random.default_rng(seed).normal(0, 6, (rows, columns))
    return np.round(np.asarray(grey) * 3800 + noise).clip(0, 4095).astype(np.uint16)


def ultrasound(seed: int, frames: int, rows: int, columns: int) -> NDArray[np.uint8]:
    """A sector with speckle, a beating cavity and colour flow: (frames, rows, columns, 3)."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float32)
    x, y = (x - columns / 2) / rows, (y + rows * 0.05) / rows
    radius, angle = np.hypot(x, y), np.arctan2(x, y)
    sector = (radius < 1.0) & (radius > 0.1) & (np.abs(angle) < 0.65)
    speckle = random.rayleigh(0.5, (rows, columns)).astype(np.float32)
    out = np.zeros((frames, rows, columns, 3), dtype=np.uint8)
    for frame in range(frames):
        beat = float(np.sin(2 * np.pi * frame / frames))
        wall = np.hypot(x / 1.3, y - 0.55) - (0.17 + 0.03 * beat)
        tissue = np.where(wall < 0, 0.04, 0.75) + 0.9 * np.exp(-((wall / 0.015) ** 2))
        grey = np.clip(tissue * speckle * (1.25 - 0.6 * radius) * 190, 0, 255) * sector
        picture = np.repeat(grey[..., np.newaxis], 3, axis=2)
        flow = (np.hypot(x - 0.05, y - 0.55) < 0.07) & sector
        picture[flow] = (200, 60, 30) if beat > 0 else (30, 70, 210)
        out[frame] = picture.astype(np.uint8)
    return out
