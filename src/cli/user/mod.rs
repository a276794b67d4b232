//! `signet user …`.

use clap::Subcommand;
use serde::Serialize;

use super::password_input::NewPassword;
use super::{Failure, print_json, say};
use crate::account::{DisplayName, Email, Invalid, Role, User};
use crate::app::App;
use crate::flow::accounts::{self, AccountError, NewAccount};
use crate::grant::SessionId;

mod record;
mod sessions;

/// Accounts per read when listing.
const PAGE: u32 = 500;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Make an account.
    Create {
        /// Its e-mail address.
        #[arg(value_parser = email)]
        email: Email,
        /// What it is called.
        #[arg(long, value_parser = display_name)]
        name: Option<DisplayName>,
        /// A role; may be repeated.
        #[arg(long = "role", value_parser = role)]
        roles: Vec<Role>,
        #[command(flatten)]
        password: NewPassword,
    },
    /// List accounts by address.
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Stop an account from signing in, and end its sessions.
    Disable {
        /// Its e-mail address.
        #[arg(value_parser = email)]
        email: Email,
    },
    /// Let a disabled account sign in again.
    Enable {
        /// Its e-mail address.
        #[arg(value_parser = email)]
        email: Email,
    },
    /// Give an account a new password, and end its sessions.
    SetPassword {
        /// Its e-mail address.
        #[arg(value_parser = email)]
        email: Email,
        #[command(flatten)]
        password: NewPassword,
    },
    /// Let an account's owner sign in from a new device again, after strangers have guessed at it.
    Unlock {
        /// Its e-mail address.
        #[arg(value_parser = email)]
        email: Email,
    },
    /// Show an account, and whether strangers have been guessing at it.
    Show {
        /// Its e-mail address.
        #[arg(value_parser = email)]
        email: Email,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Give an account another e-mail address to sign in with, and end its sessions.
    SetEmail {
        /// Its e-mail address.
        #[arg(value_parser = email)]
        email: Email,
        /// The address it shall have.
        #[arg(value_parser = email)]
        new: Email,
    },
    /// List the sessions of an account, last used first.
    Sessions {
        /// Its e-mail address.
        #[arg(value_parser = email)]
        email: Email,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// End the sessions of an account, or one of them.
    Logout {
        /// Its e-mail address.
        #[arg(value_parser = email)]
        email: Email,
        /// The one to end, as `signet user sessions` names it.
        // One in 64 begins with a hyphen.
        #[arg(long, value_name = "SID", value_parser = session, allow_hyphen_values = true)]
        session: Option<SessionId>,
    },
    /// Delete an account with its password and its roles, and end its sessions.
    Delete {
        /// Its e-mail address.
        #[arg(value_parser = email)]
        email: Email,
        /// Do not ask, where there is a terminal to ask.
        #[arg(long)]
        yes: bool,
    },
    /// Print everything that is stored about a person, as JSON.
    Export {
        /// Their e-mail address.
        #[arg(value_parser = email)]
        email: Email,
    },
    /// Replace the roles of an account.
    Roles {
        /// Its e-mail address.
        #[arg(value_parser = email)]
        email: Email,
        /// The roles it shall have.
        #[arg(value_parser = role, required_unless_present = "none")]
        roles: Vec<Role>,
        /// Take all its roles away.
        #[arg(long, conflicts_with = "roles")]
        none: bool,
    },
}

pub(super) async fn run(app: &App, command: Command) -> Result<(), Failure> {
    let (user, done) = match command {
        Command::List { json } => return list(app, json).await,
        Command::Show { email, json } => return record::show(app, email, json).await,
        Command::Sessions { email, json } => return sessions::list(app, email, json).await,
        Command::Logout { email, session } => return sessions::logout(app, email, session).await,
        Command::Delete { email, yes } => return sessions::delete(app, email, yes).await,
        Command::Export { email } => return record::export(app, email).await,
        Command::Unlock { email } => (accounts::unlock(app, email).await, "is open to new devices again"),
        Command::SetEmail { email, new } => (accounts::set_email(app, email, new).await, "has a new address"),
        Command::Create { email, name, roles, password } => {
            let password = password.read()?;
            (accounts::create(app, NewAccount { email, password, name, roles }).await, "created")
        }
        Command::Disable { email } => (accounts::disable(app, email).await, "disabled"),
        Command::Enable { email } => (accounts::enable(app, email).await, "enabled"),
        Command::SetPassword { email, password } => {
            (accounts::set_password(app, email, password.read()?).await, "has a new password")
        }
        Command::Roles { email, roles, none: _ } => {
            (accounts::set_roles(app, email, roles).await, "has new roles")
        }
    };
    let user = user.map_err(explain)?;
    say(format_args!("{} ({}) {done}.", user.email.as_str(), user.id))
}

fn explain(error: AccountError) -> Failure {
    match error {
        AccountError::PasswordRefused(faults) => {
            let lines: Vec<_> = faults.iter().map(|fault| format!("the password {fault}")).collect();
            Failure::Failed(lines.join("\n"))
        }
        error => Failure::of(error),
    }
}

/// An account as a line of the list.
#[derive(Serialize)]
struct Line<'a> {
    id: &'a str,
    email: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    roles: Vec<&'a str>,
    /// Seconds since 1970, as all times here.
    created_at: i64,
    last_sign_in: Option<i64>,
    disabled_at: Option<i64>,
}

async fn list(app: &App, json: bool) -> Result<(), Failure> {
    let mut users: Vec<User> = Vec::new();
    loop {
        let after = users.last().map(|user| user.email.clone());
        let page = accounts::list(app, after, PAGE).await.map_err(Failure::of)?;
        let ended = page.len() < PAGE as usize;
        users.extend(page);
        if ended {
            break;
        }
    }
    let lines: Vec<Line<'_>> = users.iter().map(line).collect();
    if json {
        return print_json(&lines);
    }
    lines.iter().try_for_each(|line| {
        let state = if line.disabled_at.is_some() { "disabled" } else { "active" };
        say(format_args!("{}  {:8}  {}  {}", line.id, state, line.email, line.roles.join(",")))
    })
}

fn line(user: &User) -> Line<'_> {
    Line {
        id: user.id.as_str(),
        email: user.email.as_str(),
        name: user.name.as_ref().map(DisplayName::as_str),
        roles: user.roles.iter().map(Role::as_str).collect(),
        created_at: user.created_at.as_seconds(),
        last_sign_in: user.last_sign_in.map(|at| at.as_seconds()),
        disabled_at: user.disabled_at.map(|at| at.as_seconds()),
    }
}

fn email(text: &str) -> Result<Email, Invalid> {
    Email::parse(text)
}

fn display_name(text: &str) -> Result<DisplayName, Invalid> {
    DisplayName::parse(text)
}

fn role(text: &str) -> Result<Role, Invalid> {
    Role::parse(text)
}

fn session(text: &str) -> Result<SessionId, Invalid> {
    SessionId::parse(text).ok_or(Invalid("must be a session id, as `signet user sessions` prints it"))
}
