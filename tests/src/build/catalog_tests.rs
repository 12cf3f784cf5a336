use super::{DEFAULT_KUBERNETES, KubernetesRelease, groups, required_version};

#[test]
fn a_version_is_read_from_either_form_of_a_requirement() {
    let go_mod = "module x\n\nrequire k8s.io/kubernetes v1.37.2\n\nrequire (\n\ta.b/c v0.1.0 // indirect\n)\n\
                  replace (\n\tk8s.io/api => k8s.io/api v0.37.2\n)\n";
    assert_eq!(required_version(go_mod, "k8s.io/kubernetes"), Some("v1.37.2"));
    assert_eq!(required_version(go_mod, "a.b/c"), Some("v0.1.0"));
    assert_eq!(required_version(go_mod, "k8s.io/api"), None);
}

#[test]
fn every_group_has_its_module_files_and_names_its_programs_as_tools() {
    let releases = ["1.33", DEFAULT_KUBERNETES].map(|minor| KubernetesRelease(minor.to_owned()));
    for group in groups(&releases) {
        let go_mod = std::fs::read_to_string(group.source().join("go.mod")).unwrap();
        assert!(group.source().join("go.sum").is_file(), "{} has no go.sum", group.folder);
        for program in group.programs {
            assert!(go_mod.contains(program.package), "{}/go.mod lacks {}", group.folder, program.package);
        }
    }
}

#[test]
fn kubernetes_reports_the_version_of_its_module() {
    let group = &groups(&[KubernetesRelease::default()])[0];
    let flags = group.linker_flags("require k8s.io/kubernetes v1.37.2\n").unwrap();
    assert!(flags.contains("gitVersion=v1.37.2"), "{flags}");
    assert!(flags.contains("gitMajor=1 ") && flags.ends_with("gitMinor=37"), "{flags}");
}
