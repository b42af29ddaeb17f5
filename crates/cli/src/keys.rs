//! `agent-server keys`: API keys are made, listed and revoked, beside a running server or without one.

use std::{fmt::Write as _, path::Path};

use agent_server_auth::keys::{Key, KeyFile, NewKey, State};
use agent_server_domain::{ports::Clock as _, storage::Timestamp};

use crate::{
    args::{CreateArgs, FolderArgs, KeysCommand},
    banner::say,
    config::{self, file::File, langgraph_json},
    data_folder,
    ports::SystemClock,
    refusal::Result,
};

/// Does what was asked for. The key itself is all that stdout gets of a new one, so that scripts can take it.
///
/// Errors: the keys cannot be read or changed, or what was asked for cannot be.
pub(crate) fn run(command: KeysCommand) -> Result<()> {
    let now = SystemClock.now();
    match command {
        KeysCommand::Create(args) => create(args, now),
        KeysCommand::List(args) => {
            say(table(&file(&args)?.list()?, now));
            Ok(())
        }
        KeysCommand::Revoke(args) => {
            let key = file(&args.folder)?.revoke(&args.key, now)?;
            eprintln!("Key '{}' ({}) is revoked.", key.name, key.id);
            Ok(())
        }
    }
}

fn create(args: CreateArgs, now: Timestamp) -> Result<()> {
    let folder = folder(&args.folder)?;
    data_folder::make(&folder)?;
    let file = KeyFile::of(&folder);
    let first = file.list()?.is_empty();
    let new = NewKey {
        identity: args.identity.unwrap_or_else(|| args.name.clone()),
        name: args.name,
        permissions: args.permissions,
        expires_at: args.expires_in.map(|time| now + time),
    };
    let (key, secret) = file.create(new, now)?;
    eprintln!("Key '{}' ({}) of {}. It is shown this once:", key.name, key.id, key.identity);
    say(format!("{}\n", secret.reveal()));
    if first {
        eprintln!("A server that runs already asks for keys from its next start on.");
    }
    Ok(())
}

fn file(args: &FolderArgs) -> Result<KeyFile> {
    Ok(KeyFile::of(&folder(args)?))
}

/// The data folder, found as a server finds it.
pub(crate) fn folder(args: &FolderArgs) -> Result<std::path::PathBuf> {
    let config = args.config.as_deref().unwrap_or(Path::new(langgraph_json::NAME));
    let project = std::path::absolute(config)?;
    let project = project.parent().unwrap_or(Path::new("/"));
    config::data_dir(args.data_dir.as_deref(), &File::load(project)?, project)
}

/// The keys for people, one a line.
fn table(keys: &[Key], now: Timestamp) -> String {
    let time = |at: Option<Timestamp>, none: &str| match at {
        Some(at) => at.format("%Y-%m-%d %H:%M").to_string(),
        None => none.to_owned(),
    };
    let head = ["ID", "NAME", "IDENTITY", "STATE", "CREATED", "EXPIRES", "PERMISSIONS"];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(keys.iter().map(|key| {
        let state = match key.state(now) {
            State::Active => "active",
            State::Expired => "expired",
            State::Revoked => "revoked",
        };
        [
            key.id.clone(),
            key.name.clone(),
            key.identity.clone(),
            state.to_owned(),
            time(Some(key.created_at), ""),
            time(key.expires_at, "never"),
            key.permissions.join(" "),
        ]
    }));
    let widths: [usize; 7] = std::array::from_fn(|column| {
        rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default()
    });
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            let written = write!(line, "{cell:<width$}  ");
            debug_assert!(written.is_ok(), "strings take everything");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
