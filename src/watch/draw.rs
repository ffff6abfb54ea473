//! A run on a terminal: curves, bars, and what comes next.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis, Block, Chart, Dataset, GraphType, Paragraph, Widget};

use super::fit::{Piece, cut, packed, wrapped};
use super::{EpochPoint, Run, State};
use crate::config::BestOn;
use crate::plural::counted;

/// Below this there is room for words only.
const SMALLEST_PICTURE: (u16, u16) = (50, 16);
/// Most layers whose bars are drawn.
const MOST_BARS: usize = 10;
/// Lines of messages.
const MESSAGES: u16 = 4;
/// Lines of curves, at least.
const CURVES: u16 = 6;

/// Name, colour, and points of epoch and value.
type Curve<'a> = (&'a str, Color, Vec<(f64, f64)>);

/// A run to be drawn.
pub struct View<'a> {
    /// What is drawn.
    pub run: &'a Run,
    /// The last line, e.g. which keys there are.
    pub footer: &'a str,
}

impl Widget for &View<'_> {
    fn render(self, area: Rect, buf: &mut Buffer) {
        if area.width < SMALLEST_PICTURE.0 || area.height < SMALLEST_PICTURE.1 {
            return Paragraph::new(self.words()).render(area, buf);
        }
        let width = area.width as usize;
        let head = self.head(width);
        // Titles and the footer are a line each.
        let others = head.len() as u16 + CURVES + 1 + MESSAGES + 1 + 1;
        let bars = self.bars(width, MOST_BARS.min(area.height.saturating_sub(others).max(1) as usize));
        let heights = [
            Constraint::Length(head.len() as u16),
            Constraint::Min(CURVES),
            Constraint::Length(bars.len() as u16 + 1),
            Constraint::Length(MESSAGES + 1),
            Constraint::Length(1),
        ];
        let [top, curves, rates, messages, footer] = area.layout(&Layout::vertical(heights));
        Paragraph::new(head).render(top, buf);
        let [left, right] = curves.layout(&Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]));
        self.curve("loss", &[("train", Color::Cyan, self.points(|p| p.loss, |l| Some(l.loss)))], left, buf);
        let accuracies = [
            ("train", Color::Cyan, self.points(|p| p.train_accuracy, |l| Some(l.accuracy))),
            ("validation", Color::Magenta, self.points(|p| p.validation_accuracy, |_| None)),
            ("test", Color::Yellow, self.points(|p| p.test_accuracy, |_| None)),
        ];
        self.curve("accuracy", &accuracies, right, buf);
        Paragraph::new(bars).block(Block::new().title("firing rates".bold())).render(rates, buf);
        let lines = Paragraph::new(self.messages(MESSAGES as usize, width)).block(Block::new().title("messages".bold()));
        lines.render(messages, buf);
        Line::from(self.footer).dim().render(footer, buf);
    }
}

