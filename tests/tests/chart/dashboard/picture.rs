//! A picture of the dashboard, drawn from answers of a real Prometheus.

use std::fmt::Write;

use serde_json::Value;

/// Pixels of a column and a line of Grafana's grid.
const COLUMN: f64 = 50.0;
const LINE: f64 = 27.0;
/// Room for the words below the picture.
const FOOT: f64 = 30.0;
/// Legends that a graph has room for.
const LEGENDS: usize = 4;

const PAGE: &str = "#111217";
const PANEL: &str = "#181b1f";
const TEXT: &str = "#ccccdc";
const DIM: &str = "#8e8e9c";
const COLOURS: [&str; 8] = [
    "#73bf69", "#f2cc0c", "#8ab8ff", "#ff780a", "#f2495c", "#5794f2", "#b877d9", "#96d98d",
];

/// A series: its legend, and times with values.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) samples: Vec<(f64, f64)>,
}

/// A panel of the dashboard with the series that its queries returned.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) panel: Value,
    pub(crate) lines: Vec<Line>,
}

/// The place of a panel's content, in pixels.
#[derive(Debug, Clone, Copy)]
struct Place {
    x: f64,
    y: f64,
    width: f64,
    height: f64,
}

/// Draws the panels over this time, with these words below.
pub(crate) fn draw(panels: &[Answered], (from, to): (f64, f64), words: &str) -> String {
    let bottom = panels
        .iter()
        .map(|one| place(&one.panel))
        .map(|place| place.y + place.height);
    let height = bottom.fold(0.0, f64::max) + FOOT;
    let width = 24.0 * COLUMN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\">\n\
         <title>The dashboard of fluxkeep</title>\n<rect width=\"100%\" height=\"100%\" fill=\"{PAGE}\"/>\n\
         <g font-family=\"system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif\" font-size=\"11\" fill=\"{TEXT}\">\n"
    );
    for one in panels {
        svg += &panel(one, (from, to));
    }
    svg += &label(10.0, height - 11.0, DIM, words);
    svg + "</g>\n</svg>\n"
}

fn place(panel: &Value) -> Place {
    let at = |key: &str| panel["gridPos"][key].as_f64().unwrap();
    Place {
        x: at("x") * COLUMN,
        y: at("y") * LINE,
        width: at("w") * COLUMN,
        height: at("h") * LINE,
    }
}

fn panel(answered: &Answered, span: (f64, f64)) -> String {
    let whole = place(&answered.panel);
    let title = answered.panel["title"].as_str().unwrap();
    if answered.panel["type"] == "row" {
        return heading(whole, title);
    }
    let frame = Place {
        x: whole.x + 3.0,
        y: whole.y + 3.0,
        width: whole.width - 6.0,
        height: whole.height - 6.0,
    };
    let inner = Place {
        x: frame.x + 10.0,
        y: frame.y + 28.0,
        width: frame.width - 20.0,
        height: frame.height - 36.0,
    };
    let content = match answered.panel["type"].as_str().unwrap() {
        "stat" => number(answered, inner),
        "table" => table(&answered.lines, inner),
        "heatmap" => heatmap(&answered.lines, inner, span),
        _ => graph(answered, inner, span),
    };
    rectangle(frame, PANEL, 1.0) + &label(frame.x + 10.0, frame.y + 18.0, TEXT, title) + &content
}

fn heading(place: Place, title: &str) -> String {
    let (x, y) = (place.x + 10.0, place.y + 19.0);
    format!(
        "<text x=\"{x}\" y=\"{y}\" font-weight=\"bold\" font-size=\"13\">{}</text>\n",
        escaped(title)
    )
}

fn number(answered: &Answered, place: Place) -> String {
    let line = answered.lines.first().unwrap();
    let value = line.samples.last().unwrap().1;
    let defaults = &answered.panel["fieldConfig"]["defaults"];
    let is_word = answered.panel["options"]["textMode"] == "name";
    let text = if is_word {
        line.name.clone()
    } else {
        shown(value, defaults["unit"].as_str().unwrap())
    };
    let steps = defaults["thresholds"]["steps"].as_array().unwrap().iter();
    let mut reached = steps.filter(|step| step["value"].as_f64().is_none_or(|from| value >= from));
    let colour = match reached.next_back().unwrap()["color"].as_str().unwrap() {
        "red" => COLOURS[4],
        "orange" => COLOURS[3],
        _ => COLOURS[0],
    };
    let (x, y) = (place.x, place.y + place.height / 2.0 + 12.0);
    format!(
        "<text x=\"{x}\" y=\"{y}\" font-size=\"26\" fill=\"{colour}\">{}</text>\n",
        escaped(&text)
    )
}

