//! Text for a terminal: nothing in it is obeyed, and tables fit the width that is there.

use std::borrow::Cow;

use console::measure_text_width;

/// A column is not made narrower than this; a terminal that is too narrow even so wraps lines itself.
const NARROWEST: usize = 12;

/// Whether a terminal, or an eye, would be led astray: control characters, and those that turn the direction of
/// the text around them.
fn astray(character: char) -> bool {
    character.is_control() || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// One line of text in which a terminal finds nothing to obey, a line break neither.
pub(crate) fn line(text: &str) -> Cow<'_, str> {
    escape(text, |_| false)
}

/// The same for text of several lines.
pub(crate) fn lines(text: &str) -> Cow<'_, str> {
    escape(text, |character| matches!(character, '\n' | '\t'))
}

/// The same for JSON, in which such characters can only stand inside strings.
pub(crate) fn json(text: &str) -> Cow<'_, str> {
    if !text.contains(astray) {
        return text.into();
    }
    let escape = |character: char| match astray(character) {
        true => format!("\\u{:04x}", u32::from(character)),
        false => character.to_string(),
    };
    text.chars().map(escape).collect()
}

fn escape(text: &str, keep: fn(char) -> bool) -> Cow<'_, str> {
    let replaced = |character| astray(character) && !keep(character);
    if !text.contains(replaced) {
        return text.into();
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match replaced(character) {
            true => escaped.extend(character.escape_default()),
            false => escaped.push(character),
        }
    }
    escaped.into()
}

/// The beginning of a line, marked as cut if it is wider than `width`.
pub(crate) fn cut(text: &str, width: Option<usize>) -> Cow<'_, str> {
    match width {
        Some(width) => console::truncate_str(text, width, "…"),
        None => text.into(),
    }
}

/// The lines of a table, heads first, without an end of line. If it is wider than `width`, the widest columns
/// are wrapped, between words as long as that will do; a column with numbers is aligned to the right.
pub(crate) fn table(heads: &[&str], rows: &[Vec<String>], width: Option<usize>) -> Vec<String> {
    let heads = heads.iter().map(|&head| head.to_owned()).collect();
    let rows: Vec<Vec<String>> = std::iter::once(&heads)
        .chain(rows)
        .map(|row| row.iter().map(|cell| line(cell).into_owned()).collect())
        .collect();
    let column = |column: usize| rows.iter().filter_map(move |row| row.get(column));
    let natural = |at: usize| column(at).map(|cell| measure_text_width(cell)).max().unwrap_or(0);
    let mut widths: Vec<usize> = (0..heads.len()).map(natural).collect();
    let numeric: Vec<bool> =
        (0..heads.len()).map(|at| column(at).any(|cell| cell.parse::<f64>().is_ok())).collect();
    if let Some(width) = width {
        let longest = |cell: &String| cell.split(' ').map(measure_text_width).max().unwrap_or(0);
        let words: Vec<usize> =
            (0..heads.len()).map(|at| column(at).map(longest).max().unwrap_or(0)).collect();
        let room = width.saturating_sub(2 * heads.len());
        shrink(&mut widths, &words, room);
        shrink(&mut widths, &vec![NARROWEST; heads.len()], room);
    }
    rows.iter().flat_map(|row| layout(row, &widths, &numeric)).collect()
}

/// Takes from the widest of those that are wider than they have to be, until the sum fits.
fn shrink(widths: &mut [usize], least: &[usize], room: usize) {
    while widths.iter().sum::<usize>() > room {
        let wide = widths.iter_mut().zip(least).filter(|(width, least)| **width > **least);
        match wide.map(|(width, _)| width).max() {
            Some(widest) => *widest -= 1,
            None => return,
        }
    }
}

/// The lines of one row.
fn layout(row: &[String], widths: &[usize], numeric: &[bool]) -> Vec<String> {
    let cells: Vec<Vec<String>> = row.iter().zip(widths).map(|(cell, width)| wrap(cell, *width)).collect();
    let height = cells.iter().map(Vec::len).max().unwrap_or(0);
    (0..height)
        .map(|number| {
            let mut out = String::new();
            for ((cell, width), numeric) in cells.iter().zip(widths).zip(numeric) {
                let text = cell.get(number).map_or("", String::as_str);
                let padding = " ".repeat(width.saturating_sub(measure_text_width(text)));
                out.push_str("  ");
                match numeric {
                    true => out.extend([&*padding, text]),
                    false => out.extend([text, &*padding]),
                }
            }
            out.truncate(out.trim_end().len());
            out
        })
        .collect()
}