impl View<'_> {
    /// What is trained, and where it stands.
    fn head(&self, width: usize) -> Vec<Line<'_>> {
        let c = &self.run.config;
        let what = [
            format!("{} {} {}", c.dataset, c.net, c.rule.name()),
            format!("T {}", c.time_steps),
            format!("batch {}", c.batch),
            format!("seed {}", c.seed),
        ];
        let mut lines = packed(what.map(|text| vec![Span::from(text).bold()]), width);
        lines.extend(packed(self.state(), width));
        lines.extend(packed(self.progress(), width));
        lines
    }

    fn state(&self) -> Vec<Piece<'_>> {
        let folder = self.run.folder.display();
        let one = |text: Span<'static>| vec![vec![text]];
        match self.run.state() {
            State::Finished => one(Span::from("finished").green().bold()),
            State::Training => one(Span::from("training").green()),
            State::Evaluating => one(Span::from(format!("the epoch's steps are done {} ago; evaluating", seconds(self.run.age))).green()),
            State::Quiet => one(Span::from(format!("no news for {}: a long step, or it was killed", seconds(self.run.age))).yellow()),
            State::Still => {
                let go_on = format!("go on with: spiketrain train --resume {folder}");
                vec![vec![Span::from("no session is training;").yellow()], vec![Span::from(go_on).yellow()]]
            }
        }
    }

    fn progress(&self) -> Vec<Piece<'_>> {
        let one = |text: String| vec![Span::from(text)];
        if let Some(r) = &self.run.result {
            let mut all = vec![one(format!("test accuracy after the last epoch {}", percent(r.last_test_accuracy)))];
            // Where nothing was selected there is no best epoch.
            if r.selected_by != BestOn::Last {
                let by = r.selected_by.name();
                all.push(one(format!("best epoch by {by} {} {}", r.selected_epoch, percent(r.selected_test_accuracy))));
            }
            all.push(one(format!("{} in all", seconds(r.train_seconds))));
            return all;
        }
        let Some(l) = &self.run.live else {
            return vec![one(format!("{} of {} done", self.run.metrics.epochs.len(), counted(self.run.config.epochs, "epoch")))];
        };
        const CELLS: u64 = 12;
        let full = (l.step * CELLS / l.steps.max(1)).min(CELLS) as usize;
        let left = self.run.seconds_left().map_or("? left".to_string(), |s| format!("about {} left", seconds(s)));
        let bar = vec![
            Span::from(format!("epoch {}/{}{} ", l.epoch, l.epochs, self.at_steps(l.epoch))),
            Span::from("█".repeat(full)).cyan(),
            Span::from("░".repeat(CELLS as usize - full)).dim(),
            Span::from(format!(" step {}/{}", l.step, l.steps)),
        ];
        let rest =
            [left, format!("{:.0} samples/s", l.samples_per_s), format!("loss {:.4}", l.loss), format!("acc {}", percent(l.accuracy))];
        std::iter::once(bar).chain(rest.map(one)).collect()
    }

    /// T of an epoch, if it is not always the same.
    fn at_steps(&self, epoch: u64) -> String {
        let steps = &self.run.config.time_steps;
        steps.epochs().map_or(String::new(), |_| format!(" at T {}", steps.at(epoch.saturating_sub(1) as usize)))
    }

    /// The same in a few short lines.
    fn words(&self) -> Vec<Line<'_>> {
        let mut lines: Vec<Line> = self.state().into_iter().map(Line::from).collect();
        if let Some(r) = &self.run.result {
            lines.push(Line::from(format!("test {}", percent(r.last_test_accuracy))));
        } else if let Some(l) = &self.run.live {
            lines.push(Line::from(format!("{}/{} {}/{}", l.epoch, l.epochs, l.step, l.steps)));
            lines.push(Line::from(format!("{:.3} {}", l.loss, percent(l.accuracy))));
            lines.push(Line::from(self.run.seconds_left().map_or(String::new(), |s| format!("{} left", seconds(s)))));
        }
        lines.extend(self.run.metrics.epochs.last().map(|p| Line::from(epoch_words(p, self.run.config.epochs))));
        lines
    }

    /// (epoch, value) where it is finite, the epoch under way at its end so far.
    fn points(&self, of: impl Fn(&EpochPoint) -> Option<f64>, live: impl Fn(&crate::train::live::Live) -> Option<f64>) -> Vec<(f64, f64)> {
        let done = self.run.metrics.epochs.iter().filter_map(|p| Some((p.epoch as f64, of(p)?)));
        let last = self.run.metrics.epochs.last().map_or(0, |p| p.epoch);
        // Evaluated and written down, an epoch need not be shown twice.
        let under_way = self.run.live.iter().filter(|l| l.epoch > last && self.run.result.is_none());
        let now = under_way.filter_map(|l| Some((l.epoch as f64 - 1.0 + l.step as f64 / l.steps.max(1) as f64, live(l)?)));
        done.chain(now).filter(|(x, y)| x.is_finite() && y.is_finite()).collect()
    }

    fn curve(&self, title: &str, curves: &[Curve], area: Rect, buf: &mut Buffer) {
        let points = || curves.iter().flat_map(|(_, _, points)| points.iter().copied());
        let block = Block::bordered();
        let Some(last) = points().map(|(x, _)| x).reduce(f64::max) else {
            return Paragraph::new("nothing yet").dim().block(block.title(title)).render(area, buf);
        };
        let first = points().map(|(x, _)| x).fold(1.0, f64::min);
        let (low, high) = points().fold((f64::MAX, f64::MIN), |(low, high), (_, y)| (low.min(y), high.max(y)));
        // A curve of one value lies in the middle.
        let room = ((high - low) * 0.05).max(1e-6 + high.abs() * 1e-3);
        let named = curves.iter().filter(|(_, _, points)| !points.is_empty());
        let (datasets, latest): (Vec<Dataset>, Vec<(&str, Style, f64)>) = named
            .map(|(name, color, points)| {
                let kind = if points.len() > 1 { GraphType::Line } else { GraphType::Scatter };
                let style = Style::new().fg(*color);
                let dataset = Dataset::default().marker(Marker::Braille).graph_type(kind).style(style).data(points);
                (dataset, (*name, style, points[points.len() - 1].1))
            })
            .unzip();
        // Within the corners of the frame.
        let names = names(title, &latest, area.width.saturating_sub(2) as usize);
        let label = |v: f64| if title == "accuracy" { percent(v) } else { number(v) };
        let x = Axis::default().bounds([first, last.max(first + 1.0)]).labels([number(first), format!("epoch {}", number(last))]);
        let y = Axis::default().bounds([low - room, high + room]).labels([label(low), label(high)]);
        let chart = Chart::new(datasets).block(block.title(names)).x_axis(x).y_axis(y).legend_position(None);
        chart.render(area, buf);
    }

    /// A bar for each layer, at most so many lines.
    fn bars(&self, width: usize, most: usize) -> Vec<Line<'_>> {
        let rates = self.run.rates();
        let name = |i: usize| self.run.layers.get(i).map_or("?", String::as_str);
        let cells = width.saturating_sub(24);
        let bar = |(i, rate): (usize, &f64)| {
            let full = ((rate * cells as f64).round() as usize).min(cells);
            Line::from(vec![
                Span::from(format!("{:>12} {:>8} ", name(i), percent(*rate))),
                Span::from("█".repeat(full)).cyan(),
                Span::from("░".repeat(cells - full)).dim(),
            ])
        };
        // The line that counts the others takes the place of a bar.
        let shown = if rates.len() > most { most - 1 } else { most };
        let mut bars: Vec<Line> = rates.iter().enumerate().take(shown).map(bar).collect();
        if rates.is_empty() {
            bars.push(Line::from("nothing yet").dim());
        }
        if rates.len() > shown {
            bars.push(Line::from(format!("and {} more", counted(rates.len() - shown, "layer"))).dim());
        }
        bars
    }

    /// Warnings first, then the last epochs, at most so many lines; of the newest epoch all is said.
    fn messages(&self, most: usize, width: usize) -> Vec<Line<'_>> {
        let mut warnings: Vec<(String, Style)> =
            self.run.warnings().into_iter().map(|w| (format!("warning: {w}"), Style::new().fg(Color::Yellow))).collect();
        let unknown = &self.run.metrics.unknown;
        if !unknown.is_empty() {
            let kinds = unknown.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            warnings.push((format!("lines of a kind this version does not know were skipped: {kinds}"), Style::default()));
        }
        let epochs = self.run.metrics.epochs.iter().rev().map(|p| {
            let words = epoch_words(p, self.run.config.epochs);
            packed(words.split("  ").map(|piece| vec![Span::from(piece.to_string())]), width)
        });
        let mut epochs = epochs.take(most).peekable();
        let room = most.saturating_sub(epochs.peek().map_or(0, Vec::len));
        // Where not all of it fits, each gets its share.
        let wanted: Vec<Vec<String>> = warnings.iter().map(|(text, _)| wrapped(text, width)).collect();
        let all: usize = wanted.iter().map(Vec::len).sum();
        let share = if all <= room { room } else { (room / wanted.len().max(1)).max(1) };
        let mut lines: Vec<Line> = Vec::new();
        for (text, (_, style)) in wanted.into_iter().zip(&warnings) {
            lines.extend(cut(text, share, width).into_iter().map(|line| Line::styled(line, *style)));
        }
        lines.truncate(room);
        let mut last: Vec<Vec<Line>> = Vec::new();
        for epoch in epochs {
            if lines.len() + last.iter().map(Vec::len).sum::<usize>() + epoch.len() > most {
                break;
            }
            last.push(epoch);
        }
        lines.extend(last.into_iter().rev().flatten());
        lines
    }
}

