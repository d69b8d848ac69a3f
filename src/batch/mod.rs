//! From rendered rows to micro-batches.
