//! Token rows as Hugging Face `datasets` keeps them on disk (`load_from_disk`, which is what LLaMA-Factory's
//! `tokenized_path` reads): an Arrow stream. Only what three lists of 32-bit integers need of the format is here
//! (<https://arrow.apache.org/docs/format/Columnar.html>): a schema, record batches, an end.

use super::token_files::{TOKEN_COLUMNS, TokenRow};
use flatbuffers::{FlatBufferBuilder, TableFinishedWIPOffset, VOffsetT, WIPOffset};
use std::io::{self, Write};

/// Rows of a record batch.
const BATCH: usize = 1_000;
/// Tokens after which a batch ends although it has fewer rows.
const BATCH_TOKENS: usize = 2 << 20;
/// Metadata version V5.
const VERSION: i16 = 4;
/// Members of the unions `MessageHeader` and `Type`.
const SCHEMA: u8 = 1;
const RECORD_BATCH: u8 = 3;
const INT: u8 = 2;
const LIST: u8 = 12;

/// Where the field number `id` of a table stands.
const fn slot(id: VOffsetT) -> VOffsetT {
    4 + 2 * id
}

/// A stream of token rows. It holds one record batch at a time.
pub struct TokenStream<W> {
    to: W,
    rows: Vec<TokenRow>,
    held: usize,
}

impl<W: Write> TokenStream<W> {
    /// Begins a stream.
    ///
    /// # Errors
    /// Those of writing.
    pub fn new(mut to: W) -> io::Result<TokenStream<W>> {
        message(&mut to, SCHEMA, &[], schema)?;
        Ok(TokenStream { to, rows: Vec::with_capacity(BATCH), held: 0 })
    }

    /// Adds a row.
    ///
    /// # Errors
    /// Those of writing.
    pub fn row(&mut self, row: TokenRow) -> io::Result<()> {
        self.held += row.input_ids.len();
        self.rows.push(row);
        if self.rows.len() < BATCH && self.held < BATCH_TOKENS { Ok(()) } else { self.batch() }
    }

    fn batch(&mut self) -> io::Result<()> {
        let (mut body, mut nodes, mut buffers) = (Vec::new(), Vec::new(), Vec::new());
        for column in 0..TOKEN_COLUMNS.len() {
            let (mut values, mut offsets) = (Vec::new(), vec![0i32]);
            for row in &self.rows {
                values.extend(row.column(column));
                offsets.push(i32::try_from(values.len()).map_err(io::Error::other)?);
            }
            nodes.extend([(self.rows.len(), 0), (values.len(), 0)]);
            // No list and no value is null, so their bitmaps are left out.
            for buffer in [&[][..], &offsets, &[], &values] {
                buffers.push((body.len(), buffer.len() * 4));
                body.extend(buffer.iter().flat_map(|n| n.to_le_bytes()));
                body.resize(body.len().next_multiple_of(8), 0);
            }
        }
        let rows = self.rows.len();
        message(&mut self.to, RECORD_BATCH, &body, |fb| record_batch(fb, rows, &nodes, &buffers))?;
        self.rows.clear();
        self.held = 0;
        Ok(())
    }

    /// Ends the stream and gives back what it was written to.
    ///
    /// # Errors
    /// Those of writing.
    pub fn finish(mut self) -> io::Result<W> {
        if !self.rows.is_empty() {
            self.batch()?;
        }
        self.to.write_all(&[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0])?;
        Ok(self.to)
    }
}

fn message<'f>(
    to: &mut impl Write,
    kind: u8,
    body: &[u8],
    header: impl FnOnce(&mut FlatBufferBuilder<'f>) -> WIPOffset<TableFinishedWIPOffset>,
) -> io::Result<()> {
    let mut fb = FlatBufferBuilder::new();
    let header = header(&mut fb);
    let table = fb.start_table();
    fb.push_slot_always(slot(3), body.len() as i64);
    fb.push_slot_always(slot(2), header);
    fb.push_slot_always(slot(0), VERSION);
    fb.push_slot_always(slot(1), kind);
    let table = fb.end_table(table);
    fb.finish_minimal(table);
    let mut metadata = fb.finished_data().to_vec();
    // The eight bytes of mark and length are counted in, so that the body is aligned.
    metadata.resize(metadata.len().next_multiple_of(8), 0);
    to.write_all(&[0xff; 4])?;
    to.write_all(&i32::try_from(metadata.len()).map_err(io::Error::other)?.to_le_bytes())?;
    to.write_all(&metadata)?;
    to.write_all(body)
}

fn schema(fb: &mut FlatBufferBuilder<'_>) -> WIPOffset<TableFinishedWIPOffset> {
    let columns: Vec<_> = TOKEN_COLUMNS
        .iter()
        .map(|name| {
            let table = fb.start_table();
            fb.push_slot_always(slot(0), 32i32);
            fb.push_slot_always(slot(1), true);
            let int = fb.end_table(table);
            let item = field(fb, "item", INT, int, &[]);
            let table = fb.start_table();
            let list = fb.end_table(table);
            field(fb, name, LIST, list, &[item])
        })
        .collect();
    let fields = fb.create_vector(&columns);
    let table = fb.start_table();
    fb.push_slot_always(slot(1), fields);
    fb.end_table(table)
}

fn field(
    fb: &mut FlatBufferBuilder<'_>,
    name: &str,
    kind: u8,
    of: WIPOffset<TableFinishedWIPOffset>,
    children: &[WIPOffset<TableFinishedWIPOffset>],
) -> WIPOffset<TableFinishedWIPOffset> {
    let name = fb.create_string(name);
    let children = fb.create_vector(children);
    let table = fb.start_table();
    fb.push_slot_always(slot(0), name);
    fb.push_slot_always(slot(3), of);
    fb.push_slot_always(slot(5), children);
    fb.push_slot_always(slot(1), true);
    fb.push_slot_always(slot(2), kind);
    fb.end_table(table)
}

/// Two 64-bit numbers, as `FieldNode` and `Buffer` are laid out.
#[derive(Clone, Copy)]
struct Pair(i64, i64);

impl flatbuffers::Push for Pair {
    type Output = Pair;

    // SAFETY: the caller gives a destination of `size()` bytes, and exactly those are written.
    unsafe fn push(&self, target: &mut [u8], _: usize) {
        let bytes = self.0.to_le_bytes().into_iter().chain(self.1.to_le_bytes());
        target.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
    }

    fn size() -> usize {
        16
    }

    fn alignment() -> flatbuffers::PushAlignment {
        flatbuffers::PushAlignment::new(8)
    }
}

fn record_batch(
    fb: &mut FlatBufferBuilder<'_>,
    rows: usize,
    nodes: &[(usize, usize)],
    buffers: &[(usize, usize)],
) -> WIPOffset<TableFinishedWIPOffset> {
    let pairs = |list: &[(usize, usize)]| list.iter().map(|(a, b)| Pair(*a as i64, *b as i64)).collect::<Vec<_>>();
    let nodes = fb.create_vector(&pairs(nodes));
    let buffers = fb.create_vector(&pairs(buffers));
    let table = fb.start_table();
    fb.push_slot_always(slot(0), rows as i64);
    fb.push_slot_always(slot(1), nodes);
    fb.push_slot_always(slot(2), buffers);
    fb.end_table(table)
}
