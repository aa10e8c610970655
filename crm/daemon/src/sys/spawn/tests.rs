//! Children for which there is no descriptor.

use super::*;
use crate::testing::{with_descriptors, without_descriptors};

#[test]
fn h15_where_there_is_no_descriptor_for_a_child_there_is_no_child() {
    for (places, born) in [(0, false), (1, true)] {
        let cloned = with_descriptors(places, || {
            let before = blocked().expect("blocked");
            let cloned = clone_into(None);
            if let Ok((0, _)) = cloned {
                // SAFETY: ends the child without running anything of the parent's.
                unsafe { libc::_exit(7) }
            }
            sigprocmask(SigmaskHow::SIG_SETMASK, Some(&before), None).expect("as before");
            // The descriptor is one of this thread.
            cloned.map(|(_, pidfd)| {
                let pidfd = pidfd.expect("its descriptor");
                waitid(Id::PIDFd(pidfd.as_fd()), WaitPidFlag::WEXITED).expect("its end")
            })
        });
        match cloned {
            Ok(WaitStatus::Exited(_, 7)) if born => {}
            Err(error) if !born => assert!(super::super::is_shortage(&error), "{error}"),
            other => panic!("{places}: {other:?}"),
        }
    }
}

/// The error is none that passes: two would run beside each other. And nobody waits for its end here.
#[test]
fn h15_a_child_without_a_descriptor_is_killed_and_left_to_be_reaped() {
    let mut child = std::process::Command::new("sleep").arg("300").spawn().expect("child");
    let pid = child.id().cast_signed();
    let error = without_descriptors(move || late_pidfd(pid)).expect_err("no room");
    assert_eq!(error.raw_os_error(), None, "{error}");
    assert_eq!(child.wait().expect("still to be reaped").signal(), Some(libc::SIGKILL));
}
