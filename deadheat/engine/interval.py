"""How sure a rate is: the exact interval of Clopper and Pearson for k of n.

Its limits are the rates at which k or more, or k or fewer, of n would have a chance of half of what is
left over of the confidence (C. J. Clopper, E. S. Pearson, Biometrika 26, 1934, pp. 404-413). It never covers
less than it says, at the price of covering more. Both limits are found by bisection on the sum.
"""

from __future__ import annotations

import math

CONFIDENCE = 0.95
BISECTIONS = 60  # of an interval of length 1: finer than a double tells apart near 1


def at_most(k: int, n: int, rate: float) -> float:
    """Give the chance of ``k`` or fewer of ``n`` at this rate: the binomial distribution function.

    >>> round(at_most(1, 2, 0.5), 12)
    0.75
    """
    if k >= n or rate <= 0:
        return 1.0
    if k < 0 or rate >= 1:
        return 0.0
    if 2 * k > n:  # the sum of fewer terms
        return 1.0 - at_most(n - k - 1, n, 1.0 - rate)
    hit, miss = math.log(rate), math.log1p(-rate)
    ways = math.lgamma(n + 1)
    terms = (
        math.exp(ways - math.lgamma(i + 1) - math.lgamma(n - i + 1) + i * hit + (n - i) * miss)
        for i in range(k + 1)
    )
    return min(1.0, math.fsum(terms))


def clopper_pearson(k: int, n: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Give between which rates that of ``k`` in ``n`` lies, with at least this confidence.

    >>> [round(limit, 4) for limit in clopper_pearson(1, 10)]
    [0.0025, 0.445]
    """
    if not 0 <= k <= n or n == 0:
        raise ValueError(f"{k} of {n} is no rate")
    tail = (1 - confidence) / 2
    low = 0.0 if k == 0 else _falls_to(k - 1, n, 1 - tail)
    high = 1.0 if k == n else _falls_to(k, n, tail)
    return low, high


def _falls_to(k: int, n: int, chance: float) -> float:
    """Find the rate at which ``k`` or fewer of ``n`` have this chance; it falls as the rate grows."""
    low, high = 0.0, 1.0
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        if at_most(k, n, middle) > chance:
            low = middle
        else:
            high = middle
    return (low + high) / 2