/// What the curves are called and where they stand, in the longest form that fits.
fn names<'a>(title: &'a str, latest: &[(&'a str, Style, f64)], width: usize) -> Line<'a> {
    let short = |name: &'a str| if name == "validation" { "val" } else { name };
    let value = |v: f64| if title == "accuracy" { percent(v) } else { number(v) };
    let title = || Span::from(title).bold();
    let long = || latest.iter().map(|(name, style, v)| Span::styled(format!(" {name} {} ", value(*v)), *style));
    let dense = || latest.iter().map(|(name, style, v)| Span::styled(format!(" {} {}", short(name), value(*v).replace(" %", "%")), *style));
    let forms =
        [std::iter::once(title()).chain(long()).collect::<Line>(), std::iter::once(title()).chain(dense()).collect(), dense().collect()];
    let [.., shortest] = forms.clone();
    forms.into_iter().find(|line| line.width() <= width).unwrap_or(shortest)
}

fn epoch_words(p: &EpochPoint, of: usize) -> String {
    let share = |name: &str, v: Option<f64>| v.map_or(String::new(), |v| format!("  {name} {}", percent(v)));
    let phase = if matches!(p.warm_up.as_str(), "" | "none") { String::new() } else { format!("  ({} warm-up)", p.warm_up) };
    format!(
        "epoch {}/{of}  loss {}{}{}{}{}{phase}",
        p.epoch,
        p.loss.map_or("not finite".to_string(), number),
        share("train", p.train_accuracy),
        share("validation", p.validation_accuracy),
        share("test", p.test_accuracy),
        p.seconds.map_or(String::new(), |s| format!("  {}", seconds(s))),
    )
}

fn percent(v: f64) -> String {
    format!("{:.2} %", 100.0 * v)
}

/// Short, with three digits that say something.
fn number(v: f64) -> String {
    if v == 0.0 || (v.fract() == 0.0 && v.abs() < 1e6) {
        return format!("{v:.0}");
    }
    match v.abs() {
        x if (1e-3..1.0).contains(&x) => format!("{v:.4}"),
        x if (1.0..1e6).contains(&x) => format!("{v:.2}"),
        _ => format!("{v:.2e}"),
    }
}

/// As people say it.
fn seconds(s: f64) -> String {
    let whole = s.max(0.0).round() as u64;
    match whole {
        0..60 => format!("{whole} s"),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole / 60 % 60),
    }
}

/// One frame as lines of text, without colours.
pub fn to_text(view: &View, width: u16, height: u16) -> String {
    let area = Rect::new(0, 0, width, height);
    let mut buf = Buffer::empty(area);
    view.render(area, &mut buf);
    let rows = buf.content().chunks(width as usize).map(|row| row.iter().map(|cell| cell.symbol()).collect::<String>());
    rows.map(|row| format!("{}\n", row.trim_end())).collect::<String>().trim_end().to_string()
}
