"""Percentiles and a histogram for people."""
import math

BINS_MS = (5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 60_000, math.inf)
BAR_COLUMNS = 30


def percentile(values, percent):
    """The smallest value that `percent` of them do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def median(values):
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def slope(points):
    """Least squares through (x, y): how much y grows with each x."""
    count = len(points)
    mean_x = sum(x for x, _ in points) / count
    mean_y = sum(y for _, y in points) / count
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0


def histogram(columns):
    """`columns`: names and their times in ms. Lines with a bar each, from the first bin used to the last."""
    counts = {name: [0] * len(BINS_MS) for name in columns}
    for name, values in columns.items():
        for value in values:
            counts[name][next(i for i, top in enumerate(BINS_MS) if value <= top)] += 1
    used = [i for i in range(len(BINS_MS)) if any(counts[name][i] for name in columns)]
    lines = ["   up to ms  " + "  ".join(f"{name:<{BAR_COLUMNS + 5}}" for name in columns)]
    for i in range(used[0], used[-1] + 1) if used else []:
        cells = []
        for name, values in columns.items():
            bar = "#" * math.ceil(BAR_COLUMNS * counts[name][i] / max(1, len(values)))
            cells.append(f"{counts[name][i]:>4} {bar:<{BAR_COLUMNS}}")
        top = "more" if BINS_MS[i] == math.inf else f"{BINS_MS[i]:,}"
        lines.append(f"{top:>11}  " + "  ".join(cells))
    return "\n".join(line.rstrip() for line in lines)
