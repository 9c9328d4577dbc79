//! One line of a block, and what of it goes on in the next lines.

/// A line of a text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line<'a> {
    /// How many spaces it begins with.
    pub(super) indent: usize,
    /// What follows them, without blanks and line end.
    content: &'a str,
    /// The offset of the content.
    start: usize,
    /// The offset of the next line.
    pub(super) end: usize,
}

/// What a line begins: dashes, a key, a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    /// The column of the first dash.
    pub(super) dash: Option<usize>,
    /// The text of the key.
    pub(super) key: Option<&'a str>,
    /// The column of the key or, without one, of the last dash. Deeper lines belong to the value.
    pub(super) column: usize,
    pub(super) shape: Shape,
}

/// How a value goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// There is none on this line.
    Empty,
    /// It ends on this line.
    Closed,
    /// A plain scalar or the text of a block scalar: every deeper line belongs to it, whatever it looks like.
    Text,
    /// Quotes that do not close on this line; the offset is behind the opening one.
    Quote { quote: u8, from: usize },
}

impl<'a> Line<'a> {
    /// The line that begins at an offset. `None` at the end of the text.
    pub(super) fn at(text: &'a str, at: usize) -> Option<Self> {
        let rest = text.get(at..).filter(|rest| !rest.is_empty())?;
        let length = memchr::memchr(b'\n', rest.as_bytes()).map_or(rest.len(), |end| end + 1);
        let line = rest.get(..length)?;
        let indent = line.bytes().take_while(|byte| *byte == b' ').count();
        let content = line.get(indent..)?.trim_ascii_end();
        Some(Self {
            indent,
            content,
            start: at + indent,
            end: at + length,
        })
    }

    /// Blank, or nothing but a comment.
    pub(super) fn is_idle(&self) -> bool {
        self.content.is_empty() || self.content.starts_with('#')
    }

    /// `---`, with a comment behind it at most.
    pub(super) fn is_bare_marker(&self) -> bool {
        let behind = self.content.strip_prefix("---");
        behind.is_some_and(|behind| {
            behind.is_empty()
                || behind.starts_with(' ') && behind.trim_start_matches(' ').starts_with('#')
        })
    }

    pub(super) fn has_dash(&self) -> bool {
        self.content == "-" || self.content.starts_with("- ")
    }

    /// What the line begins. `None` where it may mean something else than it seems to.
    pub(super) fn entry(&self) -> Option<Entry<'a>> {
        let (mut content, mut column) = (self.content, self.indent);
        if self.indent == 0 && content.starts_with(['-', '.', '%']) && !self.has_dash() {
            return None;
        }
        let (mut dash, mut last) = (None, self.indent);
        while content == "-" || content.starts_with("- ") {
            dash = dash.or(Some(column));
            last = column;
            let behind = content.get(1..)?.trim_start_matches(' ');
            column += content.len() - behind.len();
            content = behind;
        }
        let start = self.start + column - self.indent;
        let (key, value) = key(content)?;
        let column = if key.is_some() { column } else { last };
        let shape = shape(value, start + content.len() - value.len())?;
        Some(Entry {
            dash,
            key,
            column,
            shape,
        })
    }
}

impl Entry<'_> {
    /// The offset behind the last line of what the line begins, without maps and lists below it.
    pub(super) fn end(&self, text: &str, line: &Line<'_>) -> Option<usize> {
        match self.shape {
            Shape::Empty | Shape::Closed => Some(line.end),
            Shape::Text => Some(deeper(text, line.end, self.column)),
            Shape::Quote { quote, from } => {
                let close = from + closing(quote, text.get(from..)?.as_bytes())?;
                // Behind its last line: nothing, or a comment.
                let rest = text.get(close + 1..)?;
                let length =
                    memchr::memchr(b'\n', rest.as_bytes()).map_or(rest.len(), |end| end + 1);
                is_nothing(rest.get(..length)?).then_some(close + 1 + length)
            }
        }
    }
}

/// The offset behind the lines from an offset on that are blank, or begin behind a column.
fn deeper(text: &str, mut at: usize, column: usize) -> usize {
    while let Some(line) = Line::at(text, at) {
        if line.indent <= column && !line.content.is_empty() {
            break;
        }
        at = line.end;
    }
    at
}

