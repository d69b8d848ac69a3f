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
