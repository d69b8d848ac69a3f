//! What an operation needs of a card: memory, launches and products; and typed memory on top of it.

use super::kernels::Kernel;
use super::product::{AnyRows, Product};
use crate::error::{Error, Kind, Result};
use half::bf16;
use std::marker::PhantomData;
use std::sync::Arc;

/// A card, or what stands in for one. Work is done in the order in which it is asked for; `download` waits for it.
pub trait Device: Send + Sync {
    /// Memory for `bytes` bytes, aligned to 256; its contents are undefined.
    ///
    /// # Errors
    /// `OutOfMemory`.
    fn allocate(&self, bytes: usize) -> Result<u64>;

    /// Gives memory back.
    fn free(&self, address: u64, bytes: usize);

    /// Copies to the card.
    ///
    /// # Errors
    /// Those of the card.
    fn upload(&self, to: u64, bytes: &[u8]) -> Result<()>;

    /// Copies from the card once all earlier work is done.
    ///
    /// # Errors
    /// Those of the card, of earlier work too.
    fn download(&self, from: u64, bytes: &mut [u8]) -> Result<()>;

    /// Sets bytes to zero.
    ///
    /// # Errors
    /// Those of the card.
    fn clear(&self, at: u64, bytes: usize) -> Result<()>;

    /// Copies from one place on the card to another; they do not overlap.
    ///
    /// # Errors
    /// Those of the card.
    fn copy(&self, to: u64, from: u64, bytes: usize) -> Result<()>;

    /// Notes what `work` starts instead of doing it, to be repeated as a whole (a CUDA graph): one call then stands for hundreds.
    /// `None` where that cannot be done; nothing was started then. `work` neither allocates nor moves data between machine and card.
    ///
    /// # Errors
    /// Those of `work`.
    fn record(&self, _work: &mut dyn FnMut() -> Result<()>) -> Result<Option<Box<dyn Recording>>> {
        Ok(None)
    }

    /// Starts a kernel.
    ///
    /// # Errors
    /// A kernel that does not compile or launch.
    fn launch(&self, kernel: Kernel, launch: &Launch, arguments: &[Argument]) -> Result<()>;

    /// A matrix product of bf16 or f32 operands with f32 sums.
    ///
    /// # Errors
    /// Those of the library.
    fn multiply(&self, product: &Product) -> Result<()>;

    /// What to call it.
    fn name(&self) -> String;

    /// Bytes free and in all; `None` where nobody counts them.
    fn memory(&self) -> Option<(u64, u64)>;

    /// Whether this card can add up with others (NCCL was found).
    fn can_group(&self) -> bool {
        false
    }

    /// What the first process gives to all, so that they find each other; `None` where cards cannot.
    ///
    /// # Errors
    /// Those of the library.
    fn group_ticket(&self) -> Result<Option<Vec<u8>>> {
        Ok(None)
    }

    /// Joins the group of `ticket` as `rank` of `count`. Every process calls it at the same time.
    ///
    /// # Errors
    /// Those of the library.
    fn group(&self, _ticket: &[u8], _rank: usize, _count: usize) -> Result<Box<dyn CardGroup>> {
        Err(Error::internal("this device cannot add up with others"))
    }
}

/// Work that was noted, to be repeated.
pub trait Recording: Send + Sync {
    /// Does it, with what the same addresses hold by now.
    ///
    /// # Errors
    /// Those of the card.
    fn replay(&self) -> Result<()>;
}

/// Cards that add up.
pub trait CardGroup: Send + Sync {
    /// Replaces `count` f32 numbers at `address` on every card by their sum, in the order of the card's work.
    ///
    /// # Errors
    /// Those of the library.
    fn sum(&self, address: u64, count: usize) -> Result<()>;
}

/// How many threads a kernel runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Launch {
    /// Blocks.
    pub grid: [u32; 3],
    /// Threads of a block.
    pub block: [u32; 3],
    /// Bytes of dynamic shared memory of a block.
    pub shared: u32,
}

impl Launch {
    /// `blocks` blocks of `threads` threads.
    pub fn line(blocks: usize, threads: usize) -> Launch {
        Launch { grid: [blocks as u32, 1, 1], block: [threads as u32, 1, 1], shared: 0 }
    }

    /// Threads for each eight of `width` elements in each of `rows` rows.
    pub fn eights(rows: usize, width: usize) -> Launch {
        let threads = (width / 8).clamp(32, 256).next_multiple_of(32);
        Launch {
            grid: [rows as u32, (width / 8).div_ceil(threads) as u32, 1],
            block: [threads as u32, 1, 1],
            shared: 0,
        }
    }
}

