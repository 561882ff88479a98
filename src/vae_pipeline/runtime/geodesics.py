"""Geodesics: the shortest way between two latents as its decoded observations are seen.

A bundle has graphs and no gradients, so that the decoder's Jacobian is taken by finite differences.
"""

from collections.abc import Callable

import numpy as np

from vae_pipeline.runtime.paths import FINE, Array, Seen, evenly, path_between, step_sizes

NODES = 16  # the ends and what is moved between them
ROUNDS, TRIALS = 10, 5  # steps of Gauss and Newton, and dampings tried for each
DIRECTIONS, NUMBERS = 64, 2**25  # in which a node is moved at a time; numbers of all Jacobians
DIFFERENCE = 1e-2  # of a latent, for a derivative
SETTLED = 1e-3  # the part of the energy by which a last step lowers it
Decode = Callable[[Array], Array]


def geodesic(decode: Decode, start: Array, end: Array) -> Array:
    """Nodes [16, latents] of a way from `start` to `end` that minimises Σ |g(z_i+1) - g(z_i)|², g being the decoder.

    The straight way, its nodes at an even pace, is where Gauss and Newton's steps begin, damped as Levenberg and
    Marquardt do; a step is taken if it lowers the energy. Over 64 latents, each step moves the nodes within 64
    directions, drawn anew by a fixed seed, so that the time is bounded: at most about 9,000 observations are
    decoded. The answer is the straight way where that is shorter, measured finely.

    Source: Shao, Kumar and Fletcher, The Riemannian Geometry of Deep Generative Models, 2018, section 3.
    """

    def straight(place: Array) -> Array:
        return path_between(start, end, place, "linear")

    begun = straight(evenly(lambda place: decode(straight(place)), NODES))
    nodes = _relaxed(decode, begun)
    fine = np.linspace(0, 1, FINE)
    lengths = [step_sizes(along(decode, each), fine).sum() for each in (nodes, begun)]
    return nodes if lengths[0] < lengths[1] else begun


def along(decode: Decode, nodes: Array) -> Seen:
    """The way along nodes, straight from each to the next, at a pace that is even from node to node."""
    sizes = step_sizes(lambda place: decode(nodes[place]), np.arange(len(nodes)))
    length = np.concatenate([[0.0], np.cumsum(sizes)])
    where = length / length[-1] if length[-1] > 0 else np.linspace(0, 1, len(nodes))

    def seen(place: Array) -> Array:
        return decode(np.stack([np.interp(place, where, column) for column in nodes.T], axis=1).astype(np.float32))

    return seen


def _relaxed(decode: Decode, nodes: Array) -> Array:
    """Nodes of a lower energy, the ends held."""
    seen = _seen(decode, nodes)
    energy, damping = _energy(seen), 1e-3
    width = max(1, min(nodes.shape[1], DIRECTIONS, NUMBERS // seen[1:-1].size))
    for turn in range(ROUNDS if energy > 0 else 0):
        directions = _directions(nodes.shape[1], width, turn)
        jacobians = _jacobians(decode, nodes, seen, directions)
        steps = np.diff(seen, axis=0)
        gradient = np.einsum("nwv,nv->nw", jacobians, steps[:-1] - steps[1:])
        curvature = 2 * jacobians @ jacobians.swapaxes(1, 2)
        coupling = -jacobians[:-1] @ jacobians[1:].swapaxes(1, 2)
        ridge = np.einsum("nww->nw", curvature) + 1e-6 * np.einsum("nww->", curvature) / gradient.size
        before = energy
        for _ in range(TRIALS):
            damped = curvature + damping * ridge[:, None] * np.eye(width)
            moved = nodes.copy()
            moved[1:-1] -= (_solved(damped, coupling, gradient) @ directions).astype(np.float32)
            found = _seen(decode, moved)
            if _energy(found) < energy:
                nodes, seen, energy, damping = moved, found, _energy(found), damping / 10
                break
            damping *= 10
        if before - energy < SETTLED * before and width == nodes.shape[1]:
            break
    return nodes


def _seen(decode: Decode, z: Array) -> Array:
    return decode(z).reshape(len(z), -1).astype(np.float64)


def _energy(seen: Array) -> float:
    return float(np.square(np.diff(seen, axis=0)).sum())


def _directions(latents: int, width: int, turn: int) -> Array:
    """[width, latents]: all axes, or orthonormal directions that follow from the turn."""
    if width == latents:
        return np.eye(latents)
    return np.linalg.qr(np.random.default_rng(turn).standard_normal((latents, width)))[0].T


def _jacobians(decode: Decode, nodes: Array, seen: Array, directions: Array) -> Array:
    """Derivatives [nodes - 2, width, values] of what is seen at the inner nodes."""
    moved = nodes[1:-1, None] + DIFFERENCE * directions
    found = _seen(decode, moved.reshape(-1, nodes.shape[1]).astype(np.float32))
    return (found.reshape(*moved.shape[:2], -1) - seen[1:-1, None]) / DIFFERENCE


def _solved(blocks: Array, coupling: Array, right: Array) -> Array:
    """x of the symmetric system whose diagonal has `blocks` and beside it `coupling`, of neighbours alone.

    Source: Thomas's elimination, by blocks (Golub and Van Loan, Matrix Computations, section 4.5.1).
    """
    links: list[Array] = []
    known: list[Array] = []
    for at in range(len(blocks)):
        block, side = blocks[at], right[at]
        if at:
            block, side = block - coupling[at - 1].T @ links[-1], side - coupling[at - 1].T @ known[-1]
        link = coupling[at] if at < len(coupling) else np.zeros((len(block), 0))
        found = np.linalg.solve(block, np.column_stack([side, link]))
        known.append(found[:, 0])
        links.append(found[:, 1:])
    x = [known[-1]]
    for place, link in zip(known[-2::-1], links[-2::-1], strict=True):
        x.append(place - link @ x[-1])
    return np.stack(x[::-1])
