//! Bytes that SQLite forgets: when it rebuilds a page, cells that moved to a neighbour stay behind in the unused middle
//! of the page, where `secure_delete` does not look when they are deleted later. Here that middle is overwritten.
//!
//! The file is written beside SQLite, which is safe under the conditions that [`Gaps::sweep`] names: the middle of a
//! page means nothing to anybody, so whoever reads it at the same time, or finds it half written after a crash, reads
//! the same rows.

use std::{fs::File, io, ops::Range, os::unix::fs::FileExt, path::Path};

/// Bytes of a page.
const PAGE: usize = 4096;
/// Pages that one call looks at: 8 MB, a few milliseconds.
const STEP: u32 = 2048;
/// Pages that are read at a time.
const CHUNK: u32 = 256;
/// Pages per page of back pointers (one byte of kind and four of page number for each), itself included.
const MAP_EVERY: u32 = PAGE as u32 / 5 + 1;
/// The page that holds SQLite's lock bytes and nothing else.
const LOCK_PAGE: u32 = 0x4000_0000 / PAGE as u32 + 1;
/// From here on a page that continues a long row could look like a page of rows (a file of 128 GB).
const MAX_PAGES: u32 = 1 << 25;

/// The database file and how far the sweep has come.
pub(crate) struct Gaps {
    file: File,
    /// Pages done in this round.
    done: u32,
}

impl Gaps {
    /// Opens the file, making an empty one if there is none.
    ///
    /// To be called before SQLite opens the file and dropped after it has closed it: closing any handle of a file
    /// gives up all locks that the process has on it.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file =
            File::options().read(true).write(true).create(true).truncate(false).open(path)?;
        Ok(Self { file, done: 0 })
    }

    /// Overwrites the gaps of the next pages; `true` when the last page of the file was among them.
    ///
    /// The caller is the only writer, is in no transaction, has just emptied the log and holds no page in its cache
    /// that it could write back.
    pub(crate) fn sweep(&mut self) -> io::Result<bool> {
        let pages = u32::try_from(self.file.metadata()?.len() / PAGE as u64).unwrap_or(u32::MAX);
        if pages >= MAX_PAGES {
            return Ok(true);
        }
        let end = pages.min(self.done + STEP);
        let mut changed = false;
        let mut buffer = vec![0; CHUNK as usize * PAGE];
        while self.done < end {
            let count = CHUNK.min(end - self.done);
            let chunk = &mut buffer[..count as usize * PAGE];
            self.file.read_exact_at(chunk, u64::from(self.done) * PAGE as u64)?;
            for (number, page) in (self.done + 1..).zip(chunk.chunks_exact(PAGE)) {
                let gap = gap(number, page).unwrap_or_default();
                if page[gap.clone()].iter().any(|&byte| byte != 0) {
                    let at = u64::from(number - 1) * PAGE as u64 + gap.start as u64;
                    self.file.write_all_at(&vec![0; gap.len()], at)?;
                    changed = true;
                }
            }
            self.done += count;
        }
        if changed {
            self.file.sync_data()?;
        }
        let finished = end == pages;
        if finished {
            self.done = 0;
        }
        Ok(finished)
    }
}

/// The unused bytes between the cell pointers and the cells of page `number`, counted from 1. `None` for a page that
/// holds no cells, and for one that does not look sound.
fn gap(number: u32, page: &[u8]) -> Option<Range<usize>> {
    let map_page = number >= 2 && (number - 2).is_multiple_of(MAP_EVERY);
    // A page of back pointers that would fall on the lock page is the one behind it.
    if map_page
        || number == LOCK_PAGE
        || (number == LOCK_PAGE + 1 && (number - 3).is_multiple_of(MAP_EVERY))
    {
        return None;
    }
    let header = if number == 1 { 100 } else { 0 };
    let word = |at: usize| usize::from(u16::from_be_bytes([page[at], page[at + 1]]));
    let pointers = match page[header] {
        2 | 5 => header + 12,
        10 | 13 => header + 8,
        _ => return None,
    };
    let (free, cells) = (word(header + 1), word(header + 3));
    let content = match word(header + 5) {
        0 => 65_536,
        content => content,
    };
    let start = pointers + 2 * cells;
    if start > content || content > PAGE || (free != 0 && free < content) {
        return None;
    }
    let sound = (0..cells).all(|cell| (content..PAGE).contains(&word(pointers + 2 * cell)));
    sound.then_some(start..content)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "these are tests")]
mod tests {
    use std::fs;

    use rusqlite::Connection;

    use super::{Gaps, PAGE, gap};

    /// A page of rows with one cell at its end, full of leftovers.
    fn leaf() -> Vec<u8> {
        let mut page = vec![b'x'; PAGE];
        page[..10].copy_from_slice(&[13, 0, 0, 0, 1, 0x0f, 0xf0, 0, 0x0f, 0xf0]);
        page
    }

    #[test]
    fn only_pages_of_cells_have_a_gap() {
        assert_eq!(gap(3, &leaf()), Some(10..0xff0));
        // Back pointers may begin with any byte.
        assert_eq!(gap(2, &leaf()), None);
        assert_eq!(gap(822, &leaf()), None);
        for (at, byte) in [(0, 0), (0, 7), (1, 1), (5, 0x20), (8, 0)] {
            let mut page = leaf();
            page[at] = byte;
            assert_eq!(gap(3, &page), None, "{at} {byte}");
        }
    }

    #[test]
    fn a_swept_file_is_sound_and_holds_the_same_rows() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        let mut gaps = Gaps::open(&path).unwrap();
        let connection = Connection::open(&path).unwrap();
        connection
            .execute_batch(
                "PRAGMA auto_vacuum = INCREMENTAL;
                 CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT UNIQUE);
                 WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30000)
                 INSERT INTO t SELECT i * 7919 % 30011, hex(randomblob(i % 90)) || i FROM n;
                 UPDATE t SET b = b || b WHERE a % 3 = 0;
                 DELETE FROM t WHERE a % 4 = 0;",
            )
            .unwrap();
        let sum = || -> String {
            let sql = "SELECT count(*) || ' ' || sum(a) || ' ' || max(b) FROM t";
            connection.query_row(sql, [], |row| row.get(0)).unwrap()
        };
        let (before, bytes) = (sum(), fs::read(&path).unwrap());
        let mut steps = 1;
        while !gaps.sweep().unwrap() {
            steps += 1;
        }
        assert!(steps > 1, "one step was enough for {} bytes", bytes.len());
        assert_ne!(fs::read(&path).unwrap(), bytes, "there was nothing to sweep");
        connection.execute_batch("PRAGMA shrink_memory").unwrap();
        let check: String =
            connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!((check.as_str(), sum()), ("ok", before));
    }
}
