use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::args::{ColorArg, DoctorArgs, PlanArgs};
use super::screen::out;
use super::{Exit, door};
use crate::expr::Shared;
use crate::plan::verb::{Command, Verb};
use crate::plan::{Body, Plan, Step};
use crate::text;

/// Says what this machine lacks for a plan, each in a sentence.
pub(super) async fn doctor(args: &DoctorArgs) -> Exit {
    let mut findings = Findings::default();
    let plan = match &args.plan {
        None => None,
        Some(path) => {
            let asked = PlanArgs { plan: path.clone(), set: args.set.clone(), ..PlanArgs::default() };
            match door::load(&asked, ColorArg::Auto) {
                Ok(plan) => {
                    findings.good(format!("the plan `{}` has no mistakes", plan.name));
                    Some(plan)
                }
                Err(exit) => return exit,
            }
        }
    };
    folder(&args.reports, &mut findings);
    let needs = Needs::of(plan.as_ref());
    for program in &needs.programs {
        match on_path(program) {
            Some(path) => findings.good(format!("`{program}` is {}", path.display())),
            None => findings.bad(format!("`{program}` is not on PATH; a `command` step of this plan runs it")),
        }
    }
    if let Some(plan) = plan.as_ref().filter(|plan| plan.needs_cluster()) {
        cluster(plan, args, needs.helm, &mut findings).await;
    } else if plan.is_some() {
        findings.good("the plan needs no cluster");
    } else {
        match on_path("helm") {
            Some(path) => findings.good(format!("`helm` is {}", path.display())),
            None => findings.bad("`helm` is not on PATH; plans with helm steps need helm 3.10 or newer, or helm 4"),
        }
    }
    findings.tell()
}

#[derive(Default)]
struct Findings {
    lines: Vec<String>,
    bad: usize,
}

impl Findings {
    fn good(&mut self, said: impl AsRef<str>) {
        self.lines.push(format!("ok       {}", said.as_ref()));
    }

    fn bad(&mut self, said: impl AsRef<str>) {
        self.lines.push(format!("MISSING  {}", said.as_ref()));
        self.bad += 1;
    }

    fn tell(self) -> Exit {
        out(&self.lines.join("\n"));
        if self.bad == 0 {
            return Exit::Ok;
        }
        out(&format!("\n{} to mend before the plan can run", text::count(self.bad, "thing")));
        Exit::Error
    }
}

/// What a plan runs on this machine.
#[derive(Default)]
struct Needs {
    programs: BTreeSet<String>,
    helm: bool,
}

impl Needs {
    fn of(plan: Option<&Plan>) -> Self {
        let mut needs = Self::default();
        for step in plan.map(Plan::walk).unwrap_or_default() {
            let Body::Verb(verb) = &step.body else { continue };
            if step.left_out.is_some() {
                continue;
            }
            match verb.as_ref() {
                Verb::HelmInstall(_) | Verb::HelmUpgrade(_) | Verb::HelmRollback(_) | Verb::HelmUninstall(_) => {
                    needs.helm = true;
                }
                Verb::Command(command) => {
                    needs.programs.extend(program(step, command).filter(|program| !program.contains('/')));
                }
                _ => {}
            }
        }
        needs
    }
}

/// The program that a step runs, if its name follows from vars alone.
fn program(step: &Step, command: &Command) -> Option<String> {
    let nothing = Shared::from(serde_json::json!({ "id": "", "seed": 0, "plan": "", "dir": "" }));
    // What comes from other steps is not known yet: a name that hangs on it is left out.
    let args = command.args.get(&step.scope.env(&nothing, &|_| None)).ok()?;
    args.into_iter().next()
}

async fn cluster(plan: &Plan, args: &DoctorArgs, helm: bool, findings: &mut Findings) {
    let Some(context) = &args.cluster.context else {
        findings.good("without `--context NAME` it runs on the embedded cluster, which needs nothing");
        return;
    };
    let Ok(opened) = door::connect(context, &args.cluster).await else {
        findings.bad(format!("the context `{context}` can't be used; the lines above say why"));
        return;
    };
    if let Some(identity) = opened.cluster.identity() {
        let nodes =
            identity.nodes.map_or_else(|| "nodes can't be listed".to_owned(), |nodes| text::count(nodes, "node"));
        findings
            .good(format!("the context `{context}` answers: {} {} with {nodes}", identity.server, identity.version));
    }
    let harming = plan.harming().len();
    if harming > 0 && !opened.may_harm {
        findings.bad(format!("the plan has {} that can break things, and `{context}` does not allow it: say `harm = true` under `[contexts.{context}]` in lariat.toml, or `--yes` at each run", text::count(harming, "step")));
    }
    if helm {
        match opened.cluster.helm().version().await {
            Ok(version) => findings.good(format!("helm is {version}")),
            Err(error) => findings.bad(error.to_string()),
        }
    }
}

/// Whether run folders can be made.
fn folder(reports: &Path, findings: &mut Findings) {
    let probe = reports.join(".lariat-doctor");
    let made = std::fs::create_dir_all(reports)
        .and_then(|()| std::fs::write(&probe, b""))
        .and_then(|()| std::fs::remove_file(&probe));
    match made {
        Ok(()) => findings.good(format!("run folders can be made in `{}`", reports.display())),
        Err(error) => findings.bad(format!(
            "run folders can't be made in `{}`: {error}; choose another with `--reports FOLDER`",
            reports.display()
        )),
    }
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}
