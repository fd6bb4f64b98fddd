//! Latency against throughput as a picture: SVG, both axes logarithmic.
use super::{Measure, Point, Report};
use std::{collections::BTreeMap, fmt::Write as _};

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 460.0;
/// Of the axes, from the edges.
const LEFT: f64 = 70.0;
const RIGHT: f64 = 30.0;
const TOP: f64 = 50.0;
const BOTTOM: f64 = 60.0;
const COLOURS: [&str; 6] = ["#1f6feb", "#d1542c", "#2da44e", "#8250df", "#bf8700", "#57606a"];

impl Report {
    /// Latency against throughput; nothing if no curve was measured.
    #[must_use]
    pub fn picture(&self) -> Option<String> {
        let curve = &self.entries.get(&Measure::P3)?.curve;
        draw(curve)
    }
}

/// A logarithmic axis over whole decades.
struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Axis {
    fn over(values: impl Iterator<Item = f64> + Clone, from: f64, to: f64) -> Option<Self> {
        let values = values.filter(|it| *it > 0.0);
        let low = values.clone().reduce(f64::min)?.log10().floor();
        let high = values.reduce(f64::max)?.log10().ceil().max(low + 1.0);
        Some(Self { low, high, from, to })
    }

    fn at(&self, value: f64) -> f64 {
        let share = (value.log10() - self.low) / (self.high - self.low);
        self.from + share * (self.to - self.from)
    }

    /// The decades.
    fn ticks(&self) -> impl Iterator<Item = f64> {
        #[expect(clippy::cast_possible_truncation, reason = "a handful of decades")]
        let (low, high) = (self.low as i32, self.high as i32);
        (low..=high).map(|it| 10f64.powi(it))
    }
}

fn draw(curve: &[Point]) -> Option<String> {
    let throughput = Axis::over(curve.iter().map(|it| it.per_second), LEFT, WIDTH - RIGHT)?;
    let latencies = curve.iter().flat_map(|it| [it.p50_ms, it.p99_ms]);
    let latency = Axis::over(latencies, HEIGHT - BOTTOM, TOP)?;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"13\">\n\
        <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n\
        <text x=\"{LEFT}\" y=\"26\" font-size=\"16\">Latency of a mutation over HTTP against throughput, open loop</text>\n"
    );
    grid(&mut svg, &throughput, &latency);
    let mut lines: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
    for it in curve {
        for (quantile, millis) in [("p50", it.p50_ms), ("p99", it.p99_ms)] {
            let line = lines.entry(format!("{} {quantile}", it.line)).or_default();
            line.push((throughput.at(it.per_second), latency.at(millis)));
        }
    }
    for (n, (name, points)) in lines.iter().enumerate() {
        let colour = COLOURS[n % COLOURS.len()];
        let path: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let path = path.join(" ");
        let _ = writeln!(
            svg,
            "<polyline points=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>"
        );
        for (x, y) in points {
            let _ =
                writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>");
        }
        let y = f64::from(u8::try_from(n).unwrap_or(u8::MAX)) * 18.0 + TOP + 14.0;
        let _ =
            writeln!(svg, "<text x=\"{}\" y=\"{y}\" fill=\"{colour}\">{name}</text>", LEFT + 12.0);
    }
    svg.push_str("</svg>\n");
    Some(svg)
}

fn grid(svg: &mut String, throughput: &Axis, latency: &Axis) {
    let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    for value in throughput.ticks() {
        let x = throughput.at(value);
        let _ = writeln!(
            svg,
            "<line x1=\"{x:.1}\" y1=\"{TOP}\" x2=\"{x:.1}\" y2=\"{bottom}\" stroke=\"#d0d7de\"/>"
        );
        let _ = writeln!(
            svg,
            "<text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{value}</text>",
            bottom + 20.0
        );
    }
    for value in latency.ticks() {
        let y = latency.at(value);
        let _ = writeln!(
            svg,
            "<line x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{right}\" y2=\"{y:.1}\" stroke=\"#d0d7de\"/>"
        );
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{value} ms</text>",
            LEFT - 8.0,
            y + 4.0
        );
    }
    let _ = writeln!(
        svg,
        "<text x=\"{right}\" y=\"{}\" text-anchor=\"end\">mutations a second</text>",
        bottom + 42.0
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(per_second: f64, p50_ms: f64) -> Point {
        Point { line: "mutation", per_second, p50_ms, p99_ms: p50_ms * 4.0 }
    }

    #[test]
    fn axes_are_logarithmic_over_whole_decades() {
        let axis = Axis::over([50.0, 2000.0].into_iter(), 0.0, 300.0).unwrap();
        assert_eq!(axis.ticks().collect::<Vec<_>>(), [10.0, 100.0, 1000.0, 10_000.0]);
        assert!((axis.at(100.0) - 100.0).abs() < 1e-9);
        // One value makes an axis as well.
        assert!(Axis::over([100.0].into_iter(), 0.0, 1.0).unwrap().at(100.0).abs() < 1e-9);
    }

    #[test]
    fn every_point_is_drawn_within_the_axes() {
        let svg = draw(&[point(100.0, 2.0), point(1000.0, 30.0)]).unwrap();
        assert_eq!((svg.matches("<polyline").count(), svg.matches("<circle").count()), (2, 4));
        let coordinate = |it: &str| -> f64 { it.split('"').next().unwrap().parse().unwrap() };
        for x in svg.split("cx=\"").skip(1).map(coordinate) {
            assert!((LEFT..=WIDTH - RIGHT).contains(&x), "{x}");
        }
        for y in svg.split("cy=\"").skip(1).map(coordinate) {
            assert!((TOP..=HEIGHT - BOTTOM).contains(&y), "{y}");
        }
    }

    #[test]
    fn without_points_there_is_no_picture() {
        assert_eq!(draw(&[]), None);
    }
}
