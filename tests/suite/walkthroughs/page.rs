//! Reads a page into the steps that its reader takes.

/// A page.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page {
    /// The steps, each with its line.
    pub(super) steps: Vec<(usize, Step)>,
    /// The blocks that say why they are not run, each with its line and the reason.
    pub(super) not_run: Vec<(usize, String)>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Write a file.
    File { name: String, content: String },
    /// Run a command, and compare how it ends.
    Command { text: String, end: End },
    /// Find lines in the log of `scopegate serve`.
    Log { lines: Vec<String> },
}

/// What a page says of the end of a command.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It prints these lines. If there are none, it succeeds.
    Shows(Vec<String>),
    /// It succeeds.
    Succeeds,
    /// It prints this text, and may fail.
    Prints(String),
}

/// A comment directly above a block.
#[derive(Clone, Copy)]
enum Mark<'t> {
    /// The block is not run, for this reason.
    NotRun(&'t str),
    /// The last command prints this text, and may fail.
    Prints(&'t str),
}

impl<'t> Mark<'t> {
    fn read(line: &'t str) -> Option<Self> {
        let comment = line.trim().strip_prefix("<!-- ")?.strip_suffix(" -->")?;
        let text = comment.strip_prefix("the last command prints \"").and_then(|text| text.strip_suffix('"'));
        comment.strip_prefix("not run: ").map(Self::NotRun).or(text.map(Self::Prints))
    }
}

/// A fenced block.
struct Block<'t> {
    start: usize,
    info: &'t str,
    /// The lines with their numbers, without the indentation of the fence.
    lines: Vec<(usize, &'t str)>,
    mark: Option<Mark<'t>>,
}

impl Page {
    /// Reads a page.
    ///
    /// # Errors
    /// When a block is of a kind that would not be run, and does not say why. The text begins with its line.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut page = Self { steps: Vec::new(), not_run: Vec::new() };
        for block in blocks(text)? {
            match block.mark {
                Some(Mark::NotRun(reason)) => page.not_run.push((block.start, reason.to_owned())),
                _ => page.steps.extend(block.steps()?),
            }
        }
        Ok(page)
    }

    /// Returns the number of commands.
    pub(super) fn commands(&self) -> usize {
        self.steps.iter().filter(|(_, step)| matches!(step, Step::Command { .. })).count()
    }
}

/// Returns the blocks of a page.
fn blocks(text: &str) -> Result<Vec<Block<'_>>, String> {
    let mut found = Vec::new();
    let mut mark = None;
    let mut lines = text.lines().enumerate().map(|(index, line)| (index + 1, line));
    while let Some((start, line)) = lines.next() {
        let outdented = line.trim_start_matches(' ');
        let Some(info) = outdented.strip_prefix("```") else {
            if mark.is_some() {
                return Err(format!("{}: no block follows the comment", start - 1));
            }
            mark = Mark::read(line);
            continue;
        };
        let indent = &line[..line.len() - outdented.len()];
        let inside = lines.by_ref().take_while(|(_, line)| line.trim() != "```");
        let inside =
            inside.map(|(number, line)| (number, line.strip_prefix(indent).unwrap_or(line.trim_start())));
        found.push(Block { start, info, lines: inside.collect(), mark: mark.take() });
    }
    Ok(found)
}

