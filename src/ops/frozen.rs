//! A weight that is never trained: it offers `x·Wᵀ` and `dy·W`, and no weight gradient exists at all.
//!
//! How it is stored and in which arithmetic it is multiplied are this type's own business: f32, bf16 packed
//! once for the processor's kernel, or as the model's file has it (quantised or not), read block by block
//! in every product (QLoRA, Dettmers et al. 2023).

use super::elementwise::add_assign;
use super::few_rows::{MOST_ROWS, few_rows, few_rows_stored};
use super::matmul::{Threads, View, ViewMut, matmul};
use super::packed::{self, Left, Panels, Start, pack_right_cols, pack_right_rows, right_panel_len, steps};
use super::quantised::BlockForm;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::ops::Range;
use std::sync::OnceLock;

/// In which numbers frozen weights are multiplied. Sums are f32 in either.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arithmetic {
    /// Single precision.
    F32,
    /// bfloat16 operands; needs a processor with AVX-512 BF16.
    Bf16,
}

impl Arithmetic {
    /// `f32` or `bf16`.
    pub fn name(self) -> &'static str {
        match self {
            Arithmetic::F32 => "f32",
            Arithmetic::Bf16 => "bf16",
        }
    }

    /// Whether this processor has it.
    pub fn available(self) -> bool {
        self == Arithmetic::F32 || packed::available(self)
    }

    /// The fastest that this processor has.
    pub fn fastest() -> Arithmetic {
        if packed::available(Arithmetic::Bf16) { Arithmetic::Bf16 } else { Arithmetic::F32 }
    }
}

/// Rows of a weight that stay as a file has them.
pub trait StoredRows: Send + Sync {
    /// Writes rows `rows` as f32.
    fn read(&self, rows: Range<usize>, out: &mut [f32]);

    /// `out[i] = ⟨row first + i, x⟩`, when that is faster than reading the rows; false when it is not, and `out` is as it was.
    fn dots(&self, _first: usize, _x: &[f32], _out: &mut [f32]) -> bool {
        false
    }

    /// The form of the blocks that the weight consists of, where a card reads it too.
    fn block_form(&self) -> Option<BlockForm> {
        None
    }

    /// All blocks, row after row, where [`StoredRows::block_form`] names their form.
    fn blocks(&self) -> Option<(BlockForm, Cow<'_, [u8]>)> {
        None
    }

    /// Bytes held for the whole weight.
    fn bytes(&self) -> usize;
}

/// A frozen linear map, weight `[outputs, inputs]`.
pub struct Frozen {
    outputs: usize,
    inputs: usize,
    arithmetic: Arithmetic,
    storage: Storage,
    /// Computed when first asked for.
    row_squares: OnceLock<Vec<f32>>,
}

enum Storage {
    /// Row-major f32, where there is no packed kernel.
    Rows(Vec<f32>),
    /// Packed once, for either product: panels of outputs, and panels of inputs when a backward first asks for them.
    Packed {
        by_output: Packed,
        by_input: OnceLock<Packed>,
    },
    Stored(Box<dyn StoredRows>),
}

/// Right panels that lie one after another.
struct Packed {
    words: Vec<u32>,
    steps: usize,
}

/// A stretch of the common dimension of packed panels.
struct Part<'a> {
    packed: &'a Packed,
    steps: Range<usize>,
}

impl Panels for Part<'_> {
    fn panels(&self) -> usize {
        self.packed.words.len() / right_panel_len(self.packed.steps)
    }

    fn panel<'a>(&'a self, index: usize, _: &'a mut packed::Scratch) -> &'a [u32] {
        let first = index * right_panel_len(self.packed.steps);
        &self.packed.words[first + right_panel_len(self.steps.start)..first + right_panel_len(self.steps.end)]
    }
}

/// Stored rows as right panels of outputs, read when a task comes to them.
struct ReadByOutput<'a> {
    rows: &'a dyn StoredRows,
    outputs: usize,
    inputs: usize,
    arithmetic: Arithmetic,
}

