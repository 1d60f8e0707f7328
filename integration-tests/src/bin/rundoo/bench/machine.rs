//! The machine that something was measured on.

/// Its cores, its memory and its kernel.
pub(crate) fn described() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let value = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_once(':').map_or("unknown", |(_, value)| value.trim()).to_owned()
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = value(&read("/proc/meminfo"), "MemTotal");
    let kib: f64 = memory.split(' ').next().and_then(|kib| kib.parse().ok()).unwrap_or_default();
    format!(
        "{cores} cores of {}, {:.0} GiB, Linux {}",
        value(&read("/proc/cpuinfo"), "model name"),
        kib / 1024.0 / 1024.0,
        read("/proc/sys/kernel/osrelease").trim()
    )
}