/// The key that a content begins with, and the rest behind its colon; without a key, all of it.
fn key(content: &str) -> Option<(Option<&str>, &str)> {
    let mut start = content.bytes();
    if matches!(start.next(), Some(b'-' | b'?' | b':'))
        && matches!(start.next(), None | Some(b' ' | b'\t'))
    {
        return None;
    }
    let (name, behind) = match content.as_bytes().first() {
        Some(quote @ (b'"' | b'\'')) => {
            let Some(end) = closing(*quote, content.as_bytes().get(1..)?) else {
                return Some((None, content));
            };
            let behind = content.get(end + 2..)?.trim_start_matches(' ');
            match behind.strip_prefix(':') {
                None => return Some((None, content)),
                // A key whose text takes more to tell.
                Some(_) if content.get(1..=end)?.contains(['\\', '\'', '"']) => return None,
                Some(behind) => (content.get(1..=end)?, behind),
            }
        }
        // These begin something else than a plain scalar.
        Some(b'{' | b'[' | b'|' | b'>' | b'#' | b'*') | None => return Some((None, content)),
        Some(b'&' | b'!' | b'%' | b'@' | b'`' | b',' | b']' | b'}' | b'\t') => return None,
        Some(_) => {
            let Some(colon) = colon(content) else {
                return Some((None, content));
            };
            (
                content.get(..colon)?.trim_end_matches(' '),
                content.get(colon + 1..)?,
            )
        }
    };
    let value = behind.trim_start_matches(' ');
    let is_sure = behind.is_empty() || behind.starts_with(' ');
    (is_sure && !name.ends_with('\t')).then_some((Some(name), value))
}

/// Where the colon stands that ends a plain key, in front of any comment.
fn colon(content: &str) -> Option<usize> {
    let bytes = content.as_bytes();
    let is_blank = |at: usize| bytes.get(at).is_none_or(|byte| b" \t".contains(byte));
    let found = memchr::memchr2_iter(b':', b'#', bytes).find(|at| match bytes.get(*at) {
        Some(b'#') => *at > 0 && is_blank(at - 1),
        _ => is_blank(at + 1),
    })?;
    (bytes.get(found) == Some(&b':')).then_some(found)
}

/// How a value goes on that stands at an offset.
fn shape(value: &str, at: usize) -> Option<Shape> {
    let bytes = value.as_bytes();
    match bytes.first() {
        None | Some(b'#') => Some(Shape::Empty),
        Some(b'|' | b'>') => is_header(value.get(1..)?).then_some(Shape::Text),
        Some(b'{' | b'[') => is_closed(bytes).then_some(Shape::Closed),
        Some(quote @ (b'"' | b'\'')) => match closing(*quote, bytes.get(1..)?) {
            Some(end) => is_nothing(value.get(end + 2..)?).then_some(Shape::Closed),
            None => Some(Shape::Quote {
                quote: *quote,
                from: at + 1,
            }),
        },
        Some(b'*') => {
            let name = value.get(1..)?;
            name.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
                .then_some(Shape::Closed)
        }
        Some(b'&' | b'!' | b'%' | b'@' | b'`' | b',' | b']' | b'}' | b'\t') => None,
        // Items and keys that would need a line of their own.
        Some(b'-' | b'?' | b':') if bytes.get(1).is_none_or(|byte| b" \t".contains(byte)) => None,
        Some(_) => Some(Shape::Text),
    }
}

/// Whether what follows `|` or `>` is the rest of a header.
fn is_header(rest: &str) -> bool {
    let behind = rest.trim_start_matches(|character: char| {
        character.is_ascii_digit() || "+-".contains(character)
    });
    rest.len() - behind.len() <= 2 && is_nothing(behind)
}

/// Whether what follows a value is blank or a comment.
fn is_nothing(rest: &str) -> bool {
    let content = rest.trim_ascii();
    content.is_empty() || rest.starts_with(' ') && content.starts_with('#')
}

/// Whether a flow collection ends on its line. Not where that takes more to tell: at an anchor, an alias, a tag, a
/// comment, and at a quote in the middle of a word.
fn is_closed(value: &[u8]) -> bool {
    let mut depth = 0_usize;
    let (mut rest, mut before) = (value, b' ');
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' | b'\'' => match closing(*byte, rest).filter(|_| b" ,:[{".contains(&before)) {
                Some(end) => rest = rest.get(end + 1..).unwrap_or_default(),
                None => return false,
            },
            b'#' | b'&' | b'*' | b'!' => return false,
            _ => {}
        }
        before = *byte;
        if depth == 0 {
            return str::from_utf8(rest).is_ok_and(is_nothing);
        }
    }
    false
}

/// Where the quote stands that closes a scalar, whose text this begins with.
fn closing(quote: u8, text: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + memchr::memchr2(quote, b'\\', text.get(from..)?)?;
        let is_pair = text.get(at + 1) == Some(&quote);
        match text.get(at)? {
            b'\\' => from = at + if quote == b'"' { 2 } else { 1 },
            _ if quote == b'\'' && is_pair => from = at + 2,
            _ => return Some(at),
        }
    }
}
