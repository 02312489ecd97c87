//! A wake at a given microsecond.
//!
//! Waiting for sockets is counted in whole milliseconds, and a load that sends twenty frames in a bunch each millisecond
//! is not the load that twenty callers are. So a timer of the kernel wakes us like a socket does.

use mio::Registry;
use std::io;
use std::time::Duration;

/// The alarm.
#[derive(Debug)]
pub struct Alarm {
    #[cfg(target_os = "linux")]
    timer: std::os::fd::OwnedFd,
    /// When it is set to, in microseconds; to set it again would cost a call to the kernel.
    set_us: Option<u64>,
}

/// The longest wait: what is not due by then is looked for then.
const LONGEST: Duration = Duration::from_millis(100);

#[cfg(target_os = "linux")]
impl Alarm {
    /// Rings at this token.
    ///
    /// # Errors
    /// When the kernel has no timer for us.
    pub fn new(registry: &Registry, token: mio::Token) -> io::Result<Alarm> {
        use rustix::time::{TimerfdClockId, TimerfdFlags, timerfd_create};
        use std::os::fd::AsRawFd;
        let timer = timerfd_create(
            TimerfdClockId::Monotonic,
            TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC,
        )?;
        let mut source = mio::unix::SourceFd(&timer.as_raw_fd());
        registry.register(&mut source, token, mio::Interest::READABLE)?;
        Ok(Alarm {
            timer,
            set_us: None,
        })
    }

    /// Sets it; says how long to wait for sockets at the most.
    pub fn set(&mut self, now_us: u64, due_us: u64) -> Duration {
        use rustix::time::{Itimerspec, TimerfdTimerFlags, Timespec, timerfd_settime};
        if due_us <= now_us {
            return Duration::ZERO;
        }
        if self.set_us != Some(due_us) {
            let wait_us = due_us - now_us;
            let zero = Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            };
            let spec = Itimerspec {
                it_interval: zero,
                it_value: Timespec {
                    tv_sec: (wait_us / 1_000_000).cast_signed(),
                    tv_nsec: (wait_us % 1_000_000 * 1000).cast_signed(),
                },
            };
            // It rings once each time it is set, and never has to be read.
            if timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &spec).is_err() {
                return Duration::from_millis(1);
            }
            self.set_us = Some(due_us);
        }
        LONGEST
    }
}

#[cfg(not(target_os = "linux"))]
impl Alarm {
    /// Without a timer of the kernel the wait itself is the alarm, in whole milliseconds.
    ///
    /// # Errors
    /// None here.
    pub fn new(_: &Registry, _: mio::Token) -> io::Result<Alarm> {
        Ok(Alarm { set_us: None })
    }

    /// Says how long to wait for sockets at the most.
    pub fn set(&mut self, now_us: u64, due_us: u64) -> Duration {
        self.set_us = Some(due_us);
        LONGEST.min(Duration::from_micros(due_us.saturating_sub(now_us)))
    }
}
