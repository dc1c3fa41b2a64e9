//! Processor time that is used beside pgbench: as much of it in a second as the services and their clients had used beside PostgreSQL. What uses it works on
//! memory, as they do: the database's process then has to share the processors' caches too, and not their time alone.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// How many threads share the work: one for each of the processors of a small machine.
const THREADS: u32 = 2;
/// How long a thread works or rests until it looks at its time again: about as long as a booking takes.
const SLICE: Duration = Duration::from_micros(100);
/// How much memory a thread works on, in bytes: at least as much as many processors have in their second-level cache.
const MEMORY: usize = 2 << 20;
/// The bytes that a processor fetches at once.
const CACHE_LINE: usize = 64;

/// Runs something while so much of a processor's time (2.0 is that of two processors) is used beside it, as far as it can be had. Gives what was
/// used too.
pub fn beside<T>(processors: f64, run: impl FnOnce() -> T) -> (T, f64) {
    let is_over = AtomicBool::new(false);
    let each = processors / f64::from(THREADS);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(|| work(each, &is_over))).collect();
        let ran = run();
        is_over.store(true, Ordering::Relaxed);
        (ran, threads.into_iter().map(|thread| thread.join().expect("it only counts")).sum())
    })
}

/// Works so much of the time. What it could not have it makes up for. Gives how much it had.
fn work(share: f64, is_over: &AtomicBool) -> f64 {
    let begun = Instant::now();
    let used = || {
        let used = clock_gettime(ClockId::ThreadCPUTime);
        used.tv_sec as f64 + used.tv_nsec as f64 / 1e9
    };
    let mut memory = vec![1_u8; MEMORY];
    let mut at = 0;
    while !is_over.load(Ordering::Relaxed) {
        if used() >= share * begun.elapsed().as_secs_f64() {
            std::thread::sleep(SLICE);
            continue;
        }
        let until = Instant::now() + SLICE;
        while Instant::now() < until {
            // One line after the other, and what is written depends on what was read.
            for _ in 0..16 {
                memory[at] = memory[at].wrapping_mul(31).wrapping_add(1);
                at = (at + CACHE_LINE) % MEMORY;
            }
        }
    }
    black_box(&memory);
    used() / begun.elapsed().as_secs_f64()
}
