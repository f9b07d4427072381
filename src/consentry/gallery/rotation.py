"""A keyed rotation of templates: one secret orthogonal matrix for each installation (ISO/IEC 24745).

Templates are kept, and compared, as Q x with Q orthogonal, so every cosine stays what it was:
(Q x) · (Q y) = x · y. Between two installations, whose matrices are independent, the same face gives
vectors whose cosine says nothing; and a new matrix makes a template that leaked under the old one useless.

It is no one-way function: whoever has the seed turns every template back. What it protects against is the
theft of templates without the seed.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from scipy.special import ndtri

from consentry.errors import EngineError
from consentry.types import Floats

Doubles = npt.NDArray[np.float64]

DIMENSIONS = 512
"""Width of the templates."""

SEED_BYTES = 32
_UNIFORM_BITS = 52
_WORD = np.dtype("<u8")


class Rotation:
    """The rotation of one installation. Equal to another if their seeds are; never prints its seed.

    Args:
        version: Which of the installation's rotations it is, from 1.
        seed: 32 secret random bytes.

    Raises:
        EngineError: the seed has another length.
    """

    __slots__ = ("_matrix", "_seed", "version")

    def __init__(self, version: int, seed: bytes) -> None:
        if len(seed) != SEED_BYTES:
            raise EngineError(f"the seed of a rotation must have {SEED_BYTES} bytes, not {len(seed)}")
        self.version = version
        self._seed = seed
        self._matrix = _matrix(seed)

    def __repr__(self) -> str:
        return f"Rotation(version={self.version}, ***)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Rotation) and (self.version, self._seed) == (other.version, other._seed)

    def __hash__(self) -> int:
        return hash((self.version, self._seed))

    def __reduce__(self) -> tuple[type[Rotation], tuple[int, bytes]]:
        """To a worker goes the seed: the matrix is 65 536 times as long."""
        return type(self), (self.version, self._seed)

    def turn(self, vectors: Floats | Doubles) -> Doubles:
        """Q x for each row, float64 (…, 512), of `vectors` (…, 512)."""
        return vectors.astype(np.float64, copy=False) @ self._matrix.T

    def turn_back(self, turned: Floats | Doubles) -> Doubles:
        """The vectors, float64 (…, 512), that `turn` made `turned` of."""
        return turned.astype(np.float64, copy=False) @ self._matrix

    def change_to(self, newer: Rotation) -> Doubles:
        """The matrix, float64 (512, 512), that brings what is under this rotation under `newer`.

        What it passes over on the way, the template as the recogniser made it, never exists.
        """
        return newer._matrix @ self._matrix.T

    @property
    def matrix(self) -> Doubles:
        """Q, float64 (512, 512), read-only."""
        return self._matrix


def orthogonal(normal: Doubles) -> Doubles:
    """A matrix uniform over the rotations and reflections, from one of independent standard normals.

    QR with the signs of R's diagonal moved into Q (Mezzadri 2007, "How to generate random matrices from
    the classical compact groups").
    """
    turned, upper = np.linalg.qr(normal)
    return np.asarray(turned * np.sign(np.diag(upper)), np.float64)


@lru_cache(maxsize=1)  # making one takes 0.1 s; a process has one in use, and must forget the one before
def _matrix(seed: bytes) -> Doubles:
    """The orthogonal matrix of a seed: the same to 1e-12 on every machine.

    The normals are the inverse distribution function at 52-bit uniforms of a ChaCha20 key stream, so that
    nothing about one entry follows from the others without the seed.
    """
    stream = Cipher(ChaCha20(seed, bytes(16)), mode=None).encryptor()
    words = np.frombuffer(stream.update(bytes(DIMENSIONS * DIMENSIONS * _WORD.itemsize)), _WORD)
    uniform = ((words >> np.uint64(64 - _UNIFORM_BITS)).astype(np.float64) + 0.5) * 2.0**-_UNIFORM_BITS
    matrix = orthogonal(ndtri(uniform).reshape(DIMENSIONS, DIMENSIONS))
    matrix.flags.writeable = False
    return matrix
