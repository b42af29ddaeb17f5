//! What stands around the records: zstd, a header with the version, an end with counts and a checksum.

use std::io::{self, BufRead, BufReader, Read, Write};

use agent_server_storage::{ThreadId, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{Counts, Error, Result, record::Record};

/// Version of the format that is written; what older ones have said can still be read.
pub const VERSION: u32 = 2;
/// What a header calls the format.
const FORMAT: &str = "agent-server-archive";
/// Compression level: chat-like JSON shrinks to a tenth, faster than it is read from the storage.
const LEVEL: i32 = 3;
/// First bytes of a zstd frame. Lines begin with a brace.
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// What an archive says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    format: String,
    version: u32,
    /// Version of the program that made it.
    pub program: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Words of the kinds that were asked for.
    pub kinds: Vec<String>,
    /// The threads that were asked for; `None` for all.
    pub threads: Option<Vec<ThreadId>>,
}

impl Header {
    /// The header of an archive that is made now.
    pub fn new(
        program: &str,
        created_at: Timestamp,
        kinds: Vec<String>,
        threads: Option<Vec<ThreadId>>,
    ) -> Self {
        let program = program.to_owned();
        Self { format: FORMAT.to_owned(), version: VERSION, program, created_at, kinds, threads }
    }
}

/// The last line.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct End {
    records: Counts,
    /// Of all bytes before the line.
    sha256: String,
}

/// Lines that are no records.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Frame {
    Header(Header),
    End(End),
}

/// The part of a header that every version has.
#[derive(Deserialize)]
struct Start {
    header: Named,
}

#[derive(Deserialize)]
struct Named {
    format: String,
    version: u32,
}

/// Writes an archive.
pub(crate) struct Writer<W: Write> {
    zstd: zstd::Encoder<'static, W>,
    hash: Sha256,
    counts: Counts,
    line: Vec<u8>,
}

impl<W: Write> Writer<W> {
    pub(crate) fn new(out: W, header: Header) -> Result<Self> {
        let mut zstd = zstd::Encoder::new(out, LEVEL)?;
        zstd.include_checksum(true)?;
        let (hash, counts) = (Sha256::new(), Counts::new());
        let mut writer = Self { zstd, hash, counts, line: vec![] };
        writer.line(&Frame::Header(header)).map_err(io::Error::from)??;
        Ok(writer)
    }

    pub(crate) fn record(&mut self, record: &Record) -> Result<()> {
        self.line(record).map_err(|error| Error::Unwritable {
            what: format!("a record of kind '{}'", record.name()),
            why: error.to_string(),
        })??;
        *self.counts.entry(record.name().to_owned()).or_default() += 1;
        Ok(())
    }

    /// Writes the end, without which nothing counts.
    pub(crate) fn finish(mut self) -> Result<(W, Counts)> {
        let sha256 = hex(self.hash.clone());
        let end = End { records: self.counts.clone(), sha256 };
        self.line(&Frame::End(end)).map_err(io::Error::from)??;
        let mut out = self.zstd.finish()?;
        out.flush()?;
        Ok((out, self.counts))
    }

    /// The outer error is one of the value, the inner one of the stream.
    fn line(&mut self, value: &impl Serialize) -> serde_json::Result<io::Result<()>> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, value)?;
        // Only the user's JSON can hold line breaks, between its tokens, where a space says the same.
        for byte in &mut self.line {
            if matches!(byte, b'\n' | b'\r') {
                *byte = b' ';
            }
        }
        self.line.push(b'\n');
        self.hash.update(&self.line);
        Ok(self.zstd.write_all(&self.line))
    }
}

/// Reads an archive, compressed or as plain lines.
pub(crate) struct Reader {
    input: Box<dyn BufRead + Send>,
    hash: Sha256,
    counts: Counts,
    line: Vec<u8>,
    lines: u64,
}

impl Reader {
    /// Reads the header.
    pub(crate) fn new(input: impl Read + Send + 'static) -> Result<(Self, Header)> {
        let mut input = BufReader::new(input);
        // As many as come in one go may be fewer than four, so they are read for sure and put back.
        let mut magic = vec![];
        input.by_ref().take(ZSTD.len() as u64).read_to_end(&mut magic)?;
        if magic.is_empty() {
            return Err(Error::NoArchive("it is empty".into()));
        }
        let zipped = magic == ZSTD;
        let input = io::Cursor::new(magic).chain(input);
        let input: Box<dyn BufRead + Send> = match zipped {
            true => Box::new(BufReader::new(zstd::Decoder::with_buffer(input)?)),
            false => Box::new(input),
        };
        let (hash, counts) = (Sha256::new(), Counts::new());
        let mut reader = Self { input, hash, counts, line: vec![], lines: 0 };
        let header = reader.header()?;
        Ok((reader, header))
    }

    fn header(&mut self) -> Result<Header> {
        self.read_line()?;
        let start: Start = serde_json::from_slice(&self.line)
            .map_err(|error| Error::NoArchive(format!("its first line is no header: {error}")))?;
        if start.header.format != FORMAT {
            return Err(Error::NoArchive(format!("its format is '{}'", start.header.format)));
        }
        if start.header.version > VERSION {
            return Err(Error::Newer { found: start.header.version });
        }
        match serde_json::from_slice(&self.line) {
            Ok(Frame::Header(header)) => {
                self.hash.update(&self.line);
                Ok(header)
            }
            Ok(Frame::End(_)) => Err(Error::NoArchive("its first line is no header".into())),
            Err(error) => Err(self.damaged(error)),
        }
    }

    /// The next record; `None` when the archive has ended, and was whole.
    pub(crate) fn next(&mut self) -> Result<Option<Record>> {
        self.read_line()?;
        if self.line.starts_with(br#"{"end":"#) {
            return self.end().map(|()| None);
        }
        let record: Record =
            serde_json::from_slice(&self.line).map_err(|error| self.damaged(error))?;
        self.hash.update(&self.line);
        *self.counts.entry(record.name().to_owned()).or_default() += 1;
        Ok(Some(record))
    }

    /// The line that was read last is wrong.
    pub(crate) fn damaged(&self, why: impl ToString) -> Error {
        Error::Damaged { line: self.lines, why: why.to_string() }
    }

    fn end(&mut self) -> Result<()> {
        let Ok(Frame::End(end)) = serde_json::from_slice(&self.line) else {
            return Err(self.damaged("it is no end of an archive"));
        };
        if end.records != self.counts {
            return Err(self.damaged("records are missing, or there are too many"));
        }
        if end.sha256 != hex(self.hash.clone()) {
            return Err(self.damaged("the checksum is another: the archive was changed"));
        }
        self.line.clear();
        match self.input.read_until(b'\n', &mut self.line) {
            Ok(0) => Ok(()),
            Ok(_) => Err(self.damaged("something follows the end of the archive")),
            Err(error) => Err(self.unreadable(error)),
        }
    }

    fn read_line(&mut self) -> Result<()> {
        self.line.clear();
        let read = self.input.read_until(b'\n', &mut self.line);
        let read = read.map_err(|error| self.unreadable(error))?;
        if read == 0 || self.line.last() != Some(&b'\n') {
            return Err(Error::Cut { lines: self.lines });
        }
        self.lines += 1;
        Ok(())
    }

    /// An error of the stream: zstd's own are damage.
    fn unreadable(&self, error: io::Error) -> Error {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Error::Cut { lines: self.lines },
            io::ErrorKind::Other => Error::Damaged { line: self.lines + 1, why: error.to_string() },
            _ => error.into(),
        }
    }
}

fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
