//! The `scopegate` command: parses the command line and runs the subcommand.

use clap::{CommandFactory, Parser, Subcommand};
use mimalloc::MiMalloc;
use scopegate::cli::{self, CommandError};
use std::process::ExitCode;

// The requests that one turn of the runtime handles allocate and free memory together. The C library's allocator
// would return so much of it to the system each time.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Gives clients that cannot sign S3 requests access to exactly their own part of a MinIO
#[derive(Parser)]
#[command(name = "scopegate", version, max_term_width = 100, arg_required_else_help = true)]
#[command(after_help = "Results go to stdout, everything else to stderr.\n\n\
    Exit codes: 0 done; 1 failed; 2 wrong usage; 3 refused (`explain`); 78 bad configuration")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the proxy
    Serve(cli::serve::Args),
    /// Try it: an embedded S3 store, some objects, and the proxy in front
    #[cfg(feature = "demo")]
    Demo(cli::demo::Args),
    /// Write an example configuration
    Init(cli::init::Args),
    /// Check a configuration and report every mistake in it
    Check(cli::check::Args),
    /// Explain which mapping a client gets and how a request is decided
    Explain(cli::explain::Args),
    /// Ask a running proxy whether it is ready
    Health(cli::health::Args),
    /// Mint a token for a bucket and a prefix
    Token(cli::token::Args),
    /// List keys with a token
    Ls(cli::ls::Args),
    /// Get an object with a token
    Get(cli::get::Args),
    /// Hash a password for a user of the configuration
    HashPassword(cli::hash_password::Args),
    /// Make an access key with its secret, and the lines for the configuration
    NewKey(cli::new_key::Args),
    /// Make a bearer token, and the lines for the configuration
    NewToken(cli::new_token::Args),
    /// Print shell completions
    Completions {
        /// Name of the shell
        shell: clap_complete::Shell,
    },
    /// Show the manual of the program, of a command or of the configuration; print its source if stdout is not a terminal
    Man {
        /// Name of the command, or `proxy.toml`
        command: Option<String>,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error.print();
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(command: Command) -> Result<(), CommandError> {
    match command {
        Command::Serve(args) => cli::serve::run(&args),
        #[cfg(feature = "demo")]
        Command::Demo(args) => cli::demo::run(&args),
        Command::Init(args) => cli::init::run(&args),
        Command::Health(args) => cli::health::run(&args),
        Command::Check(args) => cli::check::run(&args),
        Command::Explain(args) => cli::explain::run(&args),
        Command::Token(args) => cli::block_on(cli::token::run(args)),
        Command::Ls(args) => cli::block_on(cli::ls::run(args)),
        Command::Get(args) => cli::block_on(cli::get::run(args)),
        Command::HashPassword(args) => cli::hash_password::run(&args),
        Command::NewKey(args) => cli::new_key::run(&args),
        Command::NewToken(args) => cli::new_token::run(&args),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "scopegate", &mut script);
            cli::print(&String::from_utf8_lossy(&script))
        }
        Command::Man { command } => cli::man::run(Arguments::command(), command.as_deref()),
    }
}
