//! The card itself, through CUDA's driver. All libraries are loaded when they are first needed, so the program starts
//! without them.

use super::card::{self, Card};
use super::device::{Argument, CardGroup, Device, Launch, Recording};
use super::graph::Graph;
use super::kernels::{Kernel, KernelFile};
use super::machine_code;
use super::matmul::Library;
use super::nccl;
use super::product::Product;
use crate::error::{Error, Kind, Result};
use crate::tr;
use cudarc::driver::{result, sys};
use std::collections::HashMap;
use std::ffi::{CString, c_void};
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::thread::ThreadId;

/// Bytes of shared memory that every launch may ask for; more must be announced.
const SHARED_BY_DEFAULT: u32 = 48 * 1024;

/// A card, its stream of work, the loaded kernels and the library of products.
pub struct Gpu {
    card: Card,
    context: sys::CUcontext,
    stream: sys::CUstream,
    library: Library,
    modules: Mutex<HashMap<KernelFile, sys::CUmodule>>,
    functions: Mutex<HashMap<&'static str, sys::CUfunction>>,
    /// Written while a thread records, read by all others' work…
    recording: RwLock<()>,
    /// …and which thread that is.
    recorder: Mutex<Option<ThreadId>>,
}

// SAFETY: handles of the driver may be used from any thread; the context is made current before each use, and the maps
// and the library are locked.
unsafe impl Send for Gpu {}
// SAFETY: as above.
unsafe impl Sync for Gpu {}

/// An error of the driver, in words.
pub(super) fn failed(what: &str, error: result::DriverError) -> Error {
    let name = error.error_name().map_or_else(|_| format!("{error:?}"), |name| name.to_string_lossy().into_owned());
    if error.0 == sys::CUresult::CUDA_ERROR_OUT_OF_MEMORY {
        return Error::new(Kind::OutOfMemory, tr!("the GPU's memory does not suffice", "GPU 显存不足")).hint(tr!(
            "lower --max-len or --batch-size, use --checkpointing on or --quantize int4, or end other programs on the GPU",
            "请调低 --max-len 或 --batch-size，使用 --checkpointing on 或 --quantize int4，或结束占用 GPU 的其他程序"
        ));
    }
    Error::new(Kind::Internal, tr!("the GPU failed to {what}: {name}", "GPU 操作失败（{what}）：{name}")).hint(tr!(
        "see `linly-bench doctor`; --device cpu works without a GPU",
        "请查看 `linly-bench doctor`；--device cpu 不需要 GPU"
    ))
}

impl Gpu {
    /// Opens card number `ordinal`.
    ///
    /// # Errors
    /// Why there is none, or none that kernels run on; a missing cuBLASLt.
    pub fn open(ordinal: usize) -> Result<Gpu> {
        let card = card::cards()?.into_iter().nth(ordinal).ok_or_else(|| {
            Error::new(Kind::NotFound, tr!("there is no GPU number {ordinal}", "没有编号为 {ordinal} 的 GPU"))
                .hint(tr!("`linly-bench doctor` lists them", "`linly-bench doctor` 会列出所有 GPU"))
        })?;
        card.check()?;
        let library = Library::load()?;
        // SAFETY: the ordinal is that of a card that the driver listed; the context lives as long as the process.
        unsafe {
            let device = result::device::get(ordinal as i32).map_err(|e| failed("open", e))?;
            let context = result::primary_ctx::retain(device).map_err(|e| failed("open", e))?;
            result::ctx::set_current(context).map_err(|e| failed("open", e))?;
            // Freed memory stays with the process: asking the system for it again costs more than most kernels.
            if let Ok(pool) = result::device::get_default_mem_pool(device) {
                let mut all = u64::MAX;
                let threshold = sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
                result::mem_pool::set_attribute(pool, threshold, std::ptr::from_mut(&mut all).cast())
                    .map_err(|e| failed("open", e))?;
            }
            let kind = result::stream::StreamKind::NonBlocking;
            let stream = result::stream::create(kind).map_err(|e| failed("open", e))?;
            let workspace = result::malloc_async(stream, Library::WORKSPACE).map_err(|e| failed("allocate", e))?;
            Ok(Gpu {
                card,
                context,
                stream,
                library: library.with_workspace(workspace)?,
                modules: Mutex::default(),
                functions: Mutex::default(),
                recording: RwLock::default(),
                recorder: Mutex::default(),
            })
        }
    }

    /// Which card it is.
    pub fn card(&self) -> &Card {
        &self.card
    }

    /// Makes the card's context that of the calling thread, and waits while another thread records: what this one puts on the
    /// stream would become a part of the recording.
    fn enter(&self) -> Result<Option<RwLockReadGuard<'_, ()>>> {
        // SAFETY: the context is never released.
        unsafe { result::ctx::set_current(self.context) }.map_err(|e| failed("switch", e))?;
        let recorder = *self.recorder.lock().unwrap_or_else(PoisonError::into_inner);
        if recorder == Some(std::thread::current().id()) {
            return Ok(None);
        }
        Ok(Some(self.recording.read().unwrap_or_else(PoisonError::into_inner)))
    }

    fn function(&self, kernel: Kernel, shared: u32) -> Result<sys::CUfunction> {
        let mut functions = self.functions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(function) = functions.get(kernel.name) {
            return Ok(*function);
        }
        let mut modules = self.modules.lock().unwrap_or_else(PoisonError::into_inner);
        let module = match modules.get(&kernel.file) {
            Some(module) => *module,
            None => {
                let code = machine_code::of(kernel.file, self.card.capability)?;
                // SAFETY: the code is a whole cubin, or PTX with a zero byte at its end.
                let module = unsafe { result::module::load_data(code.as_ptr().cast()) };
                let module = module.map_err(|e| failed("load kernels", e))?;
                modules.insert(kernel.file, module);
                module
            }
        };
        let name = CString::new(kernel.name).map_err(|e| Error::internal(e.to_string()))?;
        // SAFETY: the module is loaded and stays so.
        let function = unsafe { result::module::get_function(module, name) }.map_err(|e| failed("find a kernel", e))?;
        if shared > SHARED_BY_DEFAULT {
            let most = sys::CUfunction_attribute_enum::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
            // SAFETY: the function is of a loaded module. A kernel always asks for the same size.
            unsafe { result::function::set_function_attribute(function, most, shared as i32) }
                .map_err(|e| failed("reserve shared memory", e))?;
        }
        functions.insert(kernel.name, function);
        Ok(function)
    }
}

