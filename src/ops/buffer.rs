//! Buffers that are reused: a fresh allocation costs more than most passes over it, because the system clears its pages.

/// Gives `buffer` the length `len`. Its contents are whatever was there: callers overwrite all of it.
///
/// A buffer that must grow takes a sixteenth more than it needs, not twice as much as a `Vec` does by itself: batches
/// differ a little in length, and these buffers are most of a training's memory.
pub fn sized<T: Copy + Default>(buffer: &mut Vec<T>, len: usize) -> &mut [T] {
    if buffer.capacity() < len {
        *buffer = Vec::new();
        buffer.reserve_exact(len + len / 16);
    }
    buffer.resize(len, T::default());
    buffer
}