impl Panels for ReadByOutput<'_> {
    fn panels(&self) -> usize {
        self.outputs.div_ceil(packed::COLS)
    }

    fn panel<'a>(&'a self, index: usize, scratch: &'a mut packed::Scratch) -> &'a [u32] {
        let rows = index * packed::COLS..((index + 1) * packed::COLS).min(self.outputs);
        let count = rows.len();
        scratch.rows.resize(packed::COLS * self.inputs, 0.0);
        self.rows.read(rows, &mut scratch.rows[..count * self.inputs]);
        scratch.words.resize(right_panel_len(steps(self.arithmetic, self.inputs)), 0);
        pack_right_rows(self.arithmetic, &mut scratch.words, &scratch.rows, count, self.inputs, self.inputs);
        &scratch.words
    }
}

/// The left operand of a product, packed once for all weights that it meets.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    values: &'a [f32],
    rows: usize,
    packed: Option<&'a Left>,
}

impl<'a> Input<'a> {
    /// `x` [n, width] as it lies, for a weight without a packed kernel.
    pub fn plain(x: &'a [f32], n: usize) -> Input<'a> {
        Input { values: x, rows: n, packed: None }
    }
}

/// A buffer that prepares left operands.
#[derive(Default)]
pub struct Operand(Left);

impl Operand {
    /// `x` [n, width], ready for products in `arithmetic`.
    pub fn prepare<'a>(&'a mut self, arithmetic: Arithmetic, x: &'a [f32], n: usize, width: usize) -> Input<'a> {
        let packed = if packed::available(arithmetic) {
            self.0.pack(arithmetic, x, n, width);
            Some(&self.0)
        } else {
            None
        };
        Input { values: x, rows: n, packed }
    }

    /// An operand for a packed kernel, which must be there, whose rows `fill(row, columns, out)` writes, so that they never exist as a whole.
    pub fn prepare_with(
        &mut self,
        arithmetic: Arithmetic,
        n: usize,
        width: usize,
        fill: impl Fn(usize, Range<usize>, &mut [f32]) + Sync,
    ) -> Input<'_> {
        self.0.pack_with(arithmetic, n, width, fill);
        Input { values: &[], rows: n, packed: Some(&self.0) }
    }
}

/// Words of the common dimension that are worked through at a time: the panels of both operands stay in the
/// second-level cache.
const STEPS_AT_ONCE: usize = 1024;

/// Rows of a stored weight that exist as f32 at a time.
const ROWS_AT_ONCE: usize = 256;

impl Frozen {
    /// Wraps a row-major weight. The caller has checked the shape, `weight.len() == outputs * inputs`, and
    /// that the processor has `arithmetic`.
    pub fn new(weight: Vec<f32>, outputs: usize, inputs: usize, arithmetic: Arithmetic) -> Self {
        assert!(weight.len() == outputs * inputs, "weight does not have its shape");
        let storage = if packed::available(arithmetic) {
            let by_output = Packed::of(arithmetic, outputs, inputs, |panel, first, count| {
                pack_right_rows(arithmetic, panel, &weight[first * inputs..], count, inputs, inputs);
            });
            Storage::Packed { by_output, by_input: OnceLock::new() }
        } else {
            assert!(arithmetic == Arithmetic::F32, "this processor does not multiply bf16");
            Storage::Rows(weight)
        };
        Frozen { outputs, inputs, arithmetic, storage, row_squares: OnceLock::new() }
    }

    /// A weight that stays as its file has it.
    pub fn stored(rows: Box<dyn StoredRows>, outputs: usize, inputs: usize, arithmetic: Arithmetic) -> Self {
        Frozen { outputs, inputs, arithmetic, storage: Storage::Stored(rows), row_squares: OnceLock::new() }
    }

    /// Rows of the weight.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Columns of the weight.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// In which numbers it is multiplied.
    pub fn arithmetic(&self) -> Arithmetic {
        self.arithmetic
    }

    /// What [`Frozen::bytes_in_training`] of [`Frozen::new`] would be, without making one.
    pub fn bytes_of_full(outputs: usize, inputs: usize, arithmetic: Arithmetic) -> usize {
        if packed::available(arithmetic) {
            8 * outputs.div_ceil(packed::COLS) * right_panel_len(steps(arithmetic, inputs))
        } else {
            4 * outputs * inputs
        }
    }

    /// Bytes that a training will hold: packed weights twice, once for either product.
    pub fn bytes_in_training(&self) -> usize {
        match &self.storage {
            Storage::Packed { by_output, .. } => 8 * by_output.words.len(),
            _ => self.bytes(),
        }
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        match &self.storage {
            Storage::Rows(weight) => 4 * weight.len(),
            Storage::Packed { by_output, by_input } => {
                4 * (by_output.words.len() + by_input.get().map_or(0, |p| p.words.len()))
            }
            Storage::Stored(rows) => rows.bytes(),
        }
    }

