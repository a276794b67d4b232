//! Where commands take passwords from: the terminal, or standard input. Never an argument: those are visible to every
//! process of the machine.

use std::io::{self, BufRead as _, IsTerminal as _};

use zeroize::Zeroizing;

use super::Failure;
use crate::password::Password;

/// Longest line taken as a password, in bytes.
const LONGEST: u64 = 64 * 1024;

/// Where a command takes a new password from.
#[derive(clap::Args)]
pub(super) struct NewPassword {
    /// Take the password from standard input instead of the terminal.
    #[arg(long)]
    password_stdin: bool,
}

impl NewPassword {
    /// Reads it: one line of standard input, or twice from the terminal.
    pub(super) fn read(&self) -> Result<Password, Failure> {
        if self.password_stdin {
            return line_of_stdin();
        }
        if !io::stdin().is_terminal() {
            return Err(Failure::Usage(
                "there is no terminal to ask for the password: pass --password-stdin and write it to standard input"
                    .to_owned(),
            ));
        }
        let first = ask("Password: ")?;
        if *first != *ask("Once more: ")? {
            return Err(Failure::Failed("the two passwords differ; nothing was changed".to_owned()));
        }
        Ok(Password::new(first))
    }
}

fn ask(prompt: &str) -> Result<Zeroizing<String>, Failure> {
    rpassword::prompt_password(prompt).map(Zeroizing::new).map_err(Failure::of)
}

fn line_of_stdin() -> Result<Password, Failure> {
    let mut line = Zeroizing::new(String::new());
    io::Read::take(io::stdin().lock(), LONGEST).read_line(&mut line).map_err(Failure::of)?;
    let password =
        line.strip_suffix('\n').map_or(line.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
    if password.is_empty() {
        return Err(Failure::Usage("standard input holds no password".to_owned()));
    }
    Ok(Password::new(Zeroizing::new(password.to_owned())))
}
