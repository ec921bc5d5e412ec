"""How a series resembles itself some steps before: autocorrelation, whole and partial.

Box, Jenkins, Reinsel & Ljung, Time Series Analysis, chapters 2.1.4 and 3.2.5.
"""

import numpy as np
from jaxtyping import Float

LEAST_PEAK, NEARLY = 0.3, 0.75


def autocorrelation(values: Float[np.ndarray, "T"], lags: int) -> Float[np.ndarray, "L"]:
    """Returns the correlation of a series with itself, 0 to ``lags`` steps later.

    Missing values, which are NaN, count for no pair. Of a constant series all but the first are 0.
    """
    centred = np.nan_to_num(values - (np.nanmean(values) if np.isfinite(values).any() else 0.0))
    power = np.abs(np.fft.rfft(centred, 2 * len(centred))) ** 2
    products = np.fft.irfft(power)[: lags + 1]
    total = float(centred @ centred)
    found = np.zeros(lags + 1)
    if total > 0:
        found[: len(products)] = products / total
    found[0] = 1.0
    return found


def partial_autocorrelation(values: Float[np.ndarray, "T"], lags: int) -> Float[np.ndarray, "L"]:
    """Returns what each lag adds to the shorter ones, by the recursion of Durbin and Levinson."""
    whole = autocorrelation(values, lags)
    found = np.zeros(lags + 1)
    found[0] = 1.0
    weights = np.zeros(0)
    for lag in range(1, lags + 1):
        unexplained = 1.0 - weights @ whole[1:lag]
        if unexplained <= 1e-12:  # the lags before foretell the series exactly
            break
        added = (whole[lag] - weights @ whole[1:lag][::-1]) / unexplained
        weights = np.append(weights - added * weights[::-1], added)
        found[lag] = added
    return found


def white_noise_bound(values: Float[np.ndarray, "T"]) -> float:
    """Returns within which bounds 95 % of the autocorrelations of white noise lie."""
    return 1.96 / float(np.sqrt(max(np.isfinite(values).sum(), 1)))


def find_season(values: Float[np.ndarray, "T"], longest: int) -> int:
    """Returns after how many steps a series seems to repeat, at most ``longest``; 1: it does not.

    It is the highest clear peak in the autocorrelation of the steps' differences, in which a trend
    is no peak; or its smallest divisor whose multiples up to there are all about as high.
    """
    if longest < 2 or len(values) < 3:
        return 1
    found = autocorrelation(np.diff(values), longest + 1)
    inner = found[1:-1]
    clear = np.zeros(longest + 1, bool)
    clear[1:] = (inner > found[:-2]) & (inner > found[2:]) & (inner >= LEAST_PEAK)
    clear[1] = False  # one step is no season
    if not clear.any():
        return 1
    highest = int(np.argmax(np.where(clear, found[:-1], 0.0)))
    alike = clear & (found[:-1] >= NEARLY * found[highest])
    divisors = (season for season in range(2, highest + 1) if highest % season == 0)
    return next(season for season in divisors if alike[season : highest + 1 : season].all())
