//! `[checks]`: one check for each use of a file, each cell and each round of its window.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::raw::{During, RawBody, RawCheck, RawClaim, RawPart};
use super::resolve::{Around, Instance, Resolver, Use, scope_of};
use super::{Body, Check, LeftOut, Place, Step, StepName};
use crate::event::{JudgeBy, Round};
use crate::id::{CheckId, StepId};

/// One window of a check.
#[derive(Clone, Default)]
struct Pane {
    opens: Option<StepId>,
    closes: Option<StepId>,
    /// The brackets of its cell and round.
    brackets: String,
    item: Option<Value>,
    round: Option<u32>,
    names: BTreeMap<String, StepName>,
}

/// What a check takes over from those that it is a part of.
#[derive(Clone, Default)]
struct Outer {
    /// Their names, each with a `/`.
    path: String,
    judge: JudgeBy,
    left_out: Option<LeftOut>,
}

impl<'a> Resolver<'a, '_> {
    /// The checks of one use of a file, once its steps are made.
    pub(super) fn trials(&mut self, used: &Use<'a>, around: &Around<'a, '_>, steps: &[Step]) {
        for raw in &used.file.checks {
            let mut panes = Vec::new();
            match &raw.during {
                During::All => {
                    panes.push(Pane { opens: around.group.cloned(), closes: around.group.cloned(), ..Pane::default() });
                }
                During::Step((path, _)) => {
                    let path: Vec<&str> = path.split('/').collect();
                    self.panes(used, around, raw, steps, &path, None, &Pane::default(), &mut panes);
                }
                During::Between((from, _), (to, _)) => {
                    let path: Vec<&str> = from.split('/').collect();
                    let to = to.rsplit('/').next();
                    self.panes(used, around, raw, steps, &path, to, &Pane::default(), &mut panes);
                }
                During::Broken => {}
            }
            for pane in panes {
                self.trial(used, raw, &pane, &Outer::default(), around.group);
            }
        }
    }

    /// The windows of a check: with `to` one from a step to another one beside it, else one for
    /// each cell and round of the step.
    #[expect(clippy::too_many_arguments, reason = "a walk down two trees at once")]
    fn panes(
        &mut self,
        used: &Use<'a>,
        around: &Around<'a, '_>,
        raw: &'a RawCheck,
        steps: &[Step],
        path: &[&str],
        to: Option<&str>,
        outer: &Pane,
        panes: &mut Vec<Pane>,
    ) {
        let Some((name, rest)) = path.split_first() else { return };
        let id = around.id(name);
        let Some(step) = steps.iter().find(|step| step.id == id) else { return };
        if let (Some(to), []) = (to, rest) {
            let names = self.named(used, around, &raw.mentions);
            let (opens, closes) = (Some(id), Some(around.id(to)));
            panes.push(Pane { opens, closes, names, ..outer.clone() });
            return;
        }
        let mut instances = Vec::new();
        spread(step, &mut instances);
        if instances.is_empty() {
            // It has no cells, or was left out: the check is skipped with it.
            instances.push(step);
        }
        for instance in instances {
            let brackets = format!("{}{}", outer.brackets, &instance.id.as_str()[id.as_str().len()..]);
            let here =
                Pane { brackets, item: instance.scope.item.clone(), round: instance.scope.round, ..outer.clone() };
            if rest.is_empty() {
                let names = self.named(used, around, &raw.mentions);
                let own = Some(instance.id.clone());
                panes.push(Pane { opens: own.clone(), closes: own, names, ..here });
                continue;
            }
            let written = around.by_name.get(name).map(|step| &step.body);
            let Some(RawBody::Steps(inner)) = written else { continue };
            let top = Around::top(inner, Some(&instance.id));
            let inside = Around { item: here.item.as_ref(), round: here.round, outer: Some(around), ..top };
            self.panes(used, &inside, raw, instance.children(), rest, to, &here, panes);
        }
    }

    /// One check over one window; a part of checks is opened up.
    fn trial(&mut self, used: &Use<'a>, raw: &'a RawCheck, pane: &Pane, outer: &Outer, group: Option<&StepId>) {
        let here = Instance { item: pane.item.as_ref(), round: pane.round };
        let scope = scope_of(used, pane.names.clone(), here);
        let told = self.problems.len();
        let own = self.left_out(used, raw.condition.as_ref(), &raw.mentions, here);
        let left_out = outer.left_out.clone().or(own);
        let judge = if outer.judge == JudgeBy::Report { JudgeBy::Report } else { raw.judge };
        match &raw.body {
            RawClaim::Broken => {}
            RawClaim::One { asked, written, .. } => {
                let Some(on) = used.objects.get(&asked.on).cloned() else { return };
                let name = format!("{}{}", outer.path, raw.name);
                let sources = &self.library.sources;
                let place = Place {
                    file: sources.path_of(used.file.source).to_owned(),
                    line: sources.line(used.file.source, raw.key.start),
                };
                let about = super::resolve::about(raw.about.as_ref(), &scope);
                let check = Check {
                    id: CheckId::new(group, &format!("{name}{}", pane.brackets)),
                    place,
                    about,
                    covers: self.covered(&raw.covers),
                    opens: pane.opens.clone(),
                    closes: pane.closes.clone(),
                    judge,
                    round: self.round_of(group, &name, &pane.brackets),
                    left_out,
                    scope,
                    on,
                    min: asked.min.clone(),
                    claim: asked.claim.clone(),
                    written: written.clone(),
                };
                self.checks.push(check);
            }
            RawClaim::Part(part) => {
                let outer = Outer { path: format!("{}{}/", outer.path, raw.name), judge, left_out };
                self.family(used, part, &scope, pane, &outer, group);
                if outer.left_out.is_some() {
                    // What is left out may be left out because its values are not there.
                    self.problems.truncate(told);
                }
            }
        }
    }

    /// The checks of another file, over the caller's window.
    fn family(
        &mut self,
        used: &Use<'a>,
        part: &'a RawPart,
        scope: &Arc<super::Scope>,
        pane: &Pane,
        outer: &Outer,
        group: Option<&StepId>,
    ) {
        // No step can have such a name, so that the selections of one never stand for the other's.
        let name = format!("checks.{}{}", outer.path.trim_end_matches('/'), pane.brackets);
        let id = group.map_or_else(|| StepId::root(&name), |group| group.join(&name));
        let Some(inner) = self.inside(used, part, &id, scope) else { return };
        let bare = Pane { item: None, round: None, names: BTreeMap::new(), ..pane.clone() };
        for raw in &inner.file.checks {
            self.trial(&inner, raw, &bare, outer, group);
        }
    }

    /// Which of many this check is, if it is one of many.
    fn round_of(&mut self, group: Option<&StepId>, name: &str, brackets: &str) -> Option<Round> {
        let plain = group.map(|group| StepId::root(&super::choice::plain(group.as_str())));
        if brackets.is_empty() && plain.as_ref() == group {
            return None;
        }
        let of = CheckId::new(plain.as_ref(), name);
        let number = self.rounds.entry(of.clone()).or_insert(0);
        *number += 1;
        Some(Round { of, number: *number })
    }
}

/// The cells and rounds of a step; the step itself if it has neither.
fn spread<'s>(step: &'s Step, into: &mut Vec<&'s Step>) {
    match &step.body {
        Body::Cells { cells } => cells.iter().for_each(|cell| spread(cell, into)),
        Body::Repeat { rounds, .. } => into.extend(rounds),
        Body::Verb(_) | Body::Group { .. } => into.push(step),
    }
}
