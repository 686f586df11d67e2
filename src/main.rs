//! The `scopegate` command.

use clap::{CommandFactory, Parser, Subcommand};
use mimalloc::MiMalloc;
use scopegate::cli::{self, CommandError};
use std::io::{self, Write};
use std::process::ExitCode;

// All requests that a turn of the runtime deals with take memory, and give it back together: more at once than the C
// library's allocator keeps at hand.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Gives clients which cannot sign S3 requests exactly their own corner of a MinIO, and nothing else.
#[derive(Parser)]
#[command(name = "scopegate", version, max_term_width = 100, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the proxy
    Serve(cli::serve::Args),
    /// Try it out: an embedded S3 store, some objects, and the proxy in front
    #[cfg(feature = "demo")]
    Demo(cli::demo::Args),
    /// Read a configuration as `serve` would, and say everything that is wrong with it
    Check(cli::check::Args),
    /// Say which mapping a client gets, with which policy, and what becomes of a request
    Explain(cli::explain::Args),
    /// Mint a token for a bucket and a prefix
    Token(cli::token::Args),
    /// List keys with a token
    Ls(cli::ls::Args),
    /// Get an object with a token
    Get(cli::get::Args),
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or a command's
    Man {
        /// The command
        command: Option<String>,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if error.has_message() {
                let _ = writeln!(io::stderr(), "scopegate: {error}");
            }
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(command: Command) -> Result<(), CommandError> {
    match command {
        Command::Serve(args) => cli::serve::run(&args),
        #[cfg(feature = "demo")]
        Command::Demo(args) => cli::demo::run(&args),
        Command::Check(args) => cli::check::run(&args),
        Command::Explain(args) => cli::explain::run(&args),
        Command::Token(args) => cli::block_on(cli::token::run(args)),
        Command::Ls(args) => cli::block_on(cli::ls::run(args)),
        Command::Get(args) => cli::block_on(cli::get::run(args)),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "scopegate", &mut script);
            cli::print(&String::from_utf8_lossy(&script))
        }
        Command::Man { command } => man(command.as_deref()),
    }
}

/// Prints the manual page of the whole, or of one command: `scopegate man token | man -l -`.
fn man(command: Option<&str>) -> Result<(), CommandError> {
    let mut whole = Arguments::command();
    // Gives each command its whole name, as in `scopegate-token(1)`.
    whole.build();
    let page = match command {
        None => whole,
        Some(name) => {
            let known: Vec<String> = whole.get_subcommands().map(|one| one.get_name().to_owned()).collect();
            whole.find_subcommand(name).cloned().ok_or_else(|| {
                CommandError::usage(format!("there is no command {name:?}; there are: {}", known.join(", ")))
            })?
        }
    };
    let mut text = Vec::new();
    clap_mangen::Man::new(page)
        .render(&mut text)
        .map_err(|error| CommandError::failed(format!("cannot write the page: {error}")))?;
    cli::print(&String::from_utf8_lossy(&text))
}