fn table(lines: &[Line], place: Place) -> String {
    let mut svg = String::new();
    for (row, line) in (0_u16..8).zip(lines) {
        let y = place.y + 12.0 + f64::from(row) * 19.0;
        svg += &label(place.x, y, TEXT, &line.name);
        svg += &label(
            place.x + place.width - 24.0,
            y,
            TEXT,
            &shown(line.samples.last().unwrap().1, "none"),
        );
    }
    svg
}

fn graph(answered: &Answered, place: Place, span: (f64, f64)) -> String {
    let unit = answered.panel["fieldConfig"]["defaults"]["unit"]
        .as_str()
        .unwrap();
    let lines = &answered.lines;
    let values = || {
        lines
            .iter()
            .flat_map(|line| &line.samples)
            .map(|(_, value)| *value)
    };
    let top = values()
        .filter(|value| value.is_finite())
        .fold(f64::MIN_POSITIVE, f64::max);
    let field = Place {
        x: place.x + 44.0,
        width: place.width - 44.0,
        height: place.height - 34.0,
        ..place
    };
    let mut svg = String::new();
    for (part, value) in [(0.0, top), (0.5, top / 2.0), (1.0, 0.0)] {
        let y = field.y + part * field.height;
        svg += &rectangle(
            Place {
                y,
                height: 0.5,
                ..field
            },
            DIM,
            0.4,
        );
        svg += &label(place.x, y + 4.0, DIM, &shown(value, unit));
    }
    for (line, colour) in lines.iter().zip(COLOURS.iter().cycle()) {
        svg += &polyline(line, field, span, top, colour);
    }
    svg + &legends(lines, place)
}

/// A line, interrupted where samples are missing.
fn polyline(line: &Line, field: Place, (from, to): (f64, f64), top: f64, colour: &str) -> String {
    let mut parts: Vec<Vec<(f64, f64)>> = vec![Vec::new()];
    let step = smallest_step(&line.samples);
    let mut last = f64::MIN;
    for (time, value) in line.samples.iter().filter(|(_, value)| value.is_finite()) {
        if time - last > 1.5 * step {
            parts.push(Vec::new());
        }
        last = *time;
        let x = field.x + (time - from) / (to - from) * field.width;
        let y = field.y + field.height * (1.0 - value / top);
        parts.last_mut().unwrap().push((x, y));
    }
    let mut svg = String::new();
    for part in parts.iter().filter(|part| !part.is_empty()) {
        let points: Vec<_> = corners(part)
            .iter()
            .map(|(x, y)| format!("{x:.0},{y:.0}"))
            .collect();
        let points = points.join(" ");
        writeln!(svg, "<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\" stroke-linecap=\"round\"/>")
            .unwrap();
    }
    svg
}

/// The points without those inside of a level stretch.
fn corners(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let is_level = |a: (f64, f64), b: (f64, f64)| (a.1 - b.1).abs() < 0.5;
    let mut corners: Vec<(f64, f64)> = Vec::new();
    for point in points {
        if let [.., before, last] = corners.as_mut_slice()
            && is_level(*before, *last)
            && is_level(*last, *point)
        {
            *last = *point;
        } else {
            corners.push(*point);
        }
    }
    corners
}

fn smallest_step(samples: &[(f64, f64)]) -> f64 {
    let steps = samples.windows(2).map(|pair| pair[1].0 - pair[0].0);
    steps.fold(f64::INFINITY, f64::min)
}

