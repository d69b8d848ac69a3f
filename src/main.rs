//! The binary: parse, run, exit code.

/// The system allocator returns large buffers to the kernel and pays for their pages again each
/// step; this one keeps them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    linly_bench::cli::main()
}
