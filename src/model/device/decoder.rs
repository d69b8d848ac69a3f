//! A whole decoder with its factors on a card: the frozen weights, and what a training pass reads of them.

use super::block::DeviceBlock;
use super::factors::DeviceFactors;
use super::group::Shared;
use crate::error::{Error, Kind, Result};
use crate::model::block::{Block, head_layout, load_frozen, load_vector};
use crate::model::config::ModelConfig;
use crate::model::decoder::{Decoder, rope_table};
use crate::model::lora::Lora;
use crate::model::lora_config::LoraConfig;
use crate::model::weight_form::{BaseStorage, WeightForm};
use crate::model::weights::WeightSource;
use crate::ops::cuda::{Buffer, Device, Heads, Number, Placement, Rotary, place_factors};
use crate::ops::{Frozen, RopeTable};
use crate::tr;
use std::sync::Arc;

/// A decoder on a card.
pub struct DeviceDecoder<T: Number> {
    pub(super) device: Arc<dyn Device>,
    pub(super) config: ModelConfig,
    pub(super) embedding: Buffer<T>,
    /// `None` when the output layer is the embedding itself.
    head: Option<Buffer<T>>,
    pub(super) norm: Buffer<f32>,
    pub(super) rotary: Rotary,
    /// Positions in the rotary table.
    pub(super) positions: usize,
    pub(super) blocks: Vec<DeviceBlock<T>>,
    pub(super) factors: DeviceFactors,
    pub(super) shared: Shared<T>,
    placements: Buffer<Placement>,
    /// The lowest block with factors.
    pub(super) lowest: usize,
}

/// That a card trains a model of these sizes with these factors.
///
/// # Errors
/// `Unsupported` that says what it does not.
pub fn check_card(config: &ModelConfig, lora: &LoraConfig) -> Result<()> {
    let unsupported = |message: String| {
        Err(Error::new(Kind::Unsupported, message).hint(tr!("use --device cpu", "请用 --device cpu")))
    };
    if !lora.modules_to_save.is_empty() {
        return unsupported(tr!(
            "matrices that are trained as a whole (--modules-to-save) do not run on the GPU yet",
            "GPU 暂不支持整体训练的矩阵（--modules-to-save）"
        ));
    }
    Heads::new(head_layout(config))?;
    for width in [config.hidden_size, config.intermediate_size] {
        if !width.is_multiple_of(8) {
            return unsupported(tr!(
                "the GPU's kernels need widths that are multiples of 8, not {width}",
                "GPU 内核要求宽度是 8 的倍数，而不是 {width}"
            ));
        }
    }
    Ok(())
}

/// Where blocks come from, one at a time.
type Blocks<'a> = dyn FnMut(usize, &mut dyn FnMut(&Block) -> Result<()>) -> Result<()> + 'a;

impl<T: Number> DeviceDecoder<T> {
    /// Copies a decoder and its factors to a card; weights that are in blocks (int4, int8) stay so there if `keep_blocks`.
    ///
    /// # Errors
    /// As [`check_card`]; `OutOfMemory`.
    pub fn new(
        device: &Arc<dyn Device>,
        decoder: &Decoder,
        lora: &Lora,
        keep_blocks: bool,
    ) -> Result<DeviceDecoder<T>> {
        let (embedding, head) = decoder.tables();
        let mut blocks = |i: usize, take: &mut dyn FnMut(&Block) -> Result<()>| take(&decoder.blocks[i]);
        Self::assemble(
            device,
            &decoder.config,
            embedding,
            head,
            &decoder.norm,
            &decoder.rope,
            lora,
            keep_blocks,
            &mut blocks,
        )
    }

