//! Products of packed operands: on one core for the small matrices of attention, on all for the model's weights.

use super::available;
use super::kernel::{COLS, ROWS, Target, tile};
use super::pack::{Left, right_panel_len};
use crate::ops::frozen::Arithmetic;
use rayon::prelude::*;
use std::ops::Range;

/// What a result starts from, before the product is added.
#[derive(Clone, Copy)]
pub enum Start<'a> {
    /// Nothing: old contents are not read.
    Zero,
    /// Its old contents.
    Keep,
    /// Another matrix of the same shape.
    From(&'a [f32]),
}

/// A right operand whose panels are asked for one at a time.
pub trait Panels: Sync {
    /// Number of panels.
    fn panels(&self) -> usize;

    /// Panel `index`, packed; `scratch` is the caller's, for operands that are packed on the way.
    fn panel<'a>(&'a self, index: usize, scratch: &'a mut Scratch) -> &'a [u32];
}

/// Buffers for operands that are packed on the way.
#[derive(Default)]
pub struct Scratch {
    /// Rows as f32.
    pub rows: Vec<f32>,
    /// The packed panel.
    pub words: Vec<u32>,
}

/// Shares the result among tasks that write different columns of it.
#[derive(Clone, Copy)]
struct Shared(*mut f32);

// SAFETY: every task writes columns of its own; see `product`.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    fn at(self, i: usize) -> *mut f32 {
        self.0.wrapping_add(i)
    }
}

/// Multiply-adds below which a task is not worth its scheduling.
const LEAST_WORK: usize = 1 << 18;

/// `out = start + left[:, steps]·right` on all cores: `out` is `[left.rows(), cols]`. `steps` are the words of the left operand
/// that the right one has; others are left out (the common dimension is worked through in parts).
pub fn product(left: &Left, steps: Range<usize>, right: &impl Panels, out: &mut [f32], cols: usize, start: Start<'_>) {
    let rows = left.rows();
    assert!(
        available(left.arithmetic())
            && out.len() >= rows * cols
            && right.panels() == cols.div_ceil(COLS)
            && steps.end <= left.steps()
    );
    if let Start::From(add) = start {
        assert!(add.len() >= rows * cols, "a result starts from a smaller matrix");
    }
    let shared = Shared(out.as_mut_ptr());
    let work = rows.div_ceil(ROWS) * ROWS * COLS * steps.len();
    let count = steps.len();
    (0..right.panels()).into_par_iter().with_min_len((LEAST_WORK / work.max(1)).max(1)).for_each_init(
        Scratch::default,
        |scratch, p| {
            let words = right.panel(p, scratch);
            assert!(words.len() >= right_panel_len(count), "right panel too short");
            for i in 0..left.panels() {
                let at = i * ROWS * cols + p * COLS;
                let add = match start {
                    Start::Zero => std::ptr::null(),
                    Start::Keep => shared.at(at).cast_const(),
                    Start::From(add) => add[at..].as_ptr(),
                };
                let target = Target {
                    out: shared.at(at),
                    add,
                    stride: cols,
                    rows: ROWS.min(rows - i * ROWS),
                    cols: COLS.min(cols - p * COLS),
                    scale: 1.0,
                };
                let panel = &left.panel(i)[steps.start * ROWS..steps.end * ROWS];
                // SAFETY: the operands' lengths are checked; the target lies in `out` (`start`), and no other
                // task writes these columns.
                unsafe { tile(left.arithmetic(), count, panel.as_ptr(), words.as_ptr(), target) };
            }
        },
    );
}

/// `out = keep·out + scale × left·right` on the calling thread. `left` are panels of `rows` rows, `right` panels of `cols`
/// columns, both with `steps` words of the common dimension; panels of `right` begin `right_stride` words apart. `out` rows are `stride` apart.
#[allow(clippy::too_many_arguments)]
pub fn multiply(
    arithmetic: Arithmetic,
    left: &[u32],
    rows: usize,
    right: &[u32],
    right_stride: usize,
    cols: usize,
    steps: usize,
    out: &mut [f32],
    stride: usize,
    keep: bool,
    scale: f32,
) {
    if rows == 0 || cols == 0 {
        return;
    }
    let panels = cols.div_ceil(COLS);
    assert!(available(arithmetic) && left.len() >= rows.div_ceil(ROWS) * steps * ROWS);
    assert!(right.len() >= (panels - 1) * right_stride + steps * COLS);
    assert!(out.len() >= (rows - 1) * stride + cols && stride >= cols);
    for p in 0..panels {
        for i in 0..rows.div_ceil(ROWS) {
            let at = out[i * ROWS * stride + p * COLS..].as_mut_ptr();
            let target = Target {
                out: at,
                add: if keep { at.cast_const() } else { std::ptr::null() },
                stride,
                rows: ROWS.min(rows - i * ROWS),
                cols: COLS.min(cols - p * COLS),
                scale,
            };
            // SAFETY: lengths are checked above.
            unsafe {
                tile(arithmetic, steps, left[i * steps * ROWS..].as_ptr(), right[p * right_stride..].as_ptr(), target)
            };
        }
    }
}
