//! Processes of this machine, as `/proc` shows them.

use std::{collections::HashMap, fs};

use rustix::process::{Pid, Signal, kill_process};

/// A process that cannot be mistaken for a later one with the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    /// When it began, in ticks since the machine did.
    began: u64,
}

struct Stat {
    state: char,
    parent: u32,
    began: u64,
}

fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before may hold anything.
    let mut fields = text.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    let began = fields.nth(17)?.parse().ok()?;
    Some(Stat { state, parent, began })
}

/// Every living process below `root`.
pub(crate) fn descendants(root: u32) -> Vec<Process> {
    let mut children: HashMap<u32, Vec<Process>> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        if let Some(Stat { state, parent, began }) = stat(pid)
            && state != 'Z'
        {
            children.entry(parent).or_default().push(Process { pid, began });
        }
    }
    let (mut found, mut border) = (vec![], vec![root]);
    while let Some(parent) = border.pop() {
        for child in children.remove(&parent).unwrap_or_default() {
            border.push(child.pid);
            found.push(child);
        }
    }
    found.sort_unstable_by_key(|process| process.pid);
    found
}

impl Process {
    pub(crate) fn is_alive(self) -> bool {
        stat(self.pid).is_some_and(|stat| stat.state != 'Z' && stat.began == self.began)
    }

    /// Kills it, unless it has ended; `false` if it has.
    pub(crate) fn kill(self) -> bool {
        self.is_alive() && signal(self.pid, Signal::KILL)
    }
}

/// Asks a process to end.
pub(crate) fn terminate(pid: u32) {
    signal(pid, Signal::TERM);
}

fn signal(pid: u32, signal: Signal) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| kill_process(pid, signal).is_ok())
}

/// Resident memory of a process, MB.
pub(crate) fn resident_mb(pid: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: f64 = line.trim().trim_end_matches(" kB").trim().parse().ok()?;
    Some(kilobytes / 1024.0)
}