    /// Reads a model straight to a card, a block at a time, so that the machine never holds it as a whole.
    ///
    /// # Errors
    /// As [`DeviceDecoder::new`], and those of the source.
    pub fn load(
        device: &Arc<dyn Device>,
        config: &ModelConfig,
        source: &(dyn WeightSource + Send + Sync),
        form: WeightForm,
        lora: &Lora,
    ) -> Result<DeviceDecoder<T>> {
        let (vocabulary, hidden) = (config.vocab_size, config.hidden_size);
        let embedding = load_frozen(source, "model.embed_tokens.weight", vocabulary, hidden, form)?;
        let head = (!config.tie_word_embeddings)
            .then(|| load_frozen(source, "lm_head.weight", vocabulary, hidden, form))
            .transpose()?;
        let norm = load_vector(source, "model.norm.weight", hidden)?;
        let mut blocks =
            |i: usize, take: &mut dyn FnMut(&Block) -> Result<()>| take(&Block::load(source, config, i, form)?);
        Self::assemble(
            device,
            config,
            &embedding,
            head.as_ref(),
            &norm,
            &rope_table(config),
            lora,
            form.storage != BaseStorage::Full,
            &mut blocks,
        )
    }

    #[allow(clippy::too_many_arguments)]
    fn assemble(
        device: &Arc<dyn Device>,
        config: &ModelConfig,
        embedding: &Frozen,
        head: Option<&Frozen>,
        norm: &[f32],
        rope: &RopeTable,
        lora: &Lora,
        keep_blocks: bool,
        each: &mut Blocks<'_>,
    ) -> Result<DeviceDecoder<T>> {
        check_card(config, &lora.config)?;
        let factors = DeviceFactors::new(device, lora)?;
        let mut blocks = Vec::with_capacity(config.num_layers);
        for (i, lora) in lora.blocks.iter().enumerate() {
            each(i, &mut |block| {
                blocks.push(DeviceBlock::new(device, block, lora, i, &factors, config, keep_blocks)?);
                Ok(())
            })?;
        }
        let shared_len = blocks.iter_mut().map(DeviceBlock::shared_len).max().unwrap_or(0);
        let matrix = (shared_len > 0).then(|| Buffer::room(device, shared_len)).transpose()?;
        let shared = Shared { dropped: None, matrix };
        let mut placements = Vec::new();
        for block in &mut blocks {
            placements.extend(block.placements(&shared)?);
        }
        let (cosines, sines, half) = rope.tables();
        let lowest = lora.blocks.iter().position(|b| b.iter().any(Option::is_some)).unwrap_or(0);
        let decoder = DeviceDecoder {
            device: device.clone(),
            config: config.clone(),
            embedding: table(device, embedding)?,
            head: head.map(|head| table(device, head)).transpose()?,
            norm: Buffer::of(device, norm)?,
            rotary: Rotary::new(Buffer::of(device, cosines)?, Buffer::of(device, sines)?, half)?,
            positions: rope.positions(),
            blocks,
            factors,
            shared,
            placements: Buffer::of(device, &placements)?,
            lowest,
        };
        decoder.place()?;
        Ok(decoder)
    }

    /// Brings the factors to where products read them; after every change of theirs.
    ///
    /// # Errors
    /// Those of the card.
    pub fn place(&self) -> Result<()> {
        place_factors::<T>(&self.factors.values, &self.placements)?;
        self.blocks.iter().try_for_each(|block| block.settle(&self.factors, &self.shared))
    }

    /// The output layer `[vocabulary, hidden]`.
    pub(super) fn head(&self) -> &Buffer<T> {
        self.head.as_ref().unwrap_or(&self.embedding)
    }

    /// Elements from row to row of the residual's gradient.
    pub(super) fn gradient_stride(&self) -> usize {
        self.blocks.iter().map(DeviceBlock::gradient_stride).max().unwrap_or(self.config.hidden_size)
    }
}

/// A matrix as it lies.
fn table<T: Number>(device: &Arc<dyn Device>, matrix: &Frozen) -> Result<Buffer<T>> {
    let (rows, width) = (matrix.outputs(), matrix.inputs());
    let mut values = vec![0.0; rows * width];
    matrix.read(0..rows, &mut values);
    Buffer::of(device, &values.into_iter().map(T::of_f32).collect::<Vec<_>>())
}
