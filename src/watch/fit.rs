//! Text in the width there is: nothing that is said ends at the edge of the terminal.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

/// Between pieces on a line.
const GAP: &str = "  ";

/// What belongs together on a line.
pub type Piece<'a> = Vec<Span<'a>>;

fn length(text: &str) -> usize {
    text.chars().count()
}

/// Pieces side by side, on as many lines as they need; one that is longer than a line is broken.
pub fn packed<'a>(pieces: impl IntoIterator<Item = Piece<'a>>, width: usize) -> Vec<Line<'a>> {
    let mut lines: Vec<Line> = Vec::new();
    for piece in pieces {
        let long = piece.iter().map(|span| length(&span.content)).sum::<usize>();
        match lines.last_mut() {
            Some(line) if line.width() + GAP.len() + long <= width => {
                line.push_span(Span::from(GAP));
                line.extend(piece);
            }
            _ if long <= width => lines.push(Line::from(piece)),
            _ => {
                let style = piece.first().map_or(Style::default(), |span| span.style);
                let text: String = piece.iter().map(|span| span.content.as_ref()).collect();
                lines.extend(wrapped(&text, width).into_iter().map(|part| Line::styled(part, style)));
            }
        }
    }
    lines
}

/// A sentence on as many lines as it needs, broken between words; a word that is longer than a line is broken, too.
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let mut rest = word;
        loop {
            let at = lines.len() - 1;
            let space = usize::from(!lines[at].is_empty());
            if length(&lines[at]) + space + length(rest) <= width {
                lines[at] += if space == 1 { " " } else { "" };
                lines[at] += rest;
                break;
            }
            if space == 1 {
                lines.push(String::new());
                continue;
            }
            let end = rest.char_indices().nth(width).map_or(rest.len(), |(i, _)| i);
            lines[at] += &rest[..end];
            rest = &rest[end..];
            lines.push(String::new());
        }
    }
    lines
}

/// The first `rows` of some lines; … says that there was more.
pub fn cut(mut lines: Vec<String>, rows: usize, width: usize) -> Vec<String> {
    if lines.len() > rows {
        lines.truncate(rows);
        if let Some(last) = lines.last_mut() {
            *last = last.chars().take(width.saturating_sub(2)).collect::<String>() + " …";
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_are_broken_between_words_and_long_words_within() {
        assert_eq!(wrapped("one two three", 8), ["one two", "three"]);
        assert_eq!(wrapped("a runs/long/path b", 6), ["a", "runs/l", "ong/pa", "th b"]);
        assert_eq!(wrapped("", 5), [""]);
        assert_eq!(wrapped("ab", 0), ["a", "b"]);
        assert_eq!(cut(wrapped("one two three", 8), 1, 8), ["one tw …"]);
        assert_eq!(cut(wrapped("one two", 8), 1, 8), ["one two"]);
    }

    #[test]
    fn pieces_stay_whole_where_they_can() {
        let text = |pieces: &[&'static str], width| -> Vec<String> {
            packed(pieces.iter().map(|p| vec![Span::from(*p)]), width).iter().map(Line::to_string).collect()
        };
        assert_eq!(text(&["ab", "cd", "efgh"], 6), ["ab  cd", "efgh"]);
        assert_eq!(text(&["ab", "a longer piece"], 8), ["ab", "a longer", "piece"]);
    }
}