    /// Rows `rows` as f32, with the precision that they are held in.
    pub fn read(&self, rows: Range<usize>, out: &mut [f32]) {
        match &self.storage {
            Storage::Rows(weight) => out.copy_from_slice(&weight[rows.start * self.inputs..rows.end * self.inputs]),
            Storage::Packed { by_output, .. } => {
                for (row, out) in rows.zip(out.chunks_exact_mut(self.inputs)) {
                    let panel = &by_output.words[row / packed::COLS * right_panel_len(by_output.steps)..];
                    let word = |step: usize| panel[step * packed::COLS + row % packed::COLS];
                    match self.arithmetic {
                        Arithmetic::F32 => {
                            for (step, out) in out.iter_mut().enumerate() {
                                *out = f32::from_bits(word(step));
                            }
                        }
                        Arithmetic::Bf16 => {
                            for (step, out) in out.chunks_mut(2).enumerate() {
                                out[0] = f32::from_bits(word(step) << 16);
                                if let Some(second) = out.get_mut(1) {
                                    *second = f32::from_bits(word(step) & 0xffff_0000);
                                }
                            }
                        }
                    }
                }
            }
            Storage::Stored(stored) => stored.read(rows, out),
        }
    }

    /// As [`StoredRows::block_form`].
    pub fn block_form(&self) -> Option<BlockForm> {
        match &self.storage {
            Storage::Stored(stored) => stored.block_form(),
            _ => None,
        }
    }

    /// As [`StoredRows::blocks`].
    pub fn blocks(&self) -> Option<(BlockForm, Cow<'_, [u8]>)> {
        match &self.storage {
            Storage::Stored(stored) => stored.blocks(),
            _ => None,
        }
    }

    /// ‖W‖² of every row, as the weight is held.
    pub fn row_squares(&self) -> &[f32] {
        self.row_squares.get_or_init(|| {
            let square = |row: &[f32]| row.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>() as f32;
            let row = |row: usize| {
                let mut values = vec![0.0; self.inputs];
                self.read(row..row + 1, &mut values);
                square(&values)
            };
            (0..self.outputs).into_par_iter().map(row).collect()
        })
    }

    /// `y = start + x·Wᵀ`: `x` [n, inputs] → `y` [n, outputs].
    pub fn forward(&self, x: Input<'_>, y: &mut [f32], start: Start<'_>) {
        let n = x.rows;
        match (&self.storage, x.packed) {
            (Storage::Packed { by_output, .. }, Some(left)) => {
                let part = Part { packed: by_output, steps: 0..by_output.steps };
                packed::product(left, 0..by_output.steps, &part, y, self.outputs, start);
            }
            (Storage::Rows(weight), _) if n <= MOST_ROWS && !matches!(start, Start::Keep) => {
                few_rows(weight, x.values, y, n, self.inputs);
                add_from(y, start);
            }
            // Where the weight's way from memory sets the time, f32 costs nothing and is exact.
            (Storage::Stored(rows), _) if n <= MOST_ROWS && !matches!(start, Start::Keep) => {
                few_rows_stored(&**rows, self.outputs, x.values, y, n, self.inputs);
                add_from(y, start);
            }
            (Storage::Stored(rows), Some(left)) => {
                let panels = ReadByOutput {
                    rows: &**rows,
                    outputs: self.outputs,
                    inputs: self.inputs,
                    arithmetic: self.arithmetic,
                };
                packed::product(left, 0..left.steps(), &panels, y, self.outputs, start);
            }
            (_, _) => {
                let keep = begin(y, start);
                self.for_f32_rows(|first, rows, weight| {
                    matmul(
                        ViewMut::strided(&mut y[first..], n, rows, self.outputs),
                        keep,
                        View::new(x.values, n, self.inputs),
                        View::new(weight, rows, self.inputs).t(),
                        1.0,
                        Threads::All,
                    );
                });
            }
        }
    }

