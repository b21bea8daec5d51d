//! Sources without their comments and strings: Rust as a flat list of tokens, Python as text blanked out.
//!
//! The checks match short sequences of tokens. A full syntax tree would say nothing about the inside of macro
//! calls, where tokens are all there is.

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};

/// A token of Rust: a word, a `::`, another single sign, a delimiter or a literal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) line: usize,
    pub(crate) kind: Kind,
}

/// What kind of token it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Word,
    Sign,
    Open,
    Close,
    Literal,
}

/// Why a file has no tokens.
#[derive(Debug)]
pub(crate) struct Unlexed {
    pub(crate) line: usize,
    pub(crate) message: String,
}

impl Token {
    /// Whether this is the word or sign `text` (never a literal with that text).
    pub(crate) fn is(&self, text: &str) -> bool {
        self.kind != Kind::Literal && self.text == text
    }
}

/// The tokens of `source`.
///
/// # Errors
/// A delimiter is not closed, a literal is broken.
pub(crate) fn lex(source: &str) -> Result<Vec<Token>, Unlexed> {
    let stream: TokenStream = source.parse().map_err(|error: proc_macro2::LexError| Unlexed {
        line: error.span().start().line.max(1),
        message: error.to_string(),
    })?;
    let mut tokens = Vec::new();
    flatten(stream, &mut tokens);
    Ok(tokens)
}

fn flatten(stream: TokenStream, tokens: &mut Vec<Token>) {
    let mut joint_colon = false;
    for tree in stream {
        let line = tree.span().start().line;
        let mut push = |text: String, kind| tokens.push(Token { text, line, kind });
        let mut colon = false;
        match tree {
            TokenTree::Ident(word) => push(word.to_string(), Kind::Word),
            TokenTree::Literal(literal) => push(literal.to_string(), Kind::Literal),
            TokenTree::Punct(sign) => {
                if joint_colon && sign.as_char() == ':' {
                    tokens.pop();
                    tokens.push(Token { text: "::".into(), line, kind: Kind::Sign });
                } else {
                    colon = sign.as_char() == ':' && sign.spacing() == Spacing::Joint;
                    push(sign.as_char().to_string(), Kind::Sign);
                }
            }
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::Parenthesis | Delimiter::None => ("(", ")"),
                };
                push(open.into(), Kind::Open);
                flatten(group.stream(), tokens);
                let line = group.span_close().start().line;
                tokens.push(Token { text: close.into(), line, kind: Kind::Close });
            }
        }
        joint_colon = colon;
    }
}

/// The index after the group that opens at `open`.
pub(crate) fn after_group(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate().skip(open) {
        match token.kind {
            Kind::Open => depth += 1,
            Kind::Close => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return index + 1;
        }
    }
    tokens.len()
}

/// Python with spaces in the place of comments and of what strings contain; lines stay where they are.
pub(crate) fn blank_python(source: &str) -> String {
    let mut blank = String::with_capacity(source.len());
    let mut rest = source;
    let mut quote: Option<&str> = None;
    let mut comment = false;
    while let Some(next) = rest.chars().next() {
        let mut taken = next.len_utf8();
        if next == '\n' {
            comment = false;
            // A one-line string that is not closed ends with its line.
            quote = quote.filter(|quote| quote.len() == 3);
            blank.push('\n');
        } else if comment {
            blank.push(' ');
        } else if let Some(end) = quote {
            if rest.starts_with(end) {
                taken = end.len();
                quote = None;
                blank.push_str(end);
            } else if next == '\\' && !rest[1..].starts_with('\n') {
                taken += rest[1..].chars().next().map_or(0, char::len_utf8);
                blank.push_str("  ");
            } else {
                blank.push(' ');
            }
        } else if next == '#' {
            comment = true;
            blank.push(' ');
        } else if let Some(start) =
            ["\"\"\"", "'''", "\"", "'"].into_iter().find(|start| rest.starts_with(start))
        {
            taken = start.len();
            quote = Some(start);
            blank.push_str(start);
        } else {
            blank.push(next);
        }
        rest = &rest[taken..];
    }
    blank
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_strings_are_no_words() {
        let tokens = lex("// crate::pool\nlet a = \"unsafe\"; b::c").unwrap();
        let words: Vec<_> = tokens.iter().filter(|token| token.kind == Kind::Word).collect();
        assert_eq!(words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>(), ["let", "a", "b", "c"]);
        assert!(tokens.iter().any(|token| token.is("::") && token.line == 2));
        assert!(!tokens.iter().any(|token| token.is("\"unsafe\"")));
    }

    #[test]
    fn a_broken_file_says_where() {
        assert!(lex("fn f() {\n  (\n}").unwrap_err().line >= 1);
    }

    #[test]
    fn groups_are_skipped_whole() {
        let tokens = lex("{ a ( b ) } c").unwrap();
        assert!(tokens[after_group(&tokens, 0)].is("c"));
    }

    #[test]
    fn python_keeps_code_and_lines_only() {
        let blank = blank_python("x = 'a#\\'b'  # time.sleep\n\"\"\"doc\n'time.sleep'\"\"\"\ny = 1\n");
        assert_eq!(blank.lines().count(), 4);
        assert!(!blank.contains("sleep"));
        assert!(blank.ends_with("\ny = 1\n"));
    }
}
