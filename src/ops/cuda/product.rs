//! A matrix product as it is asked of a card.

use super::device::Rows;
use crate::error::{Error, Result};
use half::bf16;

/// `out[m, n] = alpha · a[m, k] · b + beta · start`, all row-major with rows `stride` elements apart.
#[derive(Clone, Copy)]
pub struct Product<'a> {
    /// Rows of the result.
    pub m: usize,
    /// Columns of the result.
    pub n: usize,
    /// The common dimension.
    pub k: usize,
    /// `[m, k]`, or `[k, m]` with `a_transposed`; of the same number type as `b`.
    pub a: AnyRows<'a>,
    /// Whether `a` lies transposed.
    pub a_transposed: bool,
    /// `[k, n]`, or `[n, k]` with `b_transposed` (a weight `[outputs, inputs]` in `x·Wᵀ`).
    pub b: AnyRows<'a>,
    /// Whether `b` lies transposed.
    pub b_transposed: bool,
    /// Where the result goes, in either number type.
    pub out: AnyRows<'a>,
    /// What the product is multiplied by.
    pub alpha: f32,
    /// What is added, times `beta`; the result itself, where `None`.
    pub start: Option<AnyRows<'a>>,
    /// 0 or 1 mostly.
    pub beta: f32,
}

/// Rows of a product's operand or result.
#[derive(Clone, Copy)]
pub enum AnyRows<'a> {
    /// bf16.
    Bf16(Rows<'a, bf16>),
    /// f32.
    F32(Rows<'a, f32>),
}

impl AnyRows<'_> {
    /// Address of the first element.
    pub fn address(self) -> u64 {
        match self {
            AnyRows::Bf16(rows) => rows.address(),
            AnyRows::F32(rows) => rows.address(),
        }
    }

    /// Elements from row to row.
    pub fn stride(self) -> u32 {
        match self {
            AnyRows::Bf16(rows) => rows.stride(),
            AnyRows::F32(rows) => rows.stride(),
        }
    }

    /// As [`Rows::hold`].
    ///
    /// # Errors
    /// `Internal`.
    pub fn hold(self, rows: usize, width: usize) -> Result<()> {
        match self {
            AnyRows::Bf16(all) => all.hold(rows, width),
            AnyRows::F32(all) => all.hold(rows, width),
        }
    }

    /// Whether they are single precision.
    pub fn is_f32(self) -> bool {
        matches!(self, AnyRows::F32(_))
    }
}

impl Product<'_> {
    /// That operands and result lie in their buffers, and that their number types can be multiplied.
    ///
    /// # Errors
    /// `Internal`.
    pub fn check(&self) -> Result<()> {
        let (rows, width) = if self.a_transposed { (self.k, self.m) } else { (self.m, self.k) };
        self.a.hold(rows, width)?;
        let (rows, width) = if self.b_transposed { (self.n, self.k) } else { (self.k, self.n) };
        self.b.hold(rows, width)?;
        for out in [Some(self.out), self.start].into_iter().flatten() {
            out.hold(self.m, self.n)?;
            if out.is_f32() != self.out.is_f32() {
                return Err(Error::internal("a product starts from another number type"));
            }
        }
        if self.a.is_f32() != self.b.is_f32() || (self.a.is_f32() && !self.out.is_f32()) {
            return Err(Error::internal("a product of two number types"));
        }
        Ok(())
    }
}