    /// `dx = start + dy·W`: `dy` [n, outputs] → `dx` [n, inputs].
    pub fn backward(&self, dy: Input<'_>, dx: &mut [f32], start: Start<'_>) {
        let n = dy.rows;
        match (&self.storage, dy.packed) {
            (Storage::Packed { by_input, .. }, Some(left)) => {
                let by_input = by_input.get_or_init(|| self.pack_by_input());
                let mut start = start;
                for first in (0..by_input.steps).step_by(STEPS_AT_ONCE) {
                    let steps = first..(first + STEPS_AT_ONCE).min(by_input.steps);
                    let part = Part { packed: by_input, steps: steps.clone() };
                    packed::product(left, steps, &part, dx, self.inputs, start);
                    start = Start::Keep;
                }
            }
            (Storage::Stored(_), Some(left)) => {
                let mut start = start;
                self.for_f32_rows(|first, rows, weight| {
                    let panels = self.pack_columns(rows, weight);
                    let part = Part { packed: &panels, steps: 0..panels.steps };
                    let first = steps(self.arithmetic, first);
                    packed::product(left, first..first + panels.steps, &part, dx, self.inputs, start);
                    start = Start::Keep;
                });
            }
            (_, _) => {
                let mut keep = begin(dx, start);
                self.for_f32_rows(|first, rows, weight| {
                    matmul(
                        ViewMut::new(dx, n, self.inputs),
                        keep,
                        View::strided(&dy.values[first..], n, rows, self.outputs),
                        View::new(weight, rows, self.inputs),
                        1.0,
                        Threads::All,
                    );
                    keep = 1.0;
                });
            }
        }
    }

    /// Panels of inputs over `rows` rows of the weight.
    fn pack_columns(&self, rows: usize, weight: &[f32]) -> Packed {
        Packed::of(self.arithmetic, self.inputs, rows, |panel, column, count| {
            pack_right_cols(self.arithmetic, panel, &weight[column..], count, rows, self.inputs);
        })
    }

    /// Panels of inputs over the whole weight, made from the panels of outputs; the numbers are the same.
    fn pack_by_input(&self) -> Packed {
        let mut whole = vec![0.0; self.outputs * self.inputs];
        whole.par_chunks_mut(self.inputs).enumerate().for_each(|(row, out)| self.read(row..row + 1, out));
        self.pack_columns(self.outputs, &whole)
    }

    /// Calls `work(first row, rows, weight)` with all of the weight as f32: at once where it lies so, in blocks of
    /// [`ROWS_AT_ONCE`] rows where it must be read.
    fn for_f32_rows(&self, mut work: impl FnMut(usize, usize, &[f32])) {
        if let Storage::Rows(weight) = &self.storage {
            return work(0, self.outputs, weight);
        }
        /// Rows that one task reads.
        const TASK: usize = 16;
        let mut block = vec![0.0f32; ROWS_AT_ONCE.min(self.outputs) * self.inputs];
        for first in (0..self.outputs).step_by(ROWS_AT_ONCE) {
            let rows = ROWS_AT_ONCE.min(self.outputs - first);
            let block = &mut block[..rows * self.inputs];
            block.par_chunks_mut(TASK * self.inputs).enumerate().for_each(|(i, out)| {
                let from = first + i * TASK;
                self.read(from..from + out.len() / self.inputs, out);
            });
            work(first, rows, block);
        }
    }
}

impl Packed {
    /// Packs all panels of a right operand with `columns` columns and a common dimension of `common`.
    fn of(
        arithmetic: Arithmetic,
        columns: usize,
        common: usize,
        pack: impl Fn(&mut [u32], usize, usize) + Sync,
    ) -> Packed {
        let steps = steps(arithmetic, common);
        let mut words = vec![0; columns.div_ceil(packed::COLS) * right_panel_len(steps)];
        words.par_chunks_mut(right_panel_len(steps)).enumerate().for_each(|(i, panel)| {
            let first = i * packed::COLS;
            pack(panel, first, packed::COLS.min(columns - first));
        });
        Packed { words, steps }
    }
}

/// Adds what a result starts from after the product was written.
fn add_from(y: &mut [f32], start: Start<'_>) {
    if let Start::From(x) = start {
        add_assign(y, &x[..y.len()]);
    }
}

/// Brings `y` to what the product starts from; gives the factor on it.
fn begin(y: &mut [f32], start: Start<'_>) -> f32 {
    match start {
        Start::Zero => 0.0,
        Start::Keep => 1.0,
        Start::From(x) => {
            y.copy_from_slice(&x[..y.len()]);
            1.0
        }
    }
}
