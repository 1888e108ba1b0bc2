"""The picture for the README: pages per second as bars, in light and dark, without a script."""

from collections.abc import Mapping
from html import escape

from benchmarks.contestants import CONTESTANTS, GATHER
from benchmarks.experiments import Rounds
from benchmarks.figures import Figure, ratio, shorten

LEFT, BAR, ROW, TOP = 310, 380, 26, 64
WIDTH = LEFT + BAR + 90

STYLE = """
.ground { fill: #ffffff }
text { font: 14px system-ui, sans-serif; fill: #1f2328 }
.title { font-weight: 600; font-size: 16px }
.note { font-size: 12px; fill: #59636e }
.name { text-anchor: end }
.own { font-weight: 600 }
.ours { fill: #0969da }
.peer { fill: #818b98 }
.spread { stroke: #1f2328; stroke-width: 1.5 }
@media (prefers-color-scheme: dark) {
  .ground { fill: #0d1117 }
  text { fill: #f0f6fc }
  .note { fill: #9198a1 }
  .ours { fill: #4493f8 }
  .peer { fill: #656c76 }
  .spread { stroke: #f0f6fc }
}
"""


def draw(throughput: Rounds, services: int, machine: Mapping[str, object]) -> str:
    """An SVG in which `gather` is 1, and everybody else a share or a multiple of it; equal work first."""
    base = throughput[GATHER.name]["pages_per_second"]
    figures = {name: ratio(found["pages_per_second"], base) for name, found in throughput.items()}
    reusing = {c.name for c in CONTESTANTS if c.ours and not c.answers}
    order = sorted(figures, key=lambda name: (name in reusing, -figures[name].median))
    scale = BAR / max(figure.high for figure in figures.values())
    ours = {contestant.name for contestant in CONTESTANTS if contestant.ours}
    rows, y = [], TOP
    for title, reuses in (("Each page makes its own calls", False), ("Pages share calls", True)):
        rows.append(f'<text class="own" x="16" y="{y + 18}">{title}</text>\n')
        for name in (name for name in order if (name in reusing) == reuses):
            y += ROW
            rows.append(_draw_row(y, name, figures[name], scale, name in ours))
        y += ROW
    described = "; ".join(f"{name} {shorten(figures[name].median)}" for name in order)
    height = y + 34
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img" aria-labelledby="title description">
<title id="title">Pages per second, beside what people would pick instead</title>
<desc id="description">As multiples of the generated homepage in the style gather: {escape(described)}.</desc>
<style>{STYLE}</style>
<rect class="ground" width="{WIDTH}" height="{height}" rx="6"/>
<text class="title" x="16" y="26">Pages per second; gather is 1</text>
<text class="note" x="16" y="46">{services} services that answer at once, 32 pages in flight, one core. Longer is better. Blue and bold: the generated project.</text>
{"".join(rows)}<text class="note" x="16" y="{height - 12}">{escape(str(machine["cpu"]))}, {escape(str(machine["system"]))}. Lines: lowest and highest of the rounds.</text>
</svg>
"""


def _draw_row(y: int, name: str, figure: Figure, scale: float, ours: bool) -> str:
    width, low, high = (scale * value for value in (figure.median, figure.low, figure.high))
    middle = y + ROW // 2
    return f"""<text class="name{" own" if ours else ""}" x="{LEFT - 10}" y="{middle + 5}">{escape(name)}</text>
<rect class="{"ours" if ours else "peer"}" x="{LEFT}" y="{y + 4}" width="{max(width, 1):.1f}" height="{ROW - 8}" rx="2"/>
<line class="spread" x1="{LEFT + low:.1f}" x2="{LEFT + high:.1f}" y1="{middle}" y2="{middle}"/>
<text x="{LEFT + max(width, high) + 8:.1f}" y="{middle + 5}">{shorten(figure.median)}</text>
"""
