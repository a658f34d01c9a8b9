//! `dashvault user`: who may sign in to the vault's dashboard.
//!
//! What belongs here: its flags and what is printed. Works on the data folder, with or without a
//! server on it.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, builder::PossibleValue};
use dashvault_vault::users::{self, NewUser, Role, UserError, UserInfo, UserName};
use serde_json::json;

use crate::{
    common::{Common, Output},
    data_folder::{is_first_use, must_exist, note_made, show_wall, unusable},
    failure::{Done, Failure, OrNext, Outcome},
    out::say,
};

/// Add, list and remove who may sign in, and change passwords.
#[derive(Debug, Args)]
pub(crate) struct UserArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Add a user; without --password one is made, and printed this once
    #[command(after_help = "Examples:\n  \
        dashvault user add anna --role admin --data /srv/dashvault\n  \
        DASHVAULT_PASSWORD=… dashvault user add bert --data /srv/dashvault")]
    Add(AddArgs),
    /// List the users
    #[command(after_help = "Example:\n  dashvault user list --data /srv/dashvault")]
    List(ListArgs),
    /// Change a user's password, which ends their sessions; without --password one is made, and printed this once
    #[command(after_help = "Example:\n  dashvault user passwd anna --data /srv/dashvault")]
    Passwd(PasswdArgs),
    /// Remove a user, which ends their sessions; the last administrator stays
    #[command(after_help = "Example:\n  dashvault user remove bert --data /srv/dashvault")]
    Remove(RemoveArgs),
}

#[derive(Debug, Args)]
struct AddArgs {
    /// The name to sign in with: 1 to 64 of a-z 0-9 . _ - @
    name: String,
    /// What the user may do
    #[arg(long, value_name = "ROLE", default_value = "viewer")]
    role: RoleArg,
    #[command(flatten)]
    password: Password,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
struct ListArgs {
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
struct PasswdArgs {
    /// The user's name
    name: UserName,
    #[command(flatten)]
    password: Password,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
struct RemoveArgs {
    /// The user's name
    name: UserName,
    #[command(flatten)]
    place: Place,
}

#[derive(Args)]
struct Password {
    /// The password, at least 10 characters; better in DASHVAULT_PASSWORD, where `ps` does not show it
    #[arg(long, value_name = "PASSWORD")]
    password: Option<String>,
}

#[derive(Debug, Args)]
struct Place {
    /// The vault's data folder
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    common: Common,
}

/// A role as a flag's value.
#[derive(Debug, Clone, Copy)]
struct RoleArg(Role);

impl clap::ValueEnum for RoleArg {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self(Role::Viewer), Self(Role::Operator), Self(Role::Admin)]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let help = match self.0 {
            Role::Viewer => "Watches",
            Role::Operator => "Also takes clips, marks, locks, imports",
            Role::Admin => "Also adds devices and users, sets rules, deletes",
        };
        Some(PossibleValue::new(self.0.name()).help(help))
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Password").field("given", &self.password.is_some()).finish()
    }
}

impl Password {
    /// The password, and whether it was made here and has to be shown.
    fn take(self) -> Result<(String, bool), Failure> {
        match self.password {
            Some(password) => Ok((password, false)),
            None => {
                let made = users::random_password();
                made.map(|password| (password, true)).or_next("make a password", "give one with --password")
            }
        }
    }
}

/// Does what the subcommand says.
pub(crate) fn run(args: UserArgs) -> Done {
    let runtime =
        tokio::runtime::Runtime::new().or_next("start the runtime", "check the limits on threads")?;
    runtime.block_on(async {
        match args.action {
            Action::Add(args) => add(args).await,
            Action::List(args) => list(args).await,
            Action::Passwd(args) => passwd(args).await,
            Action::Remove(args) => remove(args).await,
        }
    })
}

async fn add(args: AddArgs) -> Done {
    let Place { data, output, common } = args.place;
    common.start_logging()?;
    let (password, made) = args.password.take()?;
    let role = args.role.0;
    let user = NewUser { name: args.name, role, password: password.clone() };
    let new = is_first_use(&data)?;
    let name = users::add_user(&data, user).await.map_err(|error| explain(error, &data))?;
    if new {
        note_made(&data);
    }
    let shown = made.then_some(password);
    if output.json {
        say!("{:#}", json!({ "name": name.as_str(), "role": role.name(), "password": shown }));
        return Ok(Outcome::Good);
    }
    say!("user      {name}");
    say!("role      {role}");
    show_password(shown.as_deref());
    Ok(Outcome::Good)
}

async fn list(args: ListArgs) -> Done {
    let Place { data, output, common } = args.place;
    common.start_logging()?;
    must_exist(&data)?;
    let users = users::list_users(&data).await.map_err(|error| explain(error, &data))?;
    if output.json {
        let users: Vec<_> = users.iter().map(as_json).collect();
        say!("{:#}", json!(users));
        return Ok(Outcome::Good);
    }
    say!("{:<32} {:<10} {:<20} SIGNED IN", "USER", "ROLE", "ADDED");
    for UserInfo { name, role, created, signed_in } in &users {
        let signed_in = signed_in.map_or_else(|| "never".to_owned(), show_wall);
        say!("{:<32} {:<10} {:<20} {signed_in}", name.as_str(), role.name(), show_wall(*created));
    }
    Ok(Outcome::Good)
}

async fn passwd(args: PasswdArgs) -> Done {
    let Place { data, output, common } = args.place;
    common.start_logging()?;
    must_exist(&data)?;
    let (password, made) = args.password.take()?;
    let changed = users::set_password(&data, &args.name, password.clone()).await;
    changed.map_err(|error| explain(error, &data))?;
    let shown = made.then_some(password);
    if output.json {
        say!("{:#}", json!({ "name": args.name.as_str(), "password": shown }));
        return Ok(Outcome::Good);
    }
    say!("{} has another password; their sessions have ended", args.name);
    show_password(shown.as_deref());
    Ok(Outcome::Good)
}

async fn remove(args: RemoveArgs) -> Done {
    let Place { data, output, common } = args.place;
    common.start_logging()?;
    must_exist(&data)?;
    users::remove_user(&data, &args.name).await.map_err(|error| explain(error, &data))?;
    if output.json {
        say!("{:#}", json!({ "name": args.name.as_str(), "removed": true }));
    } else {
        say!("{} is removed; their sessions have ended", args.name);
    }
    Ok(Outcome::Good)
}

fn show_password(password: Option<&str>) {
    if let Some(password) = password {
        say!("password  {password}   (shown only now)");
    }
}

fn as_json(user: &UserInfo) -> serde_json::Value {
    json!({
        "name": user.name.as_str(), "role": user.role.name(), "created_ms": user.created,
        "signed_in_ms": user.signed_in,
    })
}

fn explain(error: UserError, data: &Path) -> Failure {
    let list = format!("see `dashvault user list --data {}`", data.display());
    match &error {
        UserError::Name(_) | UserError::Password(_) => Failure::usage(error).next("choose another one"),
        UserError::Exists(_) | UserError::Unknown(_) | UserError::LastAdmin(_) => {
            Failure::from(error).next(list)
        }
        _ => unusable(error, data),
    }
}
