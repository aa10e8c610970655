//! The example, the reference and the table of our own agents say what the code does.

use crm_config::{AgentCatalog, AgentFacts, KEYS, NoCatalog, Severity, check, own_agent};
use crm_core::model::{AgentClass, AgentRef};
use crm_core::time::Span;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

fn root_file(name: &str) -> String {
    let path = format!("{}/../../{name}", env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn the_example_is_accepted_without_a_word() {
    let checked = check("cluster.yaml.example", &root_file("cluster.yaml.example"), &NoCatalog);
    assert!(checked.diagnostics.is_empty(), "{:?}", checked.diagnostics);
    let cluster = checked.cluster.unwrap();
    assert_eq!(cluster.groups.len(), 3);
    for line in crm_config::budget(&cluster) {
        assert_eq!(line.protection, crm_config::Protection::Device);
        assert_eq!(line.failover, Some(Span::secs(26)), "deadtime and two methods: {line}");
    }
}

#[test]
fn every_key_stands_in_the_reference() {
    let reference = root_file("docs/configuration.md");
    for (part, keys) in KEYS {
        for key in *keys {
            // `address` and `ping` are the only key of a map and stand inside its example.
            let row = format!("\n| `{key}` |");
            let inside = format!("{{{key}: ADDRESS}}");
            assert!(reference.contains(&row) || reference.contains(&inside), "{part}: `{key}`");
        }
    }
}

#[test]
fn every_yaml_in_the_reference_reads() {
    let reference = root_file("docs/configuration.md");
    let head = "cluster: doc\nfencing: none\nnodes:\n  alpha: {links: [203.0.113.1]}\n  beta: {links: [203.0.113.2]}\n";
    let mut count = 0;
    for block in reference.split("```yaml\n").skip(1) {
        let block = block.split("```").next().unwrap();
        let first = block.split(':').next().unwrap();
        let text = match first {
            "nodes" => format!("cluster: doc\nfencing: none\n{block}"),
            "fencing" => format!("{}{block}", head.replace("fencing: none\n", "")),
            "resources" => format!("{head}groups:\n  g:\n    {}", block.replace('\n', "\n    ")),
            _ => format!("{head}{block}"),
        };
        let checked = check("configuration.md", &text, &NoCatalog);
        assert!(checked.cluster.is_some(), "{text}\n{:?}", checked.diagnostics);
        count += 1;
    }
    assert_eq!(count, 4);
}

#[test]
fn the_table_of_our_own_agents_says_what_they_say() {
    for name in crm_agents::BUILTIN {
        let meta = crm_agents::meta_data(name).unwrap();
        let own = own_agent(name).unwrap_or_else(|| panic!("`{name}` is missing from the table"));
        assert_eq!(own.primary, meta.primary.as_deref(), "{name}");
        assert_eq!(own.stateless, meta.stateless, "{name}");
        assert_eq!(own.roles, meta.roles, "{name}");
        let everywhere = meta.observe == crm_agents::metadata::Observe::Everywhere;
        assert_eq!(own.observe_everywhere, everywhere, "{name}");
        let required: Vec<&str> = meta
            .parameters
            .iter()
            .filter(|parameter| parameter.required)
            .map(|parameter| parameter.name.as_str())
            .collect();
        assert_eq!(own.required, required, "{name}");
        for parameter in crm_core::model::exclusive(own.name).iter().chain(&own.primary) {
            assert!(meta.parameter(parameter).is_some(), "{name}: {parameter}");
        }
        for (action, span) in [
            ("start", own.timeouts().start),
            ("stop", own.timeouts().stop),
            ("status", own.timeouts().status),
        ] {
            let suggested = meta.action(action).and_then(|action| action.timeout_ms);
            assert_eq!(suggested.map(Span::millis), Some(span), "{name} {action}");
        }
        let reserved = KEYS.iter().find(|(part, _)| *part == "resource").unwrap().1;
        for parameter in &meta.parameters {
            assert!(!reserved.contains(&parameter.name.as_str()), "{name}: {}", parameter.name);
        }
    }
}

/// What the agents built in say of themselves, and nothing about others.
struct BuiltIn;

impl AgentCatalog for BuiltIn {
    fn facts(&self, agent: &AgentRef) -> Option<AgentFacts> {
        let meta = crm_agents::meta_data(&agent.name)?;
        let names = |parameters: Vec<&crm_agents::metadata::Parameter>| {
            parameters.iter().map(|parameter| parameter.name.clone()).collect::<Vec<String>>()
        };
        Some(AgentFacts {
            parameters: Some(names(meta.parameters.iter().collect())),
            required: names(
                meta.parameters.iter().filter(|parameter| parameter.required).collect(),
            ),
        })
    }
    fn knows_class(&self, class: &AgentClass) -> bool {
        *class == AgentClass::Own
    }
    fn misfits(
        &self,
        agent: &AgentRef,
        params: &BTreeMap<String, String>,
    ) -> Vec<(String, String)> {
        let problems = crm_agents::meta_data(&agent.name).map(|meta| meta.check(params));
        let text = |problem: crm_agents::metadata::Problem| ("?".to_owned(), problem.to_string());
        problems.unwrap_or_default().into_iter().map(text).collect()
    }
}

/// Of each layout the chapter shows the very text of the files beside it, which other tests run.
#[test]
fn every_layout_is_accepted_without_a_word_and_shown_whole_in_its_chapter() {
    let directory = format!("{}/../../docs/layouts", env!("CARGO_MANIFEST_DIR"));
    let index = root_file("docs/layouts/README.md");
    let mut shown = BTreeSet::new();
    let mut files = BTreeSet::new();
    for entry in fs::read_dir(&directory).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".res") {
            files.insert(name.clone());
        }
        let Some(layout) = name.strip_suffix(".yaml") else { continue };
        let text = root_file(&format!("docs/layouts/{name}"));
        let checked = check(&name, &text, &BuiltIn);
        assert!(checked.diagnostics.is_empty(), "{name}: {:?}", checked.diagnostics);
        let chapter = root_file(&format!("docs/layouts/{layout}.md"));
        assert!(
            chapter.contains(&format!("```yaml\n{text}```\n")),
            "{layout}.md shows another {name}"
        );
        assert!(index.contains(&format!("]({layout}.md)")), "{layout}.md is not in the index");
        let groups = checked.cluster.unwrap().groups;
        assert!(groups.iter().all(|group| !group.resources.is_empty()), "{name}");
        for resource in groups.iter().flat_map(|group| &group.resources) {
            let Some(volume) = resource.params.get("drbd_resource") else { continue };
            let text = root_file(&format!("docs/layouts/{volume}.res"));
            let block = format!("```drbd\n{text}```\n");
            assert!(chapter.contains(&block), "{layout}.md shows another {volume}.res");
            shown.insert(format!("{volume}.res"));
        }
    }
    assert!(shown.len() >= 3, "expected the layouts' volumes, found {shown:?}");
    assert_eq!(files, shown, "every file is shown by a chapter");
}