impl Block<'_> {
    fn steps(&self) -> Result<Vec<(usize, Step)>, String> {
        let step = |step| Ok(vec![(self.start, step)]);
        let has_commands = || self.lines.iter().any(|(_, line)| line.starts_with("$ "));
        match self.info.split_once(' ') {
            Some((_, name)) => {
                let content = self.lines.iter().flat_map(|(_, line)| [line, "\n"]).collect();
                step(Step::File { name: name.to_owned(), content })
            }
            None if self.info == "console" => self.console(),
            None if self.info == "sh" => Ok(self.shell()),
            None if self.info == "log" => {
                step(Step::Log { lines: self.lines.iter().map(|(_, line)| (*line).to_owned()).collect() })
            }
            None if matches!(self.info, "toml" | "yaml" | "json") => Ok(Vec::new()),
            None if matches!(self.info, "text" | "") && !has_commands() => Ok(Vec::new()),
            None => Err(format!("{}: a block of {:?} is not run", self.start, self.info)),
        }
    }

    /// Returns the commands of a console, with what each prints.
    fn console(&self) -> Result<Vec<(usize, Step)>, String> {
        let mut found: Vec<(usize, String, Vec<String>)> = Vec::new();
        for (number, line) in &self.lines {
            if let Some(command) = line.strip_prefix("$ ") {
                found.push((*number, command.to_owned(), Vec::new()));
                continue;
            }
            let Some((_, text, output)) = found.last_mut() else {
                return Err(format!("{number}: output without a command"));
            };
            match line.strip_prefix("> ") {
                Some(more) if output.is_empty() => text.extend(["\n", more]),
                _ => output.push((*line).to_owned()),
            }
        }
        let step = |(number, text, mut output): (usize, String, Vec<String>)| {
            // Empty lines separate what is printed from the next command.
            output.truncate(output.iter().rposition(|line| !line.is_empty()).map_or(0, |last| last + 1));
            (number, Step::Command { text, end: End::Shows(output) })
        };
        Ok(found.into_iter().map(step).collect())
    }

    /// Returns the commands of a block that shows nothing of what they print.
    fn shell(&self) -> Vec<(usize, Step)> {
        let mut found: Vec<(usize, String)> = Vec::new();
        for (number, line) in &self.lines {
            match found.last_mut().filter(|(_, text)| text.ends_with('\\')) {
                Some((_, text)) => text.extend(["\n", line]),
                None => found.push((*number, (*line).to_owned())),
            }
        }
        let count = found.len();
        let end = |index: usize| match self.mark {
            Some(Mark::Prints(text)) if index + 1 == count => End::Prints(text.to_owned()),
            _ => End::Succeeds,
        };
        let step = |(index, (number, text))| (number, Step::Command { text, end: end(index) });
        found.into_iter().enumerate().map(step).collect()
    }
}

#[test]
fn reads_files_commands_and_logs() {
    let text = "# a\n```toml a.toml\nx = 1\n```\n\n```console\n$ one\nsays\n\n$ two \\\n>   more\n```\n```log\nline\n```\n```toml\n```\n\
                1. b\n   ```sh\n   three \\\n     more\n   four\n   ```\n<!-- the last command prints \"No\" -->\n```sh\nfive\nsix\n```\n\
                <!-- not run: it needs a moon -->\n```sh\nseven\n```\n```\nshown\n```\n";
    let command = |text: &str, end: End| Step::Command { text: text.to_owned(), end };
    let shows = |lines: &[&str]| End::Shows(lines.iter().map(|line| (*line).to_owned()).collect());
    let steps = vec![
        (2, Step::File { name: "a.toml".to_owned(), content: "x = 1\n".to_owned() }),
        (7, command("one", shows(&["says"]))),
        (10, command("two \\\n  more", shows(&[]))),
        (13, Step::Log { lines: vec!["line".to_owned()] }),
        (20, command("three \\\n  more", End::Succeeds)),
        (22, command("four", End::Succeeds)),
        (26, command("five", End::Succeeds)),
        (27, command("six", End::Prints("No".to_owned()))),
    ];
    let not_run = vec![(30, "it needs a moon".to_owned())];
    assert_eq!(Page::parse(text), Ok(Page { steps, not_run }));
}

#[test]
fn rejects_blocks_that_would_not_be_run() {
    for (text, why) in [
        ("```js\nfetch()\n```", "1: a block of \"js\" is not run"),
        ("```bash\ncurl x\n```", "1: a block of \"bash\" is not run"),
        ("```\n$ curl x\n```", "1: a block of \"\" is not run"),
        ("a\n  ```text\n  $ x\n  ```", "2: a block of \"text\" is not run"),
        ("```console\ncurl x\n```", "2: output without a command"),
        ("<!-- not run: no -->\na\n```sh\n```", "1: no block follows the comment"),
    ] {
        assert_eq!(Page::parse(text), Err(why.to_owned()));
    }
}
