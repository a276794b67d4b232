//! What is in SQLite's write-ahead log (<https://www.sqlite.org/fileformat2.html#the_write_ahead_log>).

use std::path::Path;

const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;

/// How many transactions were committed to a log since it was begun anew: frames that tell the size of the database.
/// Those of an earlier round, which the log overwrites from its beginning, carry another salt.
pub(super) fn commits(log: &Path) -> usize {
    let Ok(log) = std::fs::read(log) else { return 0 };
    let Some(header) = log.get(..HEADER) else { return 0 };
    let number = |bytes: &[u8]| u32::from_be_bytes(bytes.try_into().unwrap());
    let page_size = number(&header[8..12]) as usize;
    log[HEADER..]
        .chunks_exact(FRAME_HEADER + page_size)
        .take_while(|frame| frame[8..16] == header[16..24])
        .filter(|frame| number(&frame[4..8]) != 0)
        .count()
}
