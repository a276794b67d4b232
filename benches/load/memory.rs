//! What this process holds in memory, in MiB.

/// Now.
pub fn resident() -> f64 {
    field("VmRSS:")
}

/// At most, since [`forget_peak`].
pub fn peak() -> f64 {
    field("VmHWM:")
}

/// Begins to measure the peak anew (proc(5), `clear_refs`).
pub fn forget_peak() {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
}

fn field(name: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
}
