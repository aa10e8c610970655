//! Processes that a careless look takes for gone.

use super::super::environment::TOKEN;
use super::super::tree::Tree;
use super::*;
use std::process::Command;

/// Compiles a small program: a shell can do neither of these.
fn program(dir: &Path, text: &str) -> std::path::PathBuf {
    let (source, program) = (dir.join("hides.c"), dir.join("hides"));
    fs::write(&source, text).expect("source");
    let compiled = Command::new("cc").arg("-pthread").arg("-o").args([&program, &source]).status();
    assert!(compiled.expect("a C compiler").success());
    program
}

fn tree_of(first: &std::process::Child, token: &str) -> Tree {
    let stat = procfs::stat(first.id().cast_signed()).expect("seen").expect("not reaped");
    // Known by its token alone.
    Tree::new(i32::MAX, Some(stat.started), token.to_owned(), None)
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    runtime.block_on(future)
}

/// Its first thread has ended, and with it all that /proc shows of its memory; another one goes on.
#[test]
fn i1_a_process_without_its_first_thread_is_not_gone() {
    let dir = crate::testing::Dir::new();
    let text = "#include <pthread.h>\n#include <unistd.h>\n\
        static void *on(void *x) { sleep(300); return x; }\n\
        int main(void) { pthread_t t; pthread_create(&t, 0, on, 0); pthread_exit(0); }\n";
    let mut child =
        Command::new(program(dir.path(), text)).env(TOKEN, "half.1").spawn().expect("child");
    let tree = tree_of(&child, "half.1");
    let state = format!("/proc/{}/stat", child.id());
    let begun = Instant::now();
    while !procfs::read(&state).expect("its state").contains(") Z ") {
        assert!(begun.elapsed() < Duration::from_secs(20), "its first thread ends");
        std::thread::sleep(Duration::from_millis(1));
    }
    let before = block_on(tree.is_empty());
    let ended = block_on(tree.end(Duration::from_secs(20)));
    let killed = child.try_wait().expect("a child");
    let _ = child.kill();
    let _ = child.wait();
    assert!(!before, "nothing was said to be left");
    assert_eq!(ended, Ok(()));
    assert!(killed.is_some(), "it is known by the thread that is left");
}

/// It forks a child that leaves its session, and ends in the middle of a look; the child may do the same.
#[test]
fn i1_who_is_forked_during_a_look_is_seen() {
    for hops in [1, 2, 8] {
        who_is_forked_during_a_look_is_seen(hops);
    }
}

fn who_is_forked_during_a_look_is_seen(hops: u32) {
    nix::sys::prctl::set_child_subreaper(true).expect("subreaper");
    let dir = crate::testing::Dir::new();
    let text = "#include <unistd.h>\n#include <stdlib.h>\n\
        int main(int n, char **v) { usleep(atoi(v[1])); for (n = atoi(v[2]); n > 0; n--) { \
        if (fork()) return 0; setsid(); usleep(50); } sleep(300); return n; }\n";
    let program = program(dir.path(), text);
    for round in 0..40 {
        let mut first = Command::new(&program);
        first.args([(1000 + 100 * round).to_string(), hops.to_string()]).env(TOKEN, "hops.1");
        let mut first = first.spawn().expect("child");
        let tree = tree_of(&first, "hops.1");
        let since = Instant::now();
        let mut missed = false;
        // Until the child has come, and a moment more.
        while since.elapsed() < Duration::from_millis(12) {
            missed |= block_on(tree.is_empty());
        }
        let _ = first.wait();
        let ended = block_on(tree.end(Duration::from_secs(20)));
        assert_eq!(ended, Ok(()));
        assert!(!missed, "{hops} hops, round {round}: nothing was said to be left");
    }
}
