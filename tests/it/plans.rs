//! The plans that come with Lariat.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::Bench;

/// A file of the repository.
fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The plans about Longhorn, with what they must be given to be checked.
const LONGHORN: [(&str, &[&str]); 4] = [
    ("plans/compatible.toml", &[]),
    ("plans/incompatible.toml", &[]),
    ("plans/same-image.toml", &[]),
    ("plans/images.toml", &["--set", "registry=localhost:5000"]),
];

#[test]
fn every_plan_has_no_mistakes() {
    let bench = Bench::new();
    let mut plans = 0;
    for entry in fs::read_dir(here("plans")).expect("the plans are a folder") {
        let path = entry.expect("the folder can be read").path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let shown = path.display().to_string();
            let registry = ["--set", "registry=localhost:5000"];
            let more = if path.ends_with("images.toml") { &registry[..] } else { &[] };
            bench.lariat(["check", shown.as_str()].into_iter().chain(more.iter().copied())).expect(0, &["no mistakes"]);
            plans += 1;
        }
    }
    assert!(plans >= 6, "{plans} plans");
}

#[test]
fn every_file_of_a_plan_names_its_schema() {
    let mut files = 0;
    for (folder, schema) in [("plans", "../schema"), ("plans/parts", "../../schema")] {
        for entry in fs::read_dir(here(folder)).expect("it is a folder") {
            let path = entry.expect("the folder can be read").path();
            let stem = path.file_stem().expect("it is a file").to_string_lossy().into_owned();
            // What is included holds selections alone, and is no plan.
            if path.extension().is_some_and(|extension| extension == "toml") && !stem.ends_with(".objects") {
                let text = fs::read_to_string(&path).expect("a plan is text");
                let first = format!("#:schema {schema}/plan.schema.json\n");
                assert!(text.starts_with(&first), "{} does not begin with `{}`", path.display(), first.trim_end());
                files += 1;
            }
        }
    }
    assert!(files >= 15, "{files} files");
}

#[test]
fn every_number_of_the_manual_test_is_covered() {
    let bench = Bench::new();
    for (plan, more) in LONGHORN {
        let plan = here(plan).display().to_string();
        let args = ["check", plan.as_str(), "--coverage"].into_iter().chain(more.iter().copied());
        let ran = bench.lariat(args);
        ran.expect(0, &[]);
        let last = ran.stdout.lines().last().unwrap_or_default();
        let all = last.split_whitespace().next().unwrap_or_default();
        assert!(last.contains(&format!("{all} of {all} requirements")), "{}", ran.stdout);
        assert!(!ran.stdout.contains("nobody"), "{}", ran.stdout);
    }
}

#[test]
fn what_can_be_left_out_is_no_mistake() {
    let bench = Bench::new();
    let says = |plan: &str, sets: &[&str]| {
        let plan = here(plan).display().to_string();
        let sets = sets.iter().flat_map(|set| ["--set", set]);
        bench.lariat(["check", plan.as_str()].into_iter().chain(sets)).expect(0, &["no mistakes"]);
    };
    for plan in ["plans/compatible.toml", "plans/incompatible.toml", "plans/same-image.toml"] {
        says(plan, &["install=false"]);
        says(plan, &["air_gapped=true"]);
        says(plan, &["write_size=1Gi", "volumes=3"]);
    }
    says("plans/same-image.toml", &["volumes=0", "install=false"]);
    says("plans/same-image.toml", &["rounds=3", "grace=30s", "roll=true"]);
    says("plans/images.toml", &["registry=r", "raise_minimum=false", "push=false"]);
}

/// A repository as the recipes find it: constants, and a Makefile that builds by `docker build`.
fn repository(bench: &Bench, name: &str, file: &str, constants: &str) -> String {
    bench.write(&format!("{name}/{file}"), constants);
    bench.write(&format!("{name}/Makefile"), format!("all:\n\tdocker build \"$(REPO)/{name}:$(TAG)\" {file}\n"));
    let folder = bench.path().join(name);
    let git = |args: &[&str]| {
        let done = Command::new("git")
            .args(args)
            .current_dir(&folder)
            .env("HOME", bench.path())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .envs([("GIT_AUTHOR_NAME", "t"), ("GIT_AUTHOR_EMAIL", "t@t")])
            .envs([("GIT_COMMITTER_NAME", "t"), ("GIT_COMMITTER_EMAIL", "t@t")])
            .output()
            .expect("git can be started");
        assert!(done.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&done.stderr));
    };
    git(&["init", "--quiet"]);
    git(&["add", "--all"]);
    git(&["commit", "--quiet", "--message", "as it is"]);
    git(&["tag", "v1.12.1"]);
    format!("file://{}", folder.display())
}

/// An image is the file that was built into it, and a registry is a folder.
const DOCKER: &str = r#"#!/bin/sh
set -eu
file() { printf '%s/%s' "$SHOP" "$(printf %s "$1" | tr '/:' '__')"; }
case "$1" in
build) cp "$3" "$(file "local/$2")" ;;
tag) cp "$(file "local/$2")" "$(file "local/$3")" ;;
push) cp "$(file "local/$2")" "$(file "pushed/$2")" ;;
login) test "$(cat)" = hush ;;
*) exit 64 ;;
esac
"#;

const MANAGER: &str = "package engineapi\n\nconst (\n\tCurrentBackingImageManagerAPIVersion = 3\n\tMinBackingImageManagerAPIVersion     = 3\n\tUnknownBackingImageManagerAPIVersion = 0\n)\n";
const IMAGE: &str =
    "package meta\n\nconst (\n\tBackingImageManagerAPIVersion    = 3\n\tBackingImageManagerAPIMinVersion = 3\n)\n";

