//! Reads a page into the steps that its reader takes.

/// A page.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page {
    /// The steps, each with its line.
    pub(super) steps: Vec<(usize, Step)>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Write a file.
    File { name: String, content: String },
    /// Run a command, and compare what it prints.
    Command { text: String, output: Vec<String> },
    /// Find lines in the log of `scopegate serve`.
    Log { lines: Vec<String> },
}

impl Page {
    /// Reads a page.
    ///
    /// # Errors
    /// When a block is of a kind that would not be run. The text begins with its line.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut steps = Vec::new();
        let mut lines = text.lines().enumerate().map(|(index, line)| (index + 1, line));
        while let Some((start, line)) = lines.next() {
            let Some(info) = line.strip_prefix("```") else {
                if line.trim_start().starts_with("```") {
                    return Err(format!("{start}: a block is indented"));
                }
                continue;
            };
            let block: Vec<(usize, &str)> = lines.by_ref().take_while(|(_, line)| *line != "```").collect();
            let content = || block.iter().flat_map(|(_, line)| [line, "\n"]).collect::<String>();
            match info.split_once(' ') {
                Some((_, name)) => {
                    steps.push((start, Step::File { name: name.to_owned(), content: content() }));
                }
                None if info == "console" => steps.extend(commands(&block)?),
                None if info == "log" => {
                    let lines = block.iter().map(|(_, line)| (*line).to_owned()).collect();
                    steps.push((start, Step::Log { lines }));
                }
                None if matches!(info, "toml" | "text") => {}
                None => return Err(format!("{start}: a block of {info:?} is not run")),
            }
        }
        Ok(Self { steps })
    }

    /// Returns the number of commands.
    pub(super) fn commands(&self) -> usize {
        self.steps.iter().filter(|(_, step)| matches!(step, Step::Command { .. })).count()
    }
}

/// Reads the commands of a block.
fn commands(block: &[(usize, &str)]) -> Result<Vec<(usize, Step)>, String> {
    let mut found: Vec<(usize, String, Vec<String>)> = Vec::new();
    for (number, line) in block {
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
    let step = |(number, text, output)| (number, Step::Command { text, output });
    Ok(found.into_iter().map(step).collect())
}

#[test]
fn reads_files_commands_and_logs() {
    let text = "# a\n```toml a.toml\nx = 1\n```\n\n```console\n$ one\nsays\n$ two \\\n>   more\n```\n```log\nline\n```\n```toml\n```\n";
    let command = |text: &str, output: &[&str]| Step::Command {
        text: text.to_owned(),
        output: output.iter().map(|line| (*line).to_owned()).collect(),
    };
    let steps = vec![
        (2, Step::File { name: "a.toml".to_owned(), content: "x = 1\n".to_owned() }),
        (7, command("one", &["says"])),
        (9, command("two \\\n  more", &[])),
        (12, Step::Log { lines: vec!["line".to_owned()] }),
    ];
    assert_eq!(Page::parse(text), Ok(Page { steps }));
}

#[test]
fn rejects_blocks_that_would_not_be_run() {
    for (text, why) in [
        ("```sh\ncurl x\n```", "1: a block of \"sh\" is not run"),
        ("```\ncurl x\n```", "1: a block of \"\" is not run"),
        ("a\n  ```console\n  $ x\n  ```", "2: a block is indented"),
        ("```console\ncurl x\n```", "2: output without a command"),
    ] {
        assert_eq!(Page::parse(text), Err(why.to_owned()));
    }
}
