//! The bytes of a point: gzip of lines of JSON, first the [`Head`], then an object a line.
//!
//! `zcat FILE | head -1` shows the head. Head and objects are two members of the gzip stream, so
//! the objects are packed before their digest is known and none has to be kept in memory.

use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read, Write};

use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{FORMAT, Head, Unusable};

/// Most bytes of a part. A ConfigMap holds 1 MiB at most, with its metadata.
pub const MOST_PART: usize = 900_000;
/// Thirty times the objects of a Flux with all controllers. Bounds the memory for a point.
const MOST_DECOMPRESSED: u64 = 32 << 20;
/// A head is some hundred bytes long.
const MOST_HEAD: u64 = 64 << 10;

/// A part of an encoded point.
pub type PointPart = Vec<u8>;

/// Encodes objects one by one.
pub struct Encoder {
    gzip: GzEncoder<Vec<u8>>,
    hash: Sha256,
    objects: usize,
}

impl Default for Encoder {
    fn default() -> Self {
        Self {
            gzip: GzEncoder::new(Vec::new(), Compression::best()),
            hash: Sha256::new(),
            objects: 0,
        }
    }
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Encoder")
            .field("objects", &self.objects)
            .finish_non_exhaustive()
    }
}

impl Encoder {
    /// Adds an object. Objects come [stripped](super::stripped) and in the order of
    /// [`rank`](super::rank).
    pub fn push(&mut self, object: &Value) {
        let line = format!("{object}\n");
        self.hash.update(&line);
        // Writing to memory does not fail.
        let _ = self.gzip.write_all(line.as_bytes());
        self.objects += 1;
    }

    /// Completes the head, and returns it with all bytes.
    #[must_use]
    pub fn finish(self, head: Head) -> (Head, Vec<u8>) {
        let head = Head {
            format: FORMAT,
            digest: hex(&self.hash.finalize()),
            objects: self.objects,
            ..head
        };
        // A head is strings and numbers, which always serialize.
        let line = serde_json::to_string(&head).unwrap_or_default() + "\n";
        let mut first = GzEncoder::new(Vec::new(), Compression::best());
        let _ = first.write_all(line.as_bytes());
        let mut bytes = first.finish().unwrap_or_default();
        bytes.extend(self.gzip.finish().unwrap_or_default());
        (head, bytes)
    }
}

pub(super) fn encode(head: Head, objects: &[Value]) -> (Head, Vec<u8>) {
    let mut encoder = Encoder::default();
    for object in objects {
        encoder.push(object);
    }
    encoder.finish(head)
}

/// Cuts encoded bytes into parts.
#[must_use]
pub fn parts(bytes: &[u8]) -> Vec<PointPart> {
    bytes.chunks(MOST_PART).map(<[u8]>::to_vec).collect()
}

/// Reads the head and checks the digest, without keeping an object.
///
/// # Errors
/// If the bytes are no point, are spoilt or of a newer format.
pub fn verify<P: AsRef<[u8]>>(parts: &[P]) -> Result<Head, Unusable> {
    walk(parts, |_| Ok(()))
}

pub(super) fn decode<P: AsRef<[u8]>>(parts: &[P]) -> Result<(Head, Vec<Value>), Unusable> {
    let mut objects = Vec::new();
    let head = walk(parts, |line| {
        let object = serde_json::from_slice(line);
        objects.push(object.map_err(|_| Unusable::Spoilt("an object is no JSON"))?);
        Ok(())
    })?;
    Ok((head, objects))
}

/// Shows each object's line, and checks head, number and digest.
fn walk<P: AsRef<[u8]>>(
    parts: &[P],
    mut show: impl FnMut(&[u8]) -> Result<(), Unusable>,
) -> Result<Head, Unusable> {
    let packed = Chain { parts, at: 0 };
    // One byte over the bound tells a fitting point from a longer one.
    let unpacked = MultiGzDecoder::new(BufReader::new(packed)).take(MOST_DECOMPRESSED + 1);
    let mut lines = BufReader::new(unpacked);
    let head = head(&mut lines)?;
    let (mut hash, mut count, mut line) = (Sha256::new(), 0, Vec::new());
    loop {
        line.clear();
        let read = lines.read_until(b'\n', &mut line);
        if read.map_err(|error| spoilt(&error))? == 0 {
            break;
        }
        hash.update(&line);
        count += 1;
        if lines.get_ref().limit() == 0 {
            return Err(Unusable::TooLarge(MOST_DECOMPRESSED));
        }
        show(&line)?;
    }
    if hex(&hash.finalize()) != head.digest || count != head.objects {
        return Err(Unusable::Spoilt("its objects do not have its digest"));
    }
    Ok(head)
}

/// Reads the first line.
fn head(lines: &mut impl BufRead) -> Result<Head, Unusable> {
    /// The part of a head that every format has.
    #[derive(Deserialize)]
    struct Marked {
        format: u32,
    }
    let mut line = Vec::new();
    let mut first = lines.take(MOST_HEAD);
    let read = first.read_until(b'\n', &mut line);
    read.map_err(|error| match error.kind() {
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
            Unusable::NotAPoint("it is not gzip")
        }
        _ => spoilt(&error),
    })?;
    let marked = serde_json::from_slice::<Marked>(&line);
    let marked = marked.map_err(|_| Unusable::NotAPoint("its first line is no head"))?;
    if marked.format > FORMAT {
        return Err(Unusable::Newer(marked.format));
    }
    serde_json::from_slice(&line).map_err(|_| Unusable::Spoilt("its head is unreadable"))
}

fn spoilt(error: &io::Error) -> Unusable {
    Unusable::Spoilt(match error.kind() {
        io::ErrorKind::UnexpectedEof => "it ends early",
        _ => "its bytes were changed",
    })
}

/// The bytes of all parts, one behind the other.
struct Chain<'a, P> {
    parts: &'a [P],
    /// Bytes read of the first part.
    at: usize,
}

impl<P: AsRef<[u8]>> Read for Chain<'_, P> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some((first, rest)) = self.parts.split_first() {
            let mut left = first.as_ref().get(self.at..).unwrap_or_default();
            let read = left.read(buffer)?;
            self.at += read;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            (self.parts, self.at) = (rest, 0);
        }
        Ok(0)
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}