#[test]
fn warnings_never_refuse() {
    let text = "cluster: x\nfencing: none\nnodes: {a: {links: [10.0.0.1]}, b: {links: [10.0.0.2]}}\n\
                groups: {d: {resources: [drbd: r0]}}\n";
    let checked = check("x", text, &NoCatalog);
    assert!(checked.cluster.is_some());
    assert!(checked.diagnostics.iter().all(|found| found.severity == Severity::Warning));
    assert_eq!(checked.diagnostics.len(), 2);
}

#[test]
fn the_set_up_in_the_chapter_on_the_witness_reads() {
    let chapter = root_file("docs/witness.md");
    let blocks: Vec<&str> =
        chapter.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    let [witness, cluster] = blocks.as_slice() else { panic!("{} blocks", blocks.len()) };
    let checked = crm_config::check_witness("witness.yaml", witness);
    let served = checked.config.expect("it reads").clusters;
    let checked = check("cluster.yaml", cluster, &NoCatalog);
    assert!(checked.diagnostics.is_empty(), "{:?}", checked.diagnostics);
    let cluster = checked.cluster.unwrap();
    assert_eq!(served.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), [cluster.name.as_str()]);
    for line in crm_config::budget(&cluster) {
        assert_eq!(line.protection, crm_config::Protection::Watchdog, "{line}");
    }
}