/// An argument of a kernel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Argument {
    /// An address on the card; 0 where the kernel allows null.
    Address(u64),
    /// 32 bits.
    U32(u32),
    /// 64 bits.
    U64(u64),
    /// Single precision.
    F32(f32),
    /// Double precision.
    F64(f64),
}

impl Argument {
    /// The argument's bytes; a kernel's parameter is read from the first of them.
    pub fn bits(self) -> u64 {
        match self {
            Argument::Address(x) | Argument::U64(x) => x,
            Argument::U32(x) => u64::from(x),
            Argument::F32(x) => u64::from(x.to_bits()),
            Argument::F64(x) => x.to_bits(),
        }
    }
}

impl From<u32> for Argument {
    fn from(x: u32) -> Self {
        Argument::U32(x)
    }
}

impl From<u64> for Argument {
    fn from(x: u64) -> Self {
        Argument::U64(x)
    }
}

impl From<f32> for Argument {
    fn from(x: f32) -> Self {
        Argument::F32(x)
    }
}

impl From<f64> for Argument {
    fn from(x: f64) -> Self {
        Argument::F64(x)
    }
}

impl<T: Element> From<&Buffer<T>> for Argument {
    fn from(buffer: &Buffer<T>) -> Self {
        Argument::Address(buffer.address)
    }
}

impl<T: Element> From<Option<&Buffer<T>>> for Argument {
    fn from(buffer: Option<&Buffer<T>>) -> Self {
        Argument::Address(buffer.map_or(0, |b| b.address))
    }
}

impl<T: Element> From<Rows<'_, T>> for Argument {
    fn from(rows: Rows<'_, T>) -> Self {
        Argument::Address(rows.address())
    }
}

/// Types that live on the card: plain numbers, any bits are a value.
///
/// # Safety
/// The type has no padding and no invalid bit patterns.
pub unsafe trait Element: Copy + Default + Send + Sync + 'static {}

// SAFETY: plain numbers.
unsafe impl Element for f32 {}
// SAFETY: as above.
unsafe impl Element for f64 {}
// SAFETY: as above; it wraps a u16.
unsafe impl Element for bf16 {}
// SAFETY: as above.
unsafe impl Element for u32 {}
// SAFETY: as above.
unsafe impl Element for u16 {}
// SAFETY: as above.
unsafe impl Element for u8 {}

/// Types in which kernels take activations.
pub trait Number: Element {
    /// The kernel for this type.
    fn choose(float: &'static str, bf16: &'static str) -> &'static str;

    /// Rows of this type as an operand.
    fn any(rows: Rows<'_, Self>) -> AnyRows<'_>;

    /// The nearest number of this type.
    fn of_f32(x: f32) -> Self;

    /// The number itself.
    fn as_f32(self) -> f32;
}

impl Number for f32 {
    fn choose(float: &'static str, _: &'static str) -> &'static str {
        float
    }

    fn any(rows: Rows<'_, Self>) -> AnyRows<'_> {
        AnyRows::F32(rows)
    }

    fn of_f32(x: f32) -> Self {
        x
    }

    fn as_f32(self) -> f32 {
        self
    }
}

impl Number for bf16 {
    fn choose(_: &'static str, bf16: &'static str) -> &'static str {
        bf16
    }

    fn any(rows: Rows<'_, Self>) -> AnyRows<'_> {
        AnyRows::Bf16(rows)
    }

    fn of_f32(x: f32) -> Self {
        bf16::from_f32(x)
    }

    fn as_f32(self) -> f32 {
        self.to_f32()
    }
}

/// Numbers on a card. Kernels write through shared references, as they do to memory that the program does not see.
pub struct Buffer<T: Element> {
    device: Arc<dyn Device>,
    address: u64,
    len: usize,
    element: PhantomData<T>,
}

impl<T: Element> Buffer<T> {
    /// Memory for `len` numbers that are written before they are read.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub fn room(device: &Arc<dyn Device>, len: usize) -> Result<Buffer<T>> {
        let address = device.allocate(len * size_of::<T>())?;
        Ok(Buffer { device: device.clone(), address, len, element: PhantomData })
    }

