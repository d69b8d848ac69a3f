//! All trained factors on a card: values, gradients and moments, each in one buffer, in the order of [`Lora::tensors`].
//!
//! Ranks are filled up with zeros to multiples of eight, as products want their rows. Zeros stay zeros: their gradients are
//! products with zeros, and AdamW leaves a value of zero without gradient where it is.

use crate::error::{Error, Result};
use crate::model::lora::Lora;
use crate::ops::cuda::{Buffer, Device, StepSettings, Stretch, adamw, gradient_norm, stretches};
use std::sync::Arc;

/// Ranks are rounded up to a multiple of this.
pub const RANK_STEP: usize = 8;

/// Where a factor lies in the buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Its first number.
    pub at: usize,
    /// Rows, filled up.
    pub rows: usize,
    /// Columns, filled up.
    pub columns: usize,
    /// Rows that are the factor's.
    real_rows: usize,
    /// Columns that are the factor's.
    real_columns: usize,
}

impl Slot {
    fn len(self) -> usize {
        self.rows * self.columns
    }
}

/// Where the factors of a projection lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PairSlots {
    /// The first factor.
    pub a: Slot,
    /// The second.
    pub b: Slot,
    /// DoRA's lengths, in one row.
    pub magnitude: Option<Slot>,
}

/// The factors of a model on a card.
pub struct DeviceFactors {
    slots: Vec<Slot>,
    /// Of each (block, projection).
    of_pair: Vec<[Option<PairSlots>; 7]>,
    len: usize,
    /// The factors.
    pub values: Buffer<f32>,
    /// Their gradients.
    pub gradients: Buffer<f32>,
    moments: [Buffer<f32>; 2],
    norm: Buffer<f64>,
    parts: Buffer<f64>,
}

