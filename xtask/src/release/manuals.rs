//! Manual pages and completions of shells, which the binary prints itself.

use super::{fresh, text_of, write as write_file};
use std::path::Path;
use std::process::Command;

const COMPLETIONS: [(&str, &str); 3] =
    [("bash", "scopegate.bash"), ("fish", "scopegate.fish"), ("zsh", "_scopegate")];

/// Writes a page for the program, each command and the configuration into `man`, and the completions into `completions`.
///
/// # Errors
/// The binary does not run, or a file cannot be written.
pub(super) fn write(scopegate: &Path, folder: &Path) -> Result<(), String> {
    let (man, completions) = (folder.join("man"), folder.join("completions"));
    fresh(&man)?;
    fresh(&completions)?;
    let ask = |arguments: &[&str]| text_of(Command::new(scopegate).args(arguments)).map(|text| text + "\n");
    write_file(&man.join("scopegate.1"), &ask(&["man"])?)?;
    let commands = commands(&ask(&["--help"])?);
    if commands.is_empty() {
        return Err(format!("`{} --help` names no commands", scopegate.display()));
    }
    for command in commands {
        write_file(&man.join(format!("scopegate-{command}.1")), &ask(&["man", &command])?)?;
    }
    write_file(&man.join("scopegate-proxy.toml.5"), &ask(&["man", "proxy.toml"])?)?;
    for (shell, file) in COMPLETIONS {
        write_file(&completions.join(file), &ask(&["completions", shell])?)?;
    }
    Ok(())
}

/// Returns the commands in a help text. `help` has no page.
fn commands(help: &str) -> Vec<String> {
    let lines =
        help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names = lines.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    names.filter(|name| !name.is_empty() && *name != "help").map(str::to_owned).collect()
}

#[test]
fn reads_the_commands_of_a_help_text() {
    let commands_in_it =
        "  serve  Run\n  man    Show the manual; print\n         its source\n  help   Print\n";
    let help = format!("Does it\n\nCommands:\n{commands_in_it}\nOptions:\n  -h\n");
    assert_eq!(commands(&help), ["serve", "man"]);
}
