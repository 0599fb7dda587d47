"""What is measured while a model trains."""

from __future__ import annotations

from metrics.confusion import confusion
from metrics.meter import Measure, Meter

__all__ = ["Measure", "Meter", "confusion"]