/// Runs the recipes with a `docker` that keeps images as files.
fn recipes(bench: &Bench, more: &[&str]) -> crate::support::Ran {
    let manager = repository(bench, "longhorn-manager", "engineapi/backing_image_manager.go", MANAGER);
    let image = repository(bench, "backing-image-manager", "pkg/meta/version.go", IMAGE);
    let docker = bench.write("bin/docker", DOCKER);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(&docker, fs::Permissions::from_mode(0o755)).expect("it can be made a program");
    }
    fs::create_dir_all(bench.path().join("shop")).expect("a folder can be made");
    let plan = here("plans/images.toml").display().to_string();
    let path = std::env::var("PATH").expect("there is a PATH");
    let path = format!("{}:{path}", docker.parent().expect("it is in a folder").display());
    let sets = [
        "registry=registry.example:5000".to_owned(),
        format!("manager_repository={manager}"),
        format!("image_repository={image}"),
        "user=ci".to_owned(),
    ];
    let args: Vec<String> = ["run".to_owned(), plan]
        .into_iter()
        .chain(
            sets.into_iter().chain(more.iter().map(|set| (*set).to_owned())).flat_map(|set| ["--set".to_owned(), set]),
        )
        .collect();
    bench
        .command(args)
        .env("PATH", path)
        .env("SHOP", bench.path().join("shop"))
        .env("LARIAT_REGISTRY_PASSWORD", "hush")
        .output()
        .expect("the binary can be started")
        .into()
}

#[test]
fn the_recipes_build_images_with_raised_api_versions() {
    let bench = Bench::new();
    let ran = recipes(&bench, &[]);
    let set = "--set registry=registry.example:5000 --set manager_repository=longhorn-manager --set manager_tag=v1.12.1-b --set image_repository=backing-image-manager --set image_tag=v1.12.1-b --set manager_min=4";
    ran.expect(0, &[]);
    assert_eq!(
        ran.stdout,
        format!(
            "manager = registry.example:5000/longhorn-manager:v1.12.1-b\nimage = registry.example:5000/backing-image-manager:v1.12.1-b\nset = {set}\n"
        )
    );
    // What it prints is what `incompatible` takes.
    let incompatible = here("plans/incompatible.toml").display().to_string();
    bench.lariat(["check", incompatible.as_str()].into_iter().chain(set.split(' '))).expect(0, &["no mistakes"]);
    let journal = bench.latest("images", "events.jsonl");
    assert!(!journal.contains("hush"), "the password is in the journal");
    let pushed = |name: &str| {
        let path = bench.path().join(format!("shop/pushed_registry.example_5000_{name}_v1.12.1-b"));
        fs::read_to_string(path).expect("it was pushed")
    };
    assert_eq!(pushed("longhorn-manager"), MANAGER.replace("= 3", "= 4"));
    assert_eq!(pushed("backing-image-manager"), IMAGE.replace("= 3", "= 4"));
}

#[test]
fn a_compatible_pair_keeps_the_managers_minimum_and_nothing_is_pushed_unasked() {
    let bench = Bench::new();
    recipes(&bench, &["raise_minimum=false", "push=false"]).expect(0, &[]);
    let shop = |name: &str| fs::read_to_string(bench.path().join("shop").join(name));
    let manager = shop("local_longhornio_longhorn-manager_v1.12.1-b").expect("it was built");
    assert!(manager.contains("CurrentBackingImageManagerAPIVersion = 4"), "{manager}");
    assert!(manager.contains("MinBackingImageManagerAPIVersion     = 3"), "{manager}");
    assert!(shop("pushed_registry.example_5000_longhorn-manager_v1.12.1-b").is_err());
}

#[test]
fn the_table_of_requirements_has_their_sentences() {
    let plan = here("plans/images.toml").display().to_string();
    let ran = Bench::new().lariat(["check", plan.as_str(), "--set", "registry=r", "--coverage"]);
    let table = ran.stdout.split_once('\n').expect("the first line is about mistakes").1;
    insta::assert_snapshot!(table, @"
      manager-1  Download the longhorn-manager repository
                 manager/clone
      manager-2  Raise its backing image manager API version
                 manager/current, manager/minimum
      manager-3  Build it, push it
                 manager/build, manager/tag, manager/push
      image-1    Download the backing-image-manager repository
                 image/clone
      image-2    Raise its API version and its lowest API version
                 image/current, image/minimum
      image-3    Build it, push it
                 image/build, image/tag, image/push
      6 of 6 requirements covered
    ");
}

#[test]
fn the_doctor_misses_what_the_recipes_run() {
    let bench = Bench::new();
    let only = bench.path().join("only");
    fs::create_dir_all(&only).expect("a folder can be made");
    let plan = here("plans/images.toml").display().to_string();
    let ran: crate::support::Ran = bench
        .command(["doctor", plan.as_str(), "--set", "registry=r"])
        .env("PATH", &only)
        .output()
        .expect("the binary can be started")
        .into();
    ran.expect(4, &["`docker` is not on PATH", "`git` is not on PATH", "`make` is not on PATH"]);
    let ran: crate::support::Ran = bench
        .command(["doctor", plan.as_str(), "--set", "registry=r", "--set", "docker=podman"])
        .env("PATH", &only)
        .output()
        .expect("the binary can be started")
        .into();
    ran.expect(4, &["`podman` is not on PATH"]);
    assert!(!ran.stdout.contains("docker"), "{}", ran.stdout);
}
