//! A step's launches as a CUDA graph: captured from the stream once, started by one call from then on.

use super::device::Recording;
use super::gpu::failed;
use crate::error::Result;
use cudarc::driver::{result, sys};

/// Launches that were captured.
pub(super) struct Graph {
    context: sys::CUcontext,
    stream: sys::CUstream,
    launches: sys::CUgraphExec,
}

// SAFETY: the driver's handles may be used from any thread; the context is made current before each use, and the stream orders
// the work.
unsafe impl Send for Graph {}
// SAFETY: as above.
unsafe impl Sync for Graph {}

impl Graph {
    /// Captures what `work` puts on the stream. `None` where the driver does not capture it; the stream is as it was then.
    ///
    /// # Errors
    /// Those of `work`.
    pub(super) fn of(
        context: sys::CUcontext,
        stream: sys::CUstream,
        work: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Option<Graph>> {
        // What other threads do with the card must not end the capture, which is this thread's alone.
        let mode = sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
        // SAFETY: the stream lives as long as the process.
        if unsafe { result::stream::begin_capture(stream, mode) }.is_err() {
            return Ok(None);
        }
        let done = work();
        // The capture ends whatever came of it: a stream that captures does nothing else.
        // SAFETY: as above; a graph that was given back is destroyed once it is instantiated.
        let launches = unsafe {
            match result::stream::end_capture(stream) {
                Ok(graph) if !graph.is_null() => {
                    let launches = result::graph::instantiate(graph, sys::CUgraphInstantiate_flags(0));
                    let _ = result::graph::destroy(graph);
                    launches.ok()
                }
                _ => None,
            }
        };
        let graph = launches.map(|launches| Graph { context, stream, launches });
        done.map(|()| graph)
    }
}

impl Recording for Graph {
    fn replay(&self) -> Result<()> {
        // SAFETY: context, stream and graph live.
        unsafe {
            result::ctx::set_current(self.context).map_err(|e| failed("switch", e))?;
            result::graph::launch(self.launches, self.stream).map_err(|e| failed("repeat a step", e))
        }
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        // SAFETY: as above; the driver keeps what is still running.
        unsafe {
            if result::ctx::set_current(self.context).is_ok() {
                let _ = result::graph::exec_destroy(self.launches);
            }
        }
    }
}
