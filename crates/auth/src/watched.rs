//! A small file whose content is kept in memory and read again as soon as it has changed.

use std::{fs, io, io::Read as _, os::unix::fs::MetadataExt as _, path::PathBuf, sync::Arc};

use parking_lot::RwLock;

/// Most bytes that are read; no list of keys is that long.
const MAX_BYTES: u64 = 16 << 20;

/// Turns the content into what it means, or says what is wrong with it.
type Parse<T> = fn(&[u8]) -> Result<T, String>;

/// A file and what it says. Whoever replaces it by renaming is seen at the next look; one look is one `stat`.
pub(crate) struct Watched<T> {
    path: PathBuf,
    parse: Parse<T>,
    seen: RwLock<Option<(Stamp, Content<T>)>>,
}

/// What the file says; `None` where there is none. A file that cannot be used is never taken for an absent one.
pub(crate) type Content<T> = Result<Option<Arc<T>>, String>;

/// Tells one state of a file from another: device, inode, length, times of content and of inode.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp([i128; 5]);

impl Stamp {
    /// Of a file that is not there.
    const ABSENT: Self = Self([-1; 5]);

    fn of(file: &fs::Metadata) -> Self {
        let nanos = |seconds, nanos| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
        Self([
            file.dev().into(),
            file.ino().into(),
            file.len().into(),
            nanos(file.mtime(), file.mtime_nsec()),
            nanos(file.ctime(), file.ctime_nsec()),
        ])
    }
}

impl<T> Watched<T> {
    pub(crate) fn new(path: PathBuf, parse: Parse<T>) -> Self {
        Self { path, parse, seen: RwLock::new(None) }
    }

    /// What the file says now.
    ///
    /// Errors: it cannot be read or makes no sense; the text names it.
    pub(crate) fn look(&self) -> Content<T> {
        let now = match fs::metadata(&self.path) {
            Ok(file) => Stamp::of(&file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Stamp::ABSENT,
            Err(error) => return Err(format!("{}: {error}", self.path.display())),
        };
        if let Some((stamp, content)) = &*self.seen.read()
            && *stamp == now
        {
            return content.clone();
        }
        let (stamp, content) = self.read();
        if let Err(cause) = &content {
            tracing::error!("{cause}");
        }
        *self.seen.write() = Some((stamp, content.clone()));
        content
    }

    fn read(&self) -> (Stamp, Content<T>) {
        let mut bytes = Vec::new();
        let mut read = || {
            let file = fs::File::open(&self.path)?;
            // Of the file that is open: another one may have been put in its place meanwhile.
            let stamp = Stamp::of(&file.metadata()?);
            file.take(MAX_BYTES).read_to_end(&mut bytes)?;
            Ok::<_, io::Error>(stamp)
        };
        let named = |cause: &dyn std::fmt::Display| format!("{}: {cause}", self.path.display());
        match read() {
            Ok(stamp) => {
                let content = (self.parse)(&bytes).map_err(|cause| named(&cause));
                (stamp, content.map(|content| Some(Arc::new(content))))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => (Stamp::ABSENT, Ok(None)),
            // Tried again at the next look: the stamp is nobody's.
            Err(error) => (Stamp([-2; 5]), Err(named(&error))),
        }
    }
}
