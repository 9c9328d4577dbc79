//! A reader of the shell that the guides use: words, quotes, comments, pipes and redirects.

/// The commands in a block, each as its words.
pub(crate) fn commands(text: &str) -> Vec<Vec<String>> {
    let mut reader = Reader::default();
    let mut rest = text.chars().peekable();
    while let Some(letter) = rest.next() {
        match letter {
            '\'' | '"' => reader.quoted(rest.by_ref().take_while(|next| *next != letter)),
            '\\' if rest.peek() == Some(&'\n') => {
                rest.next();
            }
            '#' if !reader.in_word => {
                while rest.peek().is_some_and(|next| *next != '\n') {
                    rest.next();
                }
            }
            '$' if rest.peek() == Some(&'(') => {
                reader.quoted(rest.by_ref().take_while(|next| *next != ')'));
            }
            '>' => {
                reader.end_word();
                reader.redirects = true;
            }
            '\n' | '|' | ';' | '&' => reader.end_command(),
            ' ' | '\t' => reader.end_word(),
            other => reader.push(other),
        }
    }
    reader.end_command();
    reader.commands
}

#[derive(Default)]
struct Reader {
    commands: Vec<Vec<String>>,
    command: Vec<String>,
    word: String,
    in_word: bool,
    /// True if the next word is a file.
    redirects: bool,
}

impl Reader {
    fn push(&mut self, letter: char) {
        self.word.push(letter);
        self.in_word = true;
    }

    fn quoted(&mut self, letters: impl Iterator<Item = char>) {
        self.word.extend(letters);
        self.in_word = true;
    }

    fn end_word(&mut self) {
        if !self.in_word {
            return;
        }
        let word = std::mem::take(&mut self.word);
        self.in_word = false;
        if self.redirects {
            self.redirects = false;
        } else {
            self.command.push(word);
        }
    }

    /// Ends the command. Assignments and keywords before it are left out.
    fn end_command(&mut self) {
        self.end_word();
        let mut words = std::mem::take(&mut self.command);
        while words.first().is_some_and(|word| is_before(word)) {
            words.remove(0);
        }
        if !words.is_empty() {
            self.commands.push(words);
        }
    }
}

fn is_before(word: &str) -> bool {
    let is_keyword = ["do", "then", "else"].contains(&word);
    let name = word.split_once('=').map(|(name, _)| name);
    let is_assignment = name.is_some_and(|name| {
        name.chars()
            .all(|letter| letter == '_' || letter.is_ascii_uppercase())
    });
    is_keyword || is_assignment
}

#[test]
fn commands_are_read_as_a_shell_reads_them() {
    let text = "A=1 x -a 'b c' \\\n  \"d$e\" | y > file # comment\nfor z in $(u v); do w; done\n";
    let expected: [&[&str]; 5] = [
        &["x", "-a", "b c", "d$e"],
        &["y"],
        &["for", "z", "in", "(u v"],
        &["w"],
        &["done"],
    ];
    assert_eq!(commands(text), expected);
}
