"""Small tools that several notebooks of PHYS 398 share; it lies beside them and is imported by name."""

from pathlib import Path

import numpy as np
from scipy import interpolate, signal


def whiten(strain, rate, segment=4.0):
    """Divide a time series by its own noise: every frequency gets the same power.

    `rate` is in Hz, `segment` in seconds (the length of the pieces whose spectra are averaged). The result
    has unit variance. Returns the whitened series and the amplitude spectral density as a function of Hz.
    """
    frequency, power = signal.welch(strain, rate, nperseg=int(segment * rate), average="median")
    density = interpolate.interp1d(frequency, np.sqrt(power), bounds_error=False, fill_value="extrapolate")
    spectrum = np.fft.rfft(strain) / density(np.fft.rfftfreq(strain.size, 1 / rate))
    return np.fft.irfft(spectrum, strain.size) * np.sqrt(2 / rate), density


def integral(y, x):
    """The area under points of a curve; for a density it has to be one."""
    return float(np.trapezoid(y, x))


def write_roof_log(path, days=45):
    """Make the log of the muon counter that notebook 04 reads: no real detector, but real habits.

    Hourly counts that fall when the air gets heavier, a logger that writes -999 when the barometer sleeps,
    an afternoon without power, and one hour written twice.
    """
    rng = np.random.default_rng(1912)  # Hess's balloon
    hour = np.arange(24 * days)
    weather = np.convolve(rng.normal(size=hour.size + 71), np.ones(72) / np.sqrt(72), mode="valid")
    pressure = 1013 + 7 * weather + 0.8 * np.sin(2 * np.pi * hour / 12)
    counts = rng.poisson(3_600 * np.exp(-0.0021 * (pressure - 1013)))
    start = np.datetime64("2026-02-01T00", "h")
    rows = [f"{start + h}:00,{c},{p:.1f}" for h, c, p in zip(hour, counts, pressure, strict=True)]
    for h in rng.choice(hour, size=15, replace=False):
        rows[h] = rows[h].rsplit(",", 1)[0] + ",-999"
    rows[500:500] = [rows[499]]
    del rows[700:706]
    with Path(path).open("w", encoding="utf-8", newline="\n") as out:
        out.write("# muon counter on the roof (synthetic: phys398_tools.write_roof_log)\n")
        out.write("time,counts,pressure_hPa\n" + "\n".join(rows) + "\n")
