"""Counters, gauges and histograms, and their rendering as Prometheus text.

Laws:
- An increment is one dictionary update: no lock (one trio thread owns a `Metrics`), no string is built before `render`.
- The number of series per metric is bounded (`MAX_SERIES`). Label values beyond it are counted together under
  `other`, so that a client who invents label values can neither fill the memory nor break the scrape.
- The same name asked for twice is the same metric; asked for with another kind or other labels it is a mistake of ours
  and raises `ValueError` at once.

The format is the Prometheus text exposition format 0.0.4.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Callable, Sequence
from math import inf
from typing import TypeVar

MAX_SERIES = 256
"""Series per metric. Our widest label today is an RPC method name (about 60)."""

MAX_LABEL_CHARS = 120
"""A label value is cut to this many characters."""

OTHER = "other"
"""Label value of the one series that collects everything beyond MAX_SERIES."""

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Buckets for durations: from an RPC call alone (150 us) to the deadline of a call (30 s)."""

OCTETS = (1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)
"""Buckets for sizes: from a short note to the largest message that anyone accepts."""

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})
_HELP_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n"})

LabelValues = tuple[str, ...]


class _Metric(ABC):
    """Name, help and labels: what the three kinds have in common."""

    kind = "untyped"

    def __init__(self, name: str, help_text: str, labels: Sequence[str]) -> None:
        if not _NAME.fullmatch(name):
            raise ValueError(f"not a metric name: {name!r}")
        self.name = name
        self.help = help_text
        self.labels = tuple(labels)

    def _checked(self, label_values: LabelValues, series: int) -> LabelValues:
        """The label values of a new series: counted, cut to length, or `other` when it is one too many."""
        if len(label_values) != len(self.labels):
            raise ValueError(f"{self.name} has the labels {self.labels}, got {len(label_values)} values")
        if series >= MAX_SERIES and self.labels:
            return (OTHER,) * len(self.labels)
        return tuple(str(value)[:MAX_LABEL_CHARS] for value in label_values)

    def _pairs(self, label_values: LabelValues, extra: str = "") -> str:
        pairs = [f'{k}="{v.translate(_ESCAPES)}"' for k, v in zip(self.labels, label_values, strict=True)]
        if extra:
            pairs.append(extra)
        return "{" + ",".join(pairs) + "}" if pairs else ""

    @abstractmethod
    def samples(self) -> list[str]:
        """The lines of this metric, without HELP and TYPE."""


class Counter(_Metric):
    """A number that only grows."""

    kind = "counter"

    def __init__(self, name: str, help_text: str, labels: Sequence[str] = ()) -> None:
        super().__init__(name, help_text, labels)
        self._values: dict[LabelValues, float] = {} if self.labels else {(): 0}

    def inc(self, n: float = 1, *label_values: str) -> None:
        """Adds `n` (never negative) to the series with these label values, given in the order of `labels`."""
        try:
            self._values[label_values] += n
        except KeyError:
            key = self._checked(label_values, len(self._values))
            self._values[key] = self._values.get(key, 0) + n

    def value(self, *label_values: str) -> float:
        """The present value, 0 for a series that nothing has counted yet."""
        return self._values.get(label_values, 0)

    def samples(self) -> list[str]:
        return [f"{self.name}{self._pairs(k)} {_number(v)}" for k, v in self._values.items()]


class Gauge(Counter):
    """A number that goes up and down, or is asked for at render time."""

    kind = "gauge"

    def __init__(self, name: str, help_text: str, labels: Sequence[str] = ()) -> None:
        super().__init__(name, help_text, labels)
        self._read: Callable[[], float] | None = None

    def dec(self, n: float = 1, *label_values: str) -> None:
        """Subtracts `n`."""
        self.inc(-n, *label_values)

    def set(self, value: float, *label_values: str) -> None:
        """Replaces the value."""
        if label_values not in self._values:
            label_values = self._checked(label_values, len(self._values))
        self._values[label_values] = value

    def read_from(self, read: Callable[[], float]) -> None:
        """From now on the value is what `read()` returns at render time; only for a gauge without labels."""
        if self.labels:
            raise ValueError(f"{self.name} has labels: set it")
        self._read = read

    def value(self, *label_values: str) -> float:
        return self._read() if self._read is not None else super().value(*label_values)

    def samples(self) -> list[str]:
        if self._read is not None:
            return [f"{self.name} {_number(self._read())}"]
        return super().samples()


