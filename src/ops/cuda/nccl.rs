//! Sums over the cards of several processes, by NCCL, which is loaded when it is first needed. It has never run (docs/gpu.md).

use super::device::CardGroup;
use super::nvrtc::{library_folders, load};
use crate::error::{Error, Kind, Result};
use crate::tr;
use cudarc::driver::sys::{CUcontext, CUstream};
use cudarc::nccl::{result, sys};
use std::sync::Mutex;

/// Whether the library was found. A card's context is current.
pub fn available() -> bool {
    // Loaded by its path where it does not lie where the system looks; found by its name from then on.
    let found = load(&library_folders(), &["libnccl.so.2", "libnccl.so"]);
    // SAFETY: this looks for the library by its names.
    found.is_some() && unsafe { sys::is_culib_present() }
}

fn failed(error: &result::NcclError) -> Error {
    let code = error.0 as i32;
    Error::new(Kind::Internal, tr!("NCCL failed with code {code}", "NCCL 出错，代码 {code}"))
        .hint(tr!("NCCL_DEBUG=WARN in the environment makes it say why", "设置环境变量 NCCL_DEBUG=WARN 可查看原因"))
}

/// A fresh group's name, 128 bytes.
pub fn ticket() -> Result<Vec<u8>> {
    let id = result::get_uniqueid().map_err(|e| failed(&e))?;
    Ok(id.internal.iter().map(|c| *c as u8).collect())
}

/// One process's part of a group.
pub struct Group {
    /// Calls of a group are made one at a time.
    communicator: Mutex<Handle>,
    context: CUcontext,
    stream: CUstream,
}

struct Handle(sys::ncclComm_t);

// SAFETY: the handle is used under its lock, with the card's context made current before.
unsafe impl Send for Handle {}
// SAFETY: context and stream live as long as the process; the driver's handles may be used from any thread.
unsafe impl Send for Group {}
// SAFETY: as above.
unsafe impl Sync for Group {}

impl Group {
    /// Joins a group; the card's context is current.
    pub fn join(ticket: &[u8], rank: usize, count: usize, context: CUcontext, stream: CUstream) -> Result<Group> {
        let mut id = sys::ncclUniqueId { internal: [0; 128] };
        if ticket.len() != id.internal.len() {
            return Err(Error::internal("a group's name has 128 bytes"));
        }
        for (to, from) in id.internal.iter_mut().zip(ticket) {
            *to = *from as _;
        }
        let mut communicator: sys::ncclComm_t = std::ptr::null_mut();
        // SAFETY: the library writes one handle; the name came from another process's call of `ticket`.
        unsafe { result::comm_init_rank(&raw mut communicator, count as i32, id, rank as i32) }
            .map_err(|e| failed(&e))?;
        Ok(Group { communicator: Mutex::new(Handle(communicator)), context, stream })
    }
}

impl CardGroup for Group {
    fn sum(&self, address: u64, count: usize) -> Result<()> {
        // SAFETY: the context is never released.
        unsafe { cudarc::driver::result::ctx::set_current(self.context) }
            .map_err(|e| super::gpu::failed("switch", e))?;
        let handle = self.communicator.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let at = address as *mut std::ffi::c_void;
        // SAFETY: the caller's buffer holds `count` numbers; in place, in the order of the stream.
        unsafe {
            result::all_reduce(
                at.cast_const(),
                at,
                count,
                sys::ncclDataType_t::ncclFloat32,
                sys::ncclRedOp_t::ncclSum,
                handle.0,
                self.stream.cast(),
            )
        }
        .map(|_| ())
        .map_err(|e| failed(&e))
    }
}
