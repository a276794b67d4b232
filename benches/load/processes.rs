//! CPU time of other processes, by what the kernel tells of them under `/proc`.

use std::collections::HashMap;
use std::time::Duration;

/// What one process tells.
struct Stat {
    parent: u32,
    /// Its own threads' time and that of its children which ended and were waited for, in clock ticks.
    ticks: u64,
}

/// What a process and all that descend from it have used. Told in ticks of 10 ms.
pub fn cpu(root: u32) -> Duration {
    let all = all();
    let ticks: u64 = all.iter().filter(|(id, _)| descends(&all, **id, root)).map(|(_, it)| it.ticks).sum();
    Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

fn all() -> HashMap<u32, Stat> {
    let entries = std::fs::read_dir("/proc").unwrap();
    let ids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    // One that ends meanwhile is left out.
    ids.filter_map(|id: u32| Some((id, stat(&std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?)?)))
        .collect()
}

/// proc_pid_stat(5): the name, which may hold anything, ends with the last parenthesis; what follows begins with field 3.
fn stat(line: &str) -> Option<Stat> {
    let (_, rest) = line.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    let times = fields.get(11..15)?;
    Some(Stat {
        parent: fields.get(1)?.parse().ok()?,
        ticks: times.iter().flat_map(|time| time.parse::<u64>()).sum(),
    })
}

fn descends(all: &HashMap<u32, Stat>, mut id: u32, root: u32) -> bool {
    while id != root {
        match all.get(&id) {
            Some(stat) => id = stat.parent,
            None => return false,
        }
    }
    true
}