class Histogram(_Metric):
    """How many observations fell below each of a few bounds, their number and their sum."""

    kind = "histogram"

    def __init__(self, name: str, help_text: str, buckets: Sequence[float], labels: Sequence[str] = ()) -> None:
        super().__init__(name, help_text, labels)
        self.buckets = tuple(buckets)
        if not self.buckets or list(self.buckets) != sorted(set(self.buckets)):
            raise ValueError(f"{name}: buckets must rise")
        # per series: one count for each bucket, one for what is above all of them, then the sum
        self._values: dict[LabelValues, list[float]] = {} if self.labels else {(): self._empty()}

    def _empty(self) -> list[float]:
        return [0] * (len(self.buckets) + 2)

    def observe(self, value: float, *label_values: str) -> None:
        """Counts one observation of `value`."""
        series = self._values.get(label_values)
        if series is None:
            key = self._checked(label_values, len(self._values))
            series = self._values.setdefault(key, self._empty())
        series[bisect_left(self.buckets, value)] += 1
        series[-1] += value

    def count(self, *label_values: str) -> float:
        """How many observations the series has."""
        return sum(self._values.get(label_values, [0])[:-1])

    def samples(self) -> list[str]:
        lines = []
        for key, series in self._values.items():
            total = 0.0
            for bound, n in zip((*self.buckets, inf), series[:-1], strict=True):
                total += n
                le = f'le="{_number(bound)}"'
                lines.append(f"{self.name}_bucket{self._pairs(key, le)} {_number(total)}")
            lines.append(f"{self.name}_sum{self._pairs(key)} {_number(series[-1])}")
            lines.append(f"{self.name}_count{self._pairs(key)} {_number(total)}")
        return lines


_M = TypeVar("_M", bound=_Metric)


class Metrics:
    """All metrics of one process."""

    def __init__(self) -> None:
        self._metrics: dict[str, _Metric] = {}

    def counter(self, name: str, help: str, labels: Sequence[str] = ()) -> Counter:  # noqa: A002 - Prometheus's own word
        """The counter of this name; by convention the name ends in `_total`."""
        return self._add(Counter(name, help, labels))

    def gauge(self, name: str, help: str, labels: Sequence[str] = ()) -> Gauge:  # noqa: A002 - Prometheus's own word
        """The gauge of this name."""
        return self._add(Gauge(name, help, labels))

    def histogram(
        self,
        name: str,
        help: str,  # noqa: A002 - Prometheus's own word
        buckets: Sequence[float] = SECONDS,
        labels: Sequence[str] = (),
    ) -> Histogram:
        """The histogram of this name; `buckets` are upper bounds, inclusive, rising, without +Inf."""
        return self._add(Histogram(name, help, buckets, labels))

    def render(self) -> bytes:
        """Everything in the text exposition format, in the order in which it was made."""
        lines = []
        for metric in self._metrics.values():
            lines.append(f"# HELP {metric.name} {metric.help.translate(_HELP_ESCAPES)}")
            lines.append(f"# TYPE {metric.name} {metric.kind}")
            lines += metric.samples()
        return ("\n".join(lines) + "\n").encode()

    def _add(self, metric: _M) -> _M:
        known = self._metrics.setdefault(metric.name, metric)
        if type(known) is not type(metric) or known.labels != metric.labels:
            raise ValueError(f"{metric.name} is already a {known.kind} with the labels {known.labels}")
        return known


def _number(value: float) -> str:
    if value != value:
        return "NaN"
    if abs(value) == inf:
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))
