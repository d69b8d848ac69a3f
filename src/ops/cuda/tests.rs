//! The kernels' own text, run by the emulator, against the CPU's operations; each twice, with threads in either order.
