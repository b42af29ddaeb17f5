//! When a worker has done enough: user code that leaks must not fill the machine.

use crate::Options;

/// The marks at which a worker is replaced.
pub(crate) struct Wear {
    pid: i32,
    max_runs: Option<u64>,
    max_bytes: Option<u64>,
}

impl Wear {
    /// The marks for a process.
    pub(crate) fn new(pid: i32, options: &Options) -> Self {
        let (max_runs, max_bytes) = (options.max_runs, options.max_memory_bytes);
        Self { pid, max_runs, max_bytes }
    }

    /// The process.
    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }

    /// Memory that it occupies, bytes.
    pub(crate) fn memory(&self) -> Option<u64> {
        memory(self.pid)
    }

    /// Whether a worker that has started so many runs is to be replaced.
    pub(crate) fn is_reached(&self, runs: u64) -> bool {
        self.max_runs.is_some_and(|max| runs >= max)
            || self.max_bytes.is_some_and(|max| memory(self.pid).is_some_and(|bytes| bytes >= max))
    }
}

/// Memory that a process occupies, bytes; `None` where the system does not tell.
fn memory(pid: i32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_is_worn_at_either_mark() {
        let pid = i32::try_from(std::process::id()).expect("a pid");
        let reached = |max_runs, max_bytes| Wear { pid, max_runs, max_bytes }.is_reached(5);
        assert!(!reached(None, None));
        assert!(reached(Some(5), None) && !reached(Some(6), None));
        assert!(!reached(None, Some(1 << 50)));
        assert_eq!(reached(None, Some(1)), cfg!(target_os = "linux"));
    }
}
