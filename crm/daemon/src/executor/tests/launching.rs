//! What a call is born with: its cgroup, its priority.

use super::*;

#[test]
fn a_call_is_born_in_its_cgroup() {
    let dir = crate::testing::Dir::new();
    let prefix = format!("crm-test-{}", std::process::id());
    // A machine that lets nobody make cgroups has nothing to show; the daemon works without.
    let Some(parent) = CgroupParent::find(&prefix).expect("seen") else { return };
    script(dir.path(), "agent", "cat /proc/self/cgroup; exit 1");
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    let local = tokio::task::LocalSet::new();
    let output = local.block_on(&runtime, async {
        let cgroup = parent.make("call").expect("cgroup");
        let launch = Launch {
            program: dir.path().join("agent"),
            own_name: None,
            arguments: Vec::new(),
            environment: clean_environment("token"),
            input: None,
            token: "token".to_owned(),
            cgroup: Some(cgroup),
            priority: None,
        };
        let mut running = launch.start(&Awaited::default()).expect("started");
        let never = std::future::pending::<()>();
        running.wait(PATIENCE, never).await.expect("ended");
        running.tree.tidy();
        running.heard.tail.text()
    });
    let own = output.lines().find(|line| line.starts_with("0::")).unwrap_or_default();
    assert!(own.ends_with(&format!("{prefix}.call")), "{output}");
}

#[test]
fn what_an_agent_forks_does_not_keep_its_priority() {
    let dir = crate::testing::Dir::new();
    // The shell itself, and what it forks.
    script(dir.path(), "agent", "cat /proc/$$/stat /proc/self/stat; exit 1");
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    let local = tokio::task::LocalSet::new();
    let output = local.block_on(&runtime, async {
        let launch = Launch {
            program: dir.path().join("agent"),
            own_name: None,
            arguments: Vec::new(),
            environment: clean_environment("token"),
            input: None,
            token: "token".to_owned(),
            cgroup: None,
            priority: Some(1),
        };
        let mut running = launch.start(&Awaited::default()).expect("started");
        let never = std::future::pending::<()>();
        running.wait(PATIENCE, never).await.expect("ended");
        running.heard.tail.text()
    });
    let policy = |line: &str| -> String {
        // The 41st field of the line; the name before the bracket is the second.
        let fields = line.rsplit(')').next().unwrap_or_default().split_whitespace();
        fields.clone().nth(38).unwrap_or_default().to_owned()
    };
    let policies: Vec<String> = output.lines().map(policy).collect();
    let permitted = nix::unistd::Uid::effective().is_root();
    assert_eq!(policies.first().is_some_and(|own| own == "2"), permitted, "{output}");
    assert_eq!(policies.get(1).map(String::as_str), Some("0"), "{output}");
}

/// The event loop had no room for its descriptor.
#[test]
fn h15_a_child_of_whose_end_nobody_is_told_is_awaited_and_ended_all_the_same() {
    nix::sys::prctl::set_child_subreaper(true).expect("subreaper");
    let dir = crate::testing::Dir::new();
    let pid = dir.path().join("pid");
    let body = format!("[ $1 = short ] && exit 7; sleep 300 & echo $! > {}; wait", pid.display());
    script(dir.path(), "agent", &body);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    tokio::task::LocalSet::new().block_on(&runtime, async {
        for argument in ["short", "long"] {
            let launch = Launch {
                program: dir.path().join("agent"),
                own_name: None,
                arguments: vec![argument.to_owned()],
                environment: clean_environment("untold"),
                input: None,
                token: "untold".to_owned(),
                cgroup: None,
                priority: None,
            };
            let awaited = Awaited::default();
            let mut running = launch.start(&awaited).expect("started");
            running.end = None;
            let cancelled = wait_for(|| fs::read_to_string(&pid).is_ok_and(|text| text.len() > 1));
            let ended = tokio::time::timeout(PATIENCE, running.wait(PATIENCE, cancelled)).await;
            let ended = ended.expect("it ends").expect("its end");
            match ended.end {
                End::Exited(status) => assert_eq!((argument, status.code()), ("short", Some(7))),
                End::Cancelled => assert!(argument == "long" && !lives(&pid), "all of it is gone"),
                other => panic!("{argument}: {other:?}"),
            }
            assert_eq!(ended.left, None);
            assert!(awaited.borrow().is_empty(), "nobody is awaited any more");
        }
    });
}
