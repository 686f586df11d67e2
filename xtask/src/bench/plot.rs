//! Plots as SVG: bars with the spread of the rounds, in colors that are readable on white and on black.

use super::table::Spread;
use std::fmt::Write;

/// A group of bars. All panels of a plot have the same scale.
pub(crate) struct Panel {
    pub(crate) title: String,
    pub(crate) bars: Vec<Bar>,
}

/// One figure.
pub(crate) struct Bar {
    pub(crate) label: String,
    pub(crate) spread: Spread,
    pub(crate) digits: usize,
    /// Whether the bar has the color of this project.
    pub(crate) ours: bool,
}

const WIDTH: f64 = 760.0;
/// The left end of the bars.
const LEFT: f64 = 200.0;
/// The length of the longest bar.
const LONGEST: f64 = 400.0;
const LINE: f64 = 24.0;
const TEXT: &str = "#7d8590";
const OTHERS: &str = "#8c959f";
const OURS: &str = "#2f81f7";
const WHISKER: &str = "#d29922";

/// Draws panels below each other.
pub(crate) fn draw(title: &str, panels: &[Panel]) -> String {
    let most = panels.iter().flat_map(|panel| &panel.bars).map(|bar| bar.spread.high).fold(0.0, f64::max);
    let scale = if most > 0.0 { LONGEST / most } else { 0.0 };
    let mut drawn = String::new();
    let mut y = 48.0;
    for panel in panels {
        let _ =
            writeln!(drawn, "<text x=\"8\" y=\"{y}\" font-weight=\"600\">{}</text>", escaped(&panel.title));
        y += LINE;
        for bar in &panel.bars {
            draw_bar(&mut drawn, bar, y, scale);
            y += LINE;
        }
        y += LINE / 2.0;
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {y}\" width=\"{WIDTH}\" height=\"{y}\" \
         role=\"img\" font-family=\"system-ui, sans-serif\" font-size=\"13\" fill=\"{TEXT}\">\n\
         <title>{title}</title>\n<text x=\"8\" y=\"20\" font-size=\"15\" font-weight=\"600\">{title}</text>\n{drawn}</svg>\n",
        title = escaped(title)
    )
}

fn draw_bar(drawn: &mut String, bar: &Bar, y: f64, scale: f64) {
    let Spread { median, low, high } = bar.spread;
    let (length, from, to) =
        (median.max(0.0) * scale, LEFT + low.max(0.0) * scale, LEFT + high.max(0.0) * scale);
    let (top, middle, color) = (y - 13.0, y - 5.0, if bar.ours { OURS } else { OTHERS });
    let (label, digits) = (escaped(&bar.label), bar.digits);
    let end = LEFT - 10.0;
    let _ = writeln!(drawn, "<text x=\"{end}\" y=\"{y}\" text-anchor=\"end\">{label}</text>");
    let _ = writeln!(
        drawn,
        "<rect x=\"{LEFT}\" y=\"{top:.1}\" width=\"{length:.1}\" height=\"16\" rx=\"2\" fill=\"{color}\"/>"
    );
    if high > low {
        let _ = writeln!(
            drawn,
            "<path d=\"M{from:.1} {middle:.1}H{to:.1}M{from:.1} {top:.1}v16M{to:.1} {top:.1}v16\" \
             stroke=\"{WHISKER}\" stroke-width=\"1.5\" fill=\"none\"/>"
        );
    }
    let after = to.max(LEFT + length) + 8.0;
    let _ = writeln!(drawn, "<text x=\"{after:.1}\" y=\"{y}\">{median:.digits$}</text>");
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_bars_to_the_longest_spread() {
        let bar = |label: &str, median, low, high, ours| Bar {
            label: label.to_owned(),
            spread: Spread { median, low, high },
            digits: 1,
            ours,
        };
        let bars = vec![bar("a<b", 5.0, 4.0, 10.0, false), bar("Scopegate", 2.5, 2.5, 2.5, true)];
        let drawn = draw("title", &[Panel { title: "panel".to_owned(), bars }]);
        for part in [
            "width=\"200.0\" height=\"16\" rx=\"2\" fill=\"#8c959f\"",
            "width=\"100.0\" height=\"16\" rx=\"2\" fill=\"#2f81f7\"",
            "M360.0 67.0H600.0",
            ">a&lt;b</text>",
            ">5.0</text>",
        ] {
            assert!(drawn.contains(part), "{part} is not in\n{drawn}");
        }
        assert_eq!(drawn.matches("<path").count(), 1, "a bar without spread has no whisker");
    }
}