impl Device for Gpu {
    fn allocate(&self, bytes: usize) -> Result<u64> {
        let _alone = self.enter()?;
        // The driver refuses a size of zero.
        // SAFETY: the stream lives.
        unsafe { result::malloc_async(self.stream, bytes.max(1)) }.map_err(|e| failed("allocate", e))
    }

    fn free(&self, address: u64, _bytes: usize) {
        if let Ok(_alone) = self.enter() {
            // SAFETY: the address came from `allocate`. In stream order: work that uses it comes first. A failure here
            // is one of earlier work, which the next call reports.
            let _ = unsafe { result::free_async(address, self.stream) };
        }
    }

    fn upload(&self, to: u64, bytes: &[u8]) -> Result<()> {
        let _alone = self.enter()?;
        // SAFETY: callers write into their buffer. From memory that is not pinned the call returns when the bytes have
        // been taken over.
        unsafe { result::memcpy_htod_async(to, bytes, self.stream) }.map_err(|e| failed("take data", e))
    }

    fn download(&self, from: u64, bytes: &mut [u8]) -> Result<()> {
        let _alone = self.enter()?;
        // SAFETY: callers read from their buffer, and the stream is waited for before the bytes are used.
        unsafe {
            result::memcpy_dtoh_async(bytes, from, self.stream).map_err(|e| failed("give data", e))?;
            result::stream::synchronize(self.stream).map_err(|e| failed("finish", e))
        }
    }

    fn copy(&self, to: u64, from: u64, bytes: usize) -> Result<()> {
        let _alone = self.enter()?;
        // SAFETY: callers copy between their buffers.
        unsafe { result::memcpy_dtod_async(to, from, bytes, self.stream) }.map_err(|e| failed("copy data", e))
    }

    fn record(&self, work: &mut dyn FnMut() -> Result<()>) -> Result<Option<Box<dyn Recording>>> {
        let _context = self.enter()?.map(drop);
        let _alone = self.recording.write().unwrap_or_else(PoisonError::into_inner);
        let set = |thread| *self.recorder.lock().unwrap_or_else(PoisonError::into_inner) = thread;
        set(Some(std::thread::current().id()));
        let graph = Graph::of(self.context, self.stream, work);
        set(None);
        Ok(graph?.map(|graph| Box::new(graph) as Box<dyn Recording>))
    }

    fn clear(&self, at: u64, bytes: usize) -> Result<()> {
        let _alone = self.enter()?;
        if bytes == 0 {
            return Ok(());
        }
        // SAFETY: callers clear their buffer.
        unsafe { result::memset_d8_async(at, 0, bytes, self.stream) }.map_err(|e| failed("clear", e))
    }

    fn launch(&self, kernel: Kernel, launch: &Launch, arguments: &[Argument]) -> Result<()> {
        if launch.grid.contains(&0) {
            return Ok(());
        }
        let _alone = self.enter()?;
        let function = self.function(kernel, launch.shared)?;
        let mut words: Vec<u64> = arguments.iter().map(|a| a.bits()).collect();
        let mut addresses: Vec<*mut c_void> = words.iter_mut().map(|word| std::ptr::from_mut(word).cast()).collect();
        let three = |x: [u32; 3]| (x[0], x[1], x[2]);
        // SAFETY: the launching functions of this module give the arguments that the kernel takes (the emulator compares
        // their number and types), and have checked the buffers' sizes. The driver copies the arguments.
        unsafe {
            let (grid, block) = (three(launch.grid), three(launch.block));
            result::launch_kernel(function, grid, block, launch.shared, self.stream, &mut addresses)
        }
        .map_err(|e| failed(kernel.name, e))
    }

    fn multiply(&self, product: &Product<'_>) -> Result<()> {
        let _alone = self.enter()?;
        self.library.multiply(product, self.stream)
    }

    fn name(&self) -> String {
        self.card.name.clone()
    }

    fn memory(&self) -> Option<(u64, u64)> {
        let _alone = self.enter().ok()?;
        result::mem_get_info().ok().map(|(free, total)| (free as u64, total as u64))
    }

    fn can_group(&self) -> bool {
        self.enter().is_ok() && nccl::available()
    }

    fn group_ticket(&self) -> Result<Option<Vec<u8>>> {
        if self.can_group() { nccl::ticket().map(Some) } else { Ok(None) }
    }

    fn group(&self, ticket: &[u8], rank: usize, count: usize) -> Result<Box<dyn CardGroup>> {
        let _alone = self.enter()?;
        Ok(Box::new(nccl::Group::join(ticket, rank, count, self.context, self.stream)?))
    }
}