impl DeviceFactors {
    /// Room for the factors of `lora`, and the factors themselves; zero gradients and moments.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub fn new(device: &Arc<dyn Device>, lora: &Lora) -> Result<DeviceFactors> {
        let (slots, of_pair) = slots(lora);
        let len = slots.iter().map(|s| s.len()).sum();
        let zeros = || Buffer::<f32>::zeros(device, len);
        let blocks = same_rates(&slots).len();
        let factors = DeviceFactors {
            values: zeros()?,
            gradients: zeros()?,
            moments: [zeros()?, zeros()?],
            norm: Buffer::zeros(device, 2)?,
            parts: Buffer::zeros(device, blocks)?,
            slots,
            of_pair,
            len,
        };
        factors.write_values(lora)?;
        Ok(factors)
    }

    /// Where A and B of a pair lie, and with DoRA its lengths.
    pub fn pair(&self, block: usize, projection: usize) -> Option<PairSlots> {
        self.of_pair.get(block)?[projection]
    }

    fn pack<'a>(&self, parts: impl Iterator<Item = &'a [f32]>) -> Vec<f32> {
        let mut all = vec![0.0; self.len];
        for (slot, part) in self.slots.iter().zip(parts) {
            let rows = all[slot.at..slot.at + slot.len()].chunks_exact_mut(slot.columns);
            for (to, from) in rows.zip(part.chunks_exact(slot.real_columns)) {
                to[..slot.real_columns].copy_from_slice(from);
            }
        }
        all
    }

    fn unpack<'a>(&self, all: &[f32], parts: impl Iterator<Item = &'a mut [f32]>) {
        for (slot, part) in self.slots.iter().zip(parts) {
            let rows = all[slot.at..slot.at + slot.len()].chunks_exact(slot.columns);
            for (from, to) in rows.zip(part.chunks_exact_mut(slot.real_columns)) {
                to.copy_from_slice(&from[..slot.real_columns]);
            }
        }
    }

    /// Copies the factors to the card.
    ///
    /// # Errors
    /// Those of the card.
    pub fn write_values(&self, lora: &Lora) -> Result<()> {
        self.values.write(&self.pack(lora.tensors().into_iter().map(|(_, _, data)| data)))
    }

    /// Copies them back.
    ///
    /// # Errors
    /// Those of the card.
    pub fn read_values(&self, lora: &mut Lora) -> Result<()> {
        self.unpack(&self.values.read()?, lora.parameters_mut().into_iter());
        Ok(())
    }

    /// Copies both moments to the card.
    ///
    /// # Errors
    /// Those of the card.
    pub fn write_moments(&self, moments: [&[Vec<f32>]; 2]) -> Result<()> {
        for (to, from) in self.moments.iter().zip(moments) {
            to.write(&self.pack(from.iter().map(|x| &x[..])))?;
        }
        Ok(())
    }

    /// Copies them back.
    ///
    /// # Errors
    /// Those of the card.
    pub fn read_moments(&self, moments: [&mut [Vec<f32>]; 2]) -> Result<()> {
        for (from, to) in self.moments.iter().zip(moments) {
            self.unpack(&from.read()?, to.iter_mut().map(|x| &mut x[..]));
        }
        Ok(())
    }

    /// The gradients, in the order of the factors.
    ///
    /// # Errors
    /// Those of the card.
    pub fn read_gradients<'a>(&self, parts: impl Iterator<Item = &'a mut [f32]>) -> Result<()> {
        self.unpack(&self.gradients.read()?, parts);
        Ok(())
    }

    /// The gradient's length.
    ///
    /// # Errors
    /// Those of the card.
    pub fn norm(&self, clip: f64) -> Result<f64> {
        let list = Buffer::of(self.values.device(), &same_rates(&self.slots))?;
        gradient_norm(&self.gradients, &list, &self.parts, clip, &self.norm)?;
        self.norm.read()?.first().copied().ok_or_else(|| Error::internal("a norm"))
    }

    /// A step of AdamW after [`DeviceFactors::norm`], which has found how far to clip. `rates` has the learning rate and the
    /// weight decay of every factor.
    ///
    /// # Errors
    /// Those of the card.
    pub fn step(&self, rates: &[(f64, f64)], settings: StepSettings) -> Result<()> {
        let sizes = self.slots.iter().zip(rates).map(|(s, (rate, decay))| (s.len(), *rate, *decay));
        let list: Vec<Stretch> = stretches(sizes, settings);
        let list = Buffer::of(self.values.device(), &list)?;
        let [m, v] = &self.moments;
        adamw(&self.values, &self.gradients, m, v, None, &list, &self.norm, settings)
    }
}

/// The stretches of all slots, for sums in which rates do not matter.
fn same_rates(slots: &[Slot]) -> Vec<Stretch> {
    stretches(slots.iter().map(|s| (s.len(), 0.0, 0.0)), StepSettings { step: 1, ..StepSettings::default() })
}

/// Slots in the order of [`Lora::tensors`], and which belong to which pair.
fn slots(lora: &Lora) -> (Vec<Slot>, Vec<[Option<PairSlots>; 7]>) {
    let mut slots = Vec::new();
    let mut at = 0;
    let mut add = |real_rows: usize, real_columns: usize, rows: usize, columns: usize| {
        let slot = Slot { at, rows, columns, real_rows, real_columns };
        slots.push(slot);
        at += rows * columns;
        slot
    };
    let of_pair = lora
        .blocks
        .iter()
        .map(|block| {
            block.each_ref().map(|pair| {
                let pair = pair.as_ref()?;
                let (rank, inputs, outputs) = (pair.rank, pair.a.len() / pair.rank, pair.b.len() / pair.rank);
                let filled = rank.next_multiple_of(RANK_STEP);
                let a = add(rank, inputs, filled, inputs);
                let b = add(outputs, rank, outputs, filled);
                let magnitude = pair.magnitude.as_ref().map(|_| add(1, outputs, 1, outputs));
                Some(PairSlots { a, b, magnitude })
            })
        })
        .collect();
    (slots, of_pair)
}