    /// Memory for `len` numbers, set to zero.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub fn zeros(device: &Arc<dyn Device>, len: usize) -> Result<Buffer<T>> {
        let buffer = Buffer::room(device, len)?;
        buffer.clear()?;
        Ok(buffer)
    }

    /// A copy of `values`.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub fn of(device: &Arc<dyn Device>, values: &[T]) -> Result<Buffer<T>> {
        let buffer = Buffer::room(device, values.len())?;
        buffer.write(values)?;
        Ok(buffer)
    }

    /// Overwrites the first numbers.
    ///
    /// # Errors
    /// Those of the card.
    pub fn write(&self, values: &[T]) -> Result<()> {
        if values.len() > self.len {
            return Err(Error::internal("more numbers than the buffer holds"));
        }
        // SAFETY: elements are plain numbers without padding, so their bytes may be read.
        let bytes = unsafe { std::slice::from_raw_parts(values.as_ptr().cast::<u8>(), size_of_val(values)) };
        self.device.upload(self.address, bytes)
    }

    /// All numbers, once earlier work is done.
    ///
    /// # Errors
    /// Those of the card.
    pub fn read(&self) -> Result<Vec<T>> {
        self.read_first(self.len)
    }

    /// The first `count` numbers, once earlier work is done.
    ///
    /// # Errors
    /// Those of the card.
    pub fn read_first(&self, count: usize) -> Result<Vec<T>> {
        self.holds(count)?;
        let mut values = vec![T::default(); count];
        let size = size_of_val(&values[..]);
        // SAFETY: elements are plain numbers, any bytes are a value.
        let bytes = unsafe { std::slice::from_raw_parts_mut(values.as_mut_ptr().cast::<u8>(), size) };
        self.device.download(self.address, bytes)?;
        Ok(values)
    }

    /// Sets all to zero.
    ///
    /// # Errors
    /// Those of the card.
    pub fn clear(&self) -> Result<()> {
        self.device.clear(self.address, self.len * size_of::<T>())
    }

    /// Makes the first `count` numbers those of `from`, another buffer on the same card.
    ///
    /// # Errors
    /// Those of the card.
    pub fn copy_from(&self, from: &Buffer<T>, count: usize) -> Result<()> {
        self.holds(count)?;
        from.holds(count)?;
        self.device.copy(self.address, from.address, count * size_of::<T>())
    }

    /// Where it lies.
    pub fn address(&self) -> u64 {
        self.address
    }

    /// Numbers held.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The card that it is on.
    pub fn device(&self) -> &Arc<dyn Device> {
        &self.device
    }

    /// Rows `stride` apart that begin at element `offset`.
    pub fn rows(&self, offset: usize, stride: usize) -> Rows<'_, T> {
        Rows { buffer: self, offset, stride }
    }

    /// That it holds `len` numbers at least.
    ///
    /// # Errors
    /// `Internal`.
    pub fn holds(&self, len: usize) -> Result<()> {
        if len <= self.len { Ok(()) } else { Err(too_short(self.len, len)) }
    }
}

impl<T: Element> Drop for Buffer<T> {
    fn drop(&mut self) {
        self.device.free(self.address, self.len * size_of::<T>());
    }
}

/// Rows of a buffer: columns of a wider matrix, or all of it.
#[derive(Clone, Copy)]
pub struct Rows<'a, T: Element> {
    buffer: &'a Buffer<T>,
    offset: usize,
    stride: usize,
}

impl<'a, T: Element> Rows<'a, T> {
    /// Elements from row to row.
    pub fn stride(self) -> u32 {
        self.stride as u32
    }

    /// Address of the first element.
    pub fn address(self) -> u64 {
        self.buffer.address + (self.offset * size_of::<T>()) as u64
    }

    /// The card that they are on.
    pub fn device(self) -> &'a Arc<dyn Device> {
        &self.buffer.device
    }

    /// That `rows` rows of `width` elements lie in the buffer, each aligned to 16 bytes as kernels read them.
    ///
    /// # Errors
    /// `Internal`.
    pub fn hold(self, rows: usize, width: usize) -> Result<()> {
        let aligned = |elements: usize| (elements * size_of::<T>()).is_multiple_of(16);
        if !aligned(self.offset) || !(aligned(self.stride) || rows <= 1) || self.stride < width {
            return Err(Error::internal("rows on the card are not aligned to 16 bytes, or overlap"));
        }
        if rows > 0 { self.buffer.holds(self.offset + (rows - 1) * self.stride + width) } else { Ok(()) }
    }
}

fn too_short(len: usize, wanted: usize) -> Error {
    Error::internal(format!("a buffer on the card holds {len} numbers, {wanted} are needed"))
}

/// That a width is a multiple of eight, as kernels read eight numbers at a time.
///
/// # Errors
/// `Unsupported`.
pub(super) fn in_eights(width: usize) -> Result<()> {
    if width > 0 && width.is_multiple_of(8) {
        return Ok(());
    }
    Err(Error::new(
        Kind::Unsupported,
        crate::tr!(
            "the GPU's kernels need widths that are multiples of 8, not {width}",
            "GPU 内核要求宽度是 8 的倍数，而不是 {width}"
        ),
    )
    .hint(crate::tr!("use --device cpu for this model", "此模型请用 --device cpu")))
}
