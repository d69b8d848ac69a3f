//! What the operating system tells of this process and machine.

/// Most memory this process has held so far, in MiB; 0 where the system does not tell.
pub fn peak_rss_mb() -> f64 {
    // SAFETY: `getrusage` fills the struct it is given; all-zero bytes are a valid `rusage`.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        if libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) != 0 {
            return 0.0;
        }
        usage
    };
    // Linux counts in KiB, macOS in bytes.
    let unit = if cfg!(target_os = "macos") { 1.0 } else { 1024.0 };
    usage.ru_maxrss as f64 * unit / (1024.0 * 1024.0)
}

/// Bytes that this user may still write on the disk that holds `path`; `None` where the system does not tell.
pub fn free_bytes(path: &std::path::Path) -> Option<u64> {
    use std::os::unix::ffi::OsStrExt;
    let path = std::ffi::CString::new(path.as_os_str().as_bytes()).ok()?;
    // SAFETY: `statvfs` reads the path, which ends in a zero byte, and fills the struct it is given;
    // all-zero bytes are a valid `statvfs`.
    let stat = unsafe {
        let mut stat: libc::statvfs = std::mem::zeroed();
        if libc::statvfs(path.as_ptr(), &raw mut stat) != 0 {
            return None;
        }
        stat
    };
    Some(stat.f_bavail as u64 * stat.f_frsize as u64)
}

/// Bytes of memory that this process could still take without others being pushed out: what the system calls available,
/// or what its control group leaves, whichever is less. `None` where the system does not tell.
pub fn free_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let available = line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024;
    let read = |name: &str| std::fs::read_to_string(format!("/sys/fs/cgroup/{name}")).ok()?.trim().parse::<u64>().ok();
    let group = read("memory.max").zip(read("memory.current")).map(|(most, now)| most.saturating_sub(now));
    // An address-space limit (`ulimit -v`) is not told in /proc/meminfo.
    // SAFETY: `getrlimit` fills the struct it is given; all-zero bytes are a valid `rlimit`.
    let limit = unsafe {
        let mut limit: libc::rlimit = std::mem::zeroed();
        (libc::getrlimit(libc::RLIMIT_AS, &raw mut limit) == 0 && limit.rlim_cur != libc::RLIM_INFINITY)
            .then_some(limit.rlim_cur as u64)
    };
    Some([Some(available), group, limit].into_iter().flatten().min().unwrap_or(available))
}
