"""Numbers as the report writes them: counts, rates, intervals, sizes and times."""

from common.summary.arm import MetricsRecord
from common.summary.record import Interval

MISSING = "–"


def percent(value: float | None) -> str:
    """Return a share in [0, 1] as a percentage with one decimal."""
    return MISSING if value is None else f"{100 * value:.1f} %"


def decimal(value: float | None) -> str:
    """Return an AUC or a calibration error with three decimals."""
    return MISSING if value is None else f"{value:.3f}"


def rate(name: str, value: float | None) -> str:
    """Return a metric in its customary form: AUC and ECE as decimals, every other one as a percentage."""
    return decimal(value) if name in ("auc", "ece") else percent(value)


def limits(name: str, interval: Interval | None) -> str:
    """Return a 95 % interval of a metric, such as `81–91`, or an empty string where there is none."""
    if interval is None:
        return ""
    low, high = interval
    return f"{low:.2f}–{high:.2f}" if name in ("auc", "ece") else f"{100 * low:.0f}–{100 * high:.0f}"


def interval(name: str, metrics: MetricsRecord) -> str:
    """Return a metric's 95 % interval, or an empty string where there is none."""
    return limits(name, metrics.ci95.get(name))


def count(value: float) -> str:
    """Return a count, with one decimal where it is a mean that is not whole."""
    return f"{value:.0f}" if abs(value - round(value)) < 0.05 else f"{value:.1f}"


def correct_of_total(metrics: MetricsRecord | None) -> str:
    """Return `174.3/200`, or a dash where there is no image."""
    if metrics is None or metrics.total == 0:
        return MISSING
    return f"{count(metrics.correct)}/{metrics.total}"


def share(value: float | None) -> str:
    """Return a gap closed, such as `97 %`."""
    return MISSING if value is None else f"{_signed_zero_free(100 * value, 0)} %"


def share_limits(interval: Interval | None) -> str:
    """Return the interval of a gap closed in percent; in words, since its limits may be negative."""
    if interval is None:
        return ""
    low, high = interval
    return f"{_signed_zero_free(100 * low, 0)} to {_signed_zero_free(100 * high, 0)}"


def signed(value: float, digits: int = 1) -> str:
    """Return a difference with its sign, with a true minus sign."""
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text.replace("-", "−")


def signed_limits(interval: Interval, digits: int = 1) -> str:
    """Return the interval of a difference."""
    return f"{signed(interval[0], digits)} to {signed(interval[1], digits)}"


def p_value(value: float | None) -> str:
    """Return a p-value with two significant digits; none is called 0."""
    if value is None:
        return MISSING
    return "< 0.001" if value < 0.001 else f"{value:.2f}" if value >= 0.095 else f"{value:.2g}"


def size(number: float | None) -> str:
    """Return a number of bytes in decimal units, as networks count."""
    if number is None:
        return MISSING
    shown = float(number)
    for unit in ("bytes", "kB", "MB", "GB"):
        if shown < 1000 or unit == "GB":
            break
        shown /= 1000
    if unit == "bytes" or shown >= 1000:
        return f"{shown:,.0f} {unit}"
    return f"{shown:.3g} {unit}"


def megabytes(number: float | None) -> str:
    """Return a number of bytes in millions."""
    return MISSING if number is None else f"{number / 1e6:,.0f}".replace(",", _THIN)


def seconds(number: float | None) -> str:
    """Return a time; minutes and hours where seconds would be hard to read."""
    if number is None:
        return MISSING
    if number < 120:
        return f"{number:.1f} s"
    minutes, rest = divmod(round(number), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def number(value: float | None) -> str:
    """Return a large count with thousands apart."""
    return MISSING if value is None else f"{round(value):,}".replace(",", _THIN)


def listed(words: list[str]) -> str:
    """Return `a`, `a and b`, `a, b and c`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


_THIN = "\N{NARROW NO-BREAK SPACE}"


def _signed_zero_free(value: float, digits: int) -> str:
    text = f"{value:.{digits}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", "−")
