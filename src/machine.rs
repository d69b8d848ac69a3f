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

/// Memory that this process holds now, in MiB; where the system does not tell, the most so far.
pub fn rss_mb() -> f64 {
    // The second number of /proc/self/statm counts resident pages.
    let pages = std::fs::read_to_string("/proc/self/statm").ok().and_then(|text| {
        let resident = text.split_ascii_whitespace().nth(1)?;
        resident.parse::<f64>().ok()
    });
    // SAFETY: `sysconf` only reads its argument.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    pages.map_or_else(peak_rss_mb, |pages| pages * page as f64 / (1024.0 * 1024.0))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_held_now_is_some_and_not_above_the_most_so_far() {
        let now = rss_mb();
        // The kernel counts pages per thread and adds them up late: a little above is no contradiction.
        assert!(now > 1.0 && now < peak_rss_mb() + 16.0, "{now} {}", peak_rss_mb());
    }
}
