//! A line of a block, and the lines that continue it.

/// A line of a text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line<'a> {
    /// The number of leading spaces.
    pub(super) indent: usize,
    /// The text behind the spaces, without trailing blanks and line end.
    content: &'a str,
    /// The offset of the content.
    start: usize,
    /// The offset of the next line.
    pub(super) end: usize,
}

/// The start of a line: dashes, a key, a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    /// The column of the first dash.
    pub(super) dash: Option<usize>,
    /// The text of the key.
    pub(super) key: Option<&'a str>,
    /// The column of the key or, without a key, of the last dash. Deeper lines belong to the value.
    pub(super) column: usize,
    pub(super) shape: Shape,
}

/// The extent of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// No value on this line.
    Empty,
    /// The value ends on this line.
    Closed,
    /// A plain scalar or the text of a block scalar: every deeper line belongs to it.
    Text,
    /// Quotes that do not close on this line; the offset is behind the opening quote.
    Quote { quote: u8, from: usize },
}

impl<'a> Line<'a> {
    /// The line at an offset. `None` at the end of the text.
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

    /// True if the line is blank or only a comment.
    pub(super) fn is_idle(&self) -> bool {
        self.content.is_empty() || self.content.starts_with('#')
    }

    /// True for `---`, followed by at most a comment.
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

    /// The start of the line. `None` if the line may have another meaning.
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
    /// The offset behind the last line of the entry, without maps and lists below it.
    pub(super) fn end(&self, text: &str, line: &Line<'_>) -> Option<usize> {
        match self.shape {
            Shape::Empty | Shape::Closed => Some(line.end),
            Shape::Text => Some(deeper(text, line.end, self.column)),
            Shape::Quote { quote, from } => {
                let close = from + closing(quote, text.get(from..)?.as_bytes())?;
                // Behind the closing quote: nothing, or a comment.
                let rest = text.get(close + 1..)?;
                let length =
                    memchr::memchr(b'\n', rest.as_bytes()).map_or(rest.len(), |end| end + 1);
                is_nothing(rest.get(..length)?).then_some(close + 1 + length)
            }
        }
    }
}

/// The offset behind the following lines that are blank or indented beyond a column.
fn deeper(text: &str, mut at: usize, column: usize) -> usize {
    while let Some(line) = Line::at(text, at) {
        if line.indent <= column && !line.content.is_empty() {
            break;
        }
        at = line.end;
    }
    at
}

/// The key at the start, and the rest behind its colon. Without a key, the rest is everything.
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
                // A quoted key with escapes or quotes is not resolved here.
                Some(_) if content.get(1..=end)?.contains(['\\', '\'', '"']) => return None,
                Some(behind) => (content.get(1..=end)?, behind),
            }
        }
        // These characters begin a value other than a plain scalar.
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

/// The offset of the colon that ends a plain key, before any comment.
fn colon(content: &str) -> Option<usize> {
    let bytes = content.as_bytes();
    let is_blank = |at: usize| bytes.get(at).is_none_or(|byte| b" \t".contains(byte));
    let found = memchr::memchr2_iter(b':', b'#', bytes).find(|at| match bytes.get(*at) {
        Some(b'#') => *at > 0 && is_blank(at - 1),
        _ => is_blank(at + 1),
    })?;
    (bytes.get(found) == Some(&b':')).then_some(found)
}

/// The extent of a value at an offset.
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
        // Items and keys that would need their own line.
        Some(b'-' | b'?' | b':') if bytes.get(1).is_none_or(|byte| b" \t".contains(byte)) => None,
        Some(_) => Some(Shape::Text),
    }
}

/// True if the rest behind `|` or `>` is a header.
fn is_header(rest: &str) -> bool {
    let behind = rest.trim_start_matches(|character: char| {
        character.is_ascii_digit() || "+-".contains(character)
    });
    rest.len() - behind.len() <= 2 && is_nothing(behind)
}

/// True if the rest behind a value is blank or a comment.
fn is_nothing(rest: &str) -> bool {
    let content = rest.trim_ascii();
    content.is_empty() || rest.starts_with(' ') && content.starts_with('#')
}

/// True if a flow collection certainly ends on its line. False at an anchor, an alias, a tag, a
/// comment, or a quote within a word.
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

/// The offset of the closing quote of a scalar; `text` begins behind the opening quote.
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
