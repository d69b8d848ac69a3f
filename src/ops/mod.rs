//! Differentiable operations that candle lacks, each a forward and a backward.
