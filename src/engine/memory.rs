//! How much memory the process may use, as the system says.

use std::fs;

/// Where Linux says what a container may use, by version of control groups, and what the machine has.
const CONTAINER: [&str; 2] = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
const MACHINE: &str = "/proc/meminfo";

/// What the state of a job may take if nothing is configured: half of what the container or the machine has, in bytes. The rest is for
/// reads, files that are being written, and what the allocator keeps. Without a bound where the system does not say.
pub(super) fn default_bytes_max() -> usize {
    let container = CONTAINER.iter().filter_map(|path| container_bytes(&fs::read_to_string(path).ok()?));
    let machine = fs::read_to_string(MACHINE).ok().and_then(|text| machine_bytes(&text));
    container.chain(machine).min().map_or(usize::MAX, |bytes| bytes / 2)
}

/// `max`, or a number of bytes.
fn container_bytes(text: &str) -> Option<usize> {
    text.trim().parse().ok()
}

/// The line `MemTotal:       16384256 kB`.
fn machine_bytes(text: &str) -> Option<usize> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<usize>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_says_is_read() {
        assert_eq!(container_bytes("2147483648\n"), Some(2 << 30));
        assert_eq!(container_bytes("max\n"), None);
        assert_eq!(machine_bytes("MemFree: 3 kB\nMemTotal:       16384256 kB\nBuffers: 1 kB"), Some(16_384_256 << 10));
        assert_eq!(machine_bytes("MemTotal: 12"), None);
        assert!(default_bytes_max() > 16 << 20);
    }
}