fn legends(lines: &[Line], place: Place) -> String {
    // The series with the highest values are the ones that are seen.
    let highest = |line: &Line| {
        line.samples
            .iter()
            .map(|(_, value)| *value)
            .fold(0.0, f64::max)
    };
    let mut numbered: Vec<_> = lines.iter().zip(COLOURS.iter().cycle()).collect();
    numbered.sort_by(|a, b| highest(b.0).total_cmp(&highest(a.0)));
    let mut svg = String::new();
    for (at, (line, colour)) in (0_u16..).zip(numbered.into_iter().take(LEGENDS)) {
        let x = place.x + f64::from(at % 2) * place.width / 2.0;
        let y = place.y + place.height - 12.0 + f64::from(at / 2) * 14.0;
        svg += &rectangle(
            Place {
                x,
                y: y - 5.0,
                width: 10.0,
                height: 3.0,
            },
            colour,
            1.0,
        );
        svg += &label(x + 14.0, y, TEXT, &shortened(&line.name));
    }
    svg
}

/// Buckets as cells: the more reviews, the brighter.
fn heatmap(lines: &[Line], place: Place, (from, to): (f64, f64)) -> String {
    let mut buckets: Vec<_> = lines.iter().map(|line| (bound(&line.name), line)).collect();
    buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut below: Vec<(f64, f64)> = Vec::new();
    let (mut cells, mut svg) = (Vec::new(), String::new());
    let height = place.height / f64::from(u16::try_from(buckets.len()).unwrap());
    for (row, (bound, line)) in (1_u16..).zip(&buckets) {
        let y = place.y + place.height - f64::from(row) * height;
        if row % 2 == 0 {
            svg += &label(place.x, y + height / 2.0 + 4.0, DIM, &shown(*bound, "s"));
        }
        for (time, value) in &line.samples {
            let under = below
                .iter()
                .find(|(at, _)| (at - time).abs() < 0.5)
                .map_or(0.0, |(_, value)| *value);
            cells.push((*time, y, value - under));
        }
        below.clone_from(&line.samples);
    }
    let most = cells
        .iter()
        .map(|(_, _, count)| *count)
        .fold(f64::MIN_POSITIVE, f64::max);
    let (left, width) = (place.x + 44.0, place.width - 44.0);
    let step = smallest_step(&lines[0].samples) / (to - from) * width;
    let shade = |count: f64| (count / most).sqrt();
    let mut joined: Vec<(Place, f64)> = Vec::new();
    for (time, y, count) in cells.into_iter().filter(|(_, _, count)| *count > 0.0) {
        let x = left + (time - from) / (to - from) * width;
        let cell = Place {
            x,
            y,
            width: step,
            height: height - 1.0,
        };
        // Neighbours that look alike are one.
        match joined.last_mut() {
            Some((last, shaded))
                if (last.y - y).abs() < 0.1
                    && (last.x + last.width - x).abs() < 0.1
                    && (*shaded - shade(count)).abs() < 0.1 =>
            {
                last.width += step;
            }
            _ => joined.push((cell, shade(count))),
        }
    }
    for (cell, shaded) in joined {
        svg += &rectangle(cell, COLOURS[3], shaded);
    }
    svg
}

fn bound(le: &str) -> f64 {
    if le == "+Inf" {
        f64::INFINITY
    } else {
        le.parse().unwrap()
    }
}

fn shown(value: f64, unit: &str) -> String {
    match unit {
        "s" if value.is_infinite() => "more".to_owned(),
        "s" if value >= 1_000.0 * 86_400.0 => format!("{:.0} y", value / 365.0 / 86_400.0),
        "s" if value >= 2.0 * 86_400.0 => format!("{:.0} days", value / 86_400.0),
        "s" if value >= 1.0 => format!("{value:.0} s"),
        "s" if value >= 0.001 => format!("{:.1} ms", value * 1e3),
        "s" if value > 0.0001 => format!("{:.0} µs", value * 1e6),
        "reqps" => format!("{value:.1}/s"),
        _ if value.fract().abs() < 0.005 => format!("{value:.0}"),
        _ => format!("{value:.1}"),
    }
}

fn shortened(name: &str) -> String {
    let short: String = name.chars().take(27).collect();
    if short.len() < name.len() {
        short + "…"
    } else {
        short
    }
}

fn label(x: f64, y: f64, colour: &str, text: &str) -> String {
    format!(
        "<text x=\"{x:.1}\" y=\"{y:.1}\" fill=\"{colour}\">{}</text>\n",
        escaped(text)
    )
}

fn rectangle(place: Place, colour: &str, opacity: f64) -> String {
    let Place {
        x,
        y,
        width,
        height,
    } = place;
    format!(
        "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{colour}\" opacity=\"{opacity:.2}\"/>\n"
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
