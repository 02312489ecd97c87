//! What a process costs, as the operating system counts it: `/proc/PID`.

use std::fs;

/// A process that is watched.
#[derive(Clone, Copy, Debug)]
pub struct Watched {
    /// Its id.
    pub pid: u32,
}

/// What it has used so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// On a processor, in microseconds, to the nanosecond while no thread of it ends.
    pub cpu_us: u64,
    /// In its own code, in hundredths of a second, as the kernel rounds it.
    pub user_us: u64,
    /// In the kernel, the same.
    pub sys_us: u64,
}

/// `/proc/PID/stat` counts in these: 100 a second on every Linux there is, whatever the kernel's own tick.
const TICK_US: u64 = 10_000;

impl Watched {
    /// What it has used; `None` when there is no such process.
    pub fn used(self) -> Option<Used> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).ok()?;
        let (user, sys) = ticks(&stat)?;
        let (user_us, sys_us) = (user * TICK_US, sys * TICK_US);
        let tasks = fs::read_dir(format!("/proc/{}/task", self.pid)).ok()?;
        let ran: u64 = tasks
            .flatten()
            .filter_map(|task| fs::read_to_string(task.path().join("schedstat")).ok())
            .filter_map(|text| text.split(' ').next()?.parse::<u64>().ok())
            .sum();
        // A kernel without schedstat says nothing, or zero.
        let cpu_us = if ran > 0 {
            ran / 1000
        } else {
            user_us + sys_us
        };
        Some(Used {
            cpu_us,
            user_us,
            sys_us,
        })
    }

    /// Its memory, in kilobytes.
    pub fn rss_kb(self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.trim().trim_end_matches(" kB").trim().parse().ok()
    }
}

/// User and system time, the fields 14 and 15; the second field is a name, which may hold anything but ends with the last `)`.
fn ticks(stat: &str) -> Option<(u64, u64)> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse().ok();
    Some((next()?, next()?))
}

/// How many files this process may have open, by `/proc/self/limits`; `None` where there is no such file or no limit.
pub fn most_files() -> Option<u64> {
    files_in(&fs::read_to_string("/proc/self/limits").ok()?)
}

fn files_in(limits: &str) -> Option<u64> {
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_tables_are_read_whatever_the_program_is_called() {
        let stat = "17 (a) b (c) S 1 17 17 0 -1 4194560 100 0 0 0 250 31 0 0 20 0 3 0 5 1 2";
        assert_eq!(ticks(stat), Some((250, 31)));
        assert_eq!(ticks("17 (cut"), None);
        let limits = "Limit  Soft Limit  Hard Limit  Units\nMax open files            1024                 524288               files\n";
        assert_eq!(files_in(limits), Some(1024));
        assert_eq!(
            files_in("Max open files  unlimited  unlimited  files"),
            None
        );
    }
}
