//! Flags of `agent-server keys`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// What can be done with API keys.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Make a key and show it, this once; a running server that asks for keys accepts it at once
    Create(CreateArgs),
    /// List the keys, without their secrets
    List(FolderArgs),
    /// Take a key back; a running server refuses it at once
    Revoke(RevokeArgs),
}

/// Where the keys are.
#[derive(Args, Clone, Debug)]
pub(crate) struct FolderArgs {
    /// File that describes the project [default: langgraph.json]
    #[arg(long, short, value_name = "FILE", env = "AGENT_SERVER_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Folder of all data [default: as agent-server serve finds it]
    #[arg(long, value_name = "DIR", env = "AGENT_SERVER_DATA_DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}

/// What `keys create` takes.
#[derive(Args, Clone, Debug)]
pub(crate) struct CreateArgs {
    /// What you call the key: who or what holds it
    pub(crate) name: String,
    /// Who asks when it is presented [default: the name]
    #[arg(long, value_name = "USER")]
    pub(crate) identity: Option<String>,
    /// What that user may do; graphs see it. Can be given several times
    #[arg(long = "permission", value_name = "WORD")]
    pub(crate) permissions: Vec<String>,
    /// How long it counts: a number and m, h or d, as in 90d [default: until it is revoked]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) expires_in: Option<chrono::Duration>,
    /// Where the keys are.
    #[command(flatten)]
    pub(crate) folder: FolderArgs,
}

/// What `keys revoke` takes.
#[derive(Args, Clone, Debug)]
pub(crate) struct RevokeArgs {
    /// Id or name of the key
    pub(crate) key: String,
    /// Where the keys are.
    #[command(flatten)]
    pub(crate) folder: FolderArgs,
}

/// A length of time such as `90d`.
fn duration(text: &str) -> Result<chrono::Duration, String> {
    let unit = text.char_indices().next_back().map_or(0, |(at, _)| at);
    let (number, unit) = text.split_at(unit);
    let minutes = match unit {
        "m" => 1,
        "h" => 60,
        "d" => 60 * 24,
        _ => return Err("not a number and m, h or d, as in 90d".into()),
    };
    let number: u32 = number.parse().map_err(|_| format!("'{number}' is no number"))?;
    Ok(chrono::Duration::minutes(i64::from(number) * minutes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_a_number_and_a_unit() {
        let minutes = |text| duration(text).map(|duration| duration.num_minutes());
        assert_eq!(minutes("90d"), Ok(90 * 24 * 60));
        assert_eq!((minutes("12h"), minutes("5m")), (Ok(720), Ok(5)));
        for wrong in ["", "d", "90", "1y", "-1d", "1.5h", "\u{e9}", "99999999999d"] {
            assert!(minutes(wrong).is_err(), "{wrong}");
        }
    }
}
