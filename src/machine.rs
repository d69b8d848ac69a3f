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
