//! A machine that has no room for a process now may have some in a moment: when a fork bomb in another agent has been killed,
//! for example. Until a call's time is over this says nothing about a resource, and a failed stop would end the machine (R21).

use crate::sys::is_shortage;
use std::io;
use std::time::Duration;
use tokio::time::Instant;

/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(100);

/// Why there is no process.
#[derive(Debug)]
pub(crate) enum Refused {
    /// For good, or still when the time was over.
    Error(io::Error),
    Cancelled,
}

/// Makes something that needs a process or a descriptor, again and again within `limit`; with it, what is left of that.
pub(crate) async fn wait_for<T>(
    limit: Duration,
    cancelled: impl Future<Output = ()>,
    mut make: impl FnMut() -> io::Result<T>,
) -> Result<(T, Duration), Refused> {
    let begun = Instant::now();
    tokio::pin!(cancelled);
    loop {
        let error = match make() {
            Ok(made) => return Ok((made, limit.saturating_sub(begun.elapsed()))),
            Err(error) => error,
        };
        if !is_shortage(&error) || begun.elapsed() + PAUSE >= limit {
            return Err(Refused::Error(error));
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = &mut cancelled => return Err(Refused::Cancelled),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::libc;
    use std::future::pending;

    const LIMIT: Duration = Duration::from_secs(1);
    const LONG: Duration = Duration::from_secs(600);

    fn run<T>(future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("runtime").block_on(future)
    }

    fn error<T>(number: i32) -> io::Result<T> {
        Err(io::Error::from_raw_os_error(number))
    }

    #[test]
    fn h16_room_that_comes_in_time_is_waited_for() {
        for number in [libc::EAGAIN, libc::ENOMEM, libc::EMFILE, libc::ENFILE] {
            let mut attempts = 0;
            let made = run(wait_for(LONG, pending(), || {
                attempts += 1;
                if attempts < 4 { error(number) } else { Ok(attempts) }
            }));
            let (made, left) = made.expect("made");
            assert_eq!(made, 4);
            assert!(left > Duration::ZERO && left <= LONG - 3 * PAUSE, "{left:?}");
        }
    }

    #[test]
    fn room_that_does_not_come_in_time_and_other_errors_are_told() {
        let begun = std::cell::Cell::new(0);
        let end = |number: i32| {
            begun.set(0);
            let made = wait_for(LIMIT, pending(), || {
                begun.set(begun.get() + 1);
                error::<()>(number)
            });
            match run(made) {
                Err(Refused::Error(error)) => error.raw_os_error(),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(end(libc::EAGAIN), Some(libc::EAGAIN));
        assert!((2..=10).contains(&begun.get()), "{}", begun.get());
        assert_eq!(end(libc::ENOENT), Some(libc::ENOENT));
        assert_eq!(begun.get(), 1);
        // Of a child that had begun already: two would run beside each other.
        begun.set(0);
        let made = run(wait_for(LIMIT, pending(), || {
            begun.set(begun.get() + 1);
            Err::<(), _>(io::Error::other(io::Error::from_raw_os_error(libc::EMFILE)))
        }));
        assert!(matches!(made, Err(Refused::Error(_))), "{made:?}");
        assert_eq!(begun.get(), 1);
    }

    #[test]
    fn who_waits_for_room_can_be_cancelled() {
        let cancelled = async { tokio::time::sleep(3 * PAUSE).await };
        let made = run(wait_for(LONG, cancelled, || error::<()>(libc::EAGAIN)));
        assert!(matches!(made, Err(Refused::Cancelled)), "{made:?}");
    }
}
