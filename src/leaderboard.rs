//! Models × benchmarks × arena rating, each number with the run that made it.