/// The lines of a sentence that fit `width`, with room for two columns more before all but the first. Words stay
/// whole, such as paths, which are to be copied.
pub(crate) fn paragraph(sentence: &str, width: Option<usize>) -> impl Iterator<Item = String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in sentence.split_inclusive(' ') {
        let wide = measure_text_width(word.trim_end());
        if used > 0 && width.is_some_and(|width| used + wide > width) {
            lines.push(String::new());
            used = 2;
        }
        used += measure_text_width(word);
        if let Some(last) = lines.last_mut() {
            last.push_str(word);
        }
    }
    lines.into_iter().map(|line| line.trim_end().to_owned())
}

/// What is wrong with a text that is to be JSON, without serde's line: there is only one.
pub(crate) fn no_json(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let what = text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what);
    match (error.is_eof(), error.column()) {
        (true, _) => format!("it ends too early, {}", what.replace("EOF while ", "while ")),
        (false, column) => format!("{what}, at column {column}"),
    }
}

/// Breaks between words, and inside those that are too wide.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split_inclusive(' ') {
        if used > 0 && used + measure_text_width(word.trim_end()) > width {
            lines.push(String::new());
            used = 0;
        }
        for character in word.chars() {
            let wide = measure_text_width(character.encode_utf8(&mut [0; 4]));
            if used + wide > width && character != ' ' {
                lines.push(String::new());
                used = 0;
            }
            used += wide;
            if let Some(last) = lines.last_mut() {
                last.push(character);
            }
        }
    }
    lines.into_iter().map(|line| line.trim_end().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_finds_nothing_to_obey() {
        assert_eq!(line("plain é 東"), "plain é 東");
        assert_eq!(line("\0 \x1b[2J \u{9b}2J \n"), "\\u{0} \\u{1b}[2J \\u{9b}2J \\n");
        assert_eq!(line("\u{202e}txt.exe"), "\\u{202e}txt.exe");
        assert_eq!(lines("a\n\tb\r"), "a\n\tb\\r");
        let text = serde_json::to_string("\u{9b}é\u{7f}\u{202e}\0").unwrap();
        assert_eq!(json(&text), r#""\u009bé\u007f\u202e\u0000""#);
        assert_eq!(serde_json::from_str::<String>(&json(&text)).unwrap(), "\u{9b}é\u{7f}\u{202e}\0");
    }

    #[test]
    fn a_table_fits_its_terminal() {
        let rows = [
            vec!["one".to_owned(), "words that go on for a while".to_owned(), "1".to_owned()],
            vec!["two".to_owned(), "/a/path/without/any/space".to_owned(), "22".to_owned()],
        ];
        assert_eq!(
            table(&["name", "what", "n"], &rows, None),
            [
                "  name  what                           n",
                "  one   words that go on for a while   1",
                "  two   /a/path/without/any/space     22"
            ]
        );
        let narrow = table(&["name", "what", "n"], &rows, Some(30));
        assert_eq!(
            narrow,
            [
                "  name  what                 n",
                "  one   words that go on     1",
                "        for a while",
                "  two   /a/path/without/an  22",
                "        y/space"
            ]
        );
        // Heads of several words are wrapped before a single word is.
        let counts = [vec!["index_occurrences".to_owned(), "113720".to_owned(), "113716".to_owned()]];
        assert_eq!(
            table(&["invariant", "3.14t naive", "3.14t locked"], &counts, Some(35)),
            [
                "  invariant           3.14t   3.14t",
                "                      naive  locked",
                "  index_occurrences  113720  113716"
            ]
        );
        for width in [0, 1, 20, 28] {
            assert!(
                table(&["name", "what", "n"], &rows, Some(width))
                    .iter()
                    .all(|line| line.len() <= width.max(24))
            );
        }
    }

    #[test]
    fn a_sentence_is_wrapped_between_words() {
        let wrapped = |text, width| paragraph(text, width).collect::<Vec<_>>();
        assert_eq!(wrapped("one two three", None), ["one two three"]);
        assert_eq!(wrapped("one two three", Some(13)), ["one two three"]);
        assert_eq!(wrapped("one two three", Some(8)), ["one two", "three"]);
        assert_eq!(wrapped("one two four", Some(7)), ["one two", "four"]);
        assert_eq!(wrapped("one five six", Some(8)), ["one five", "six"]);
        assert_eq!(wrapped("at /a/long/path", Some(6)), ["at", "/a/long/path"]);
    }

    #[test]
    fn what_is_no_json_is_said_without_a_line() {
        let said = |text| no_json(&serde_json::from_str::<serde_json::Value>(text).unwrap_err());
        assert_eq!(said("a text"), "expected value, at column 1");
        assert_eq!(said("{\"a\": \n"), "it ends too early, while parsing a value");
    }

    #[test]
    fn a_line_is_cut_where_the_terminal_ends() {
        assert_eq!(cut("abcdef", Some(4)), "abc…");
        assert_eq!(cut("東京東京", Some(5)), "東京…");
        assert_eq!(cut("abcdef", None), "abcdef");
    }
}
