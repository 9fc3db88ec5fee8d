use std::collections::BTreeMap;
use std::time::Duration;

use super::{Graph, StepIx};
use crate::clock::Elapsed;
use crate::event::When;
use crate::id::StepId;

impl Graph {
    /// The chain of steps that decided how long a run took, from the times that they
    /// really began and ended, and how long they took together.
    ///
    /// It goes back from the step that ended last, to the one it waited for that
    /// ended last, through groups. Time between them (a permit, a person) is not
    /// counted. A background step is on it only if something waited for its end,
    /// and then for the time after the step it ran beside.
    pub fn critical_path(&self, times: &[(StepId, Elapsed, Elapsed)]) -> (Vec<StepId>, Duration) {
        let times: BTreeMap<StepIx, (Elapsed, Elapsed)> = times
            .iter()
            .filter_map(|(id, began, ended)| Some((self.find(id)?, (*began, *ended))))
            .filter(|(step, _)| self.is_leaf(*step))
            .collect();
        let walk = Walk { graph: self, times };
        let beside = |step: StepIx| self.until(step).is_some() || self.above(step).any(|up| self.until(up).is_some());
        let all = walk.times.keys().copied();
        let by_itself: Vec<StepIx> = all.clone().filter(|&step| !beside(step)).collect();
        let last = walk.last_of(by_itself, None).or_else(|| walk.last_of(all, None));
        let mut path: Vec<StepIx> = Vec::new();
        let mut next = last;
        // In virtual time many steps take none: the way back must still end.
        while let Some(step) = next.filter(|step| !path.contains(step)) {
            path.push(step);
            next = walk.before(step);
        }
        path.reverse();
        let mut took = Duration::ZERO;
        let mut until = Elapsed::default();
        for step in &path {
            let (began, ended) = walk.times[step];
            took += ended.since(began.max(until)).duration();
            until = ended;
        }
        let ids = path.into_iter().map(|step| self.node(step).id.clone());
        (ids.collect(), took)
    }
}

struct Walk<'a> {
    graph: &'a Graph,
    /// Of steps that do something.
    times: BTreeMap<StepIx, (Elapsed, Elapsed)>,
}

impl Walk<'_> {
    /// The step that this one waited for and that ended last before it began.
    fn before(&self, step: StepIx) -> Option<StepIx> {
        let (began, ended) = self.times[&step];
        if let Some(until) = self.ended_with(step) {
            let beside = self.last_of(self.leaves(until), Some(ended));
            if let Some(last) = beside.filter(|last| self.times[last].1 > began) {
                return Some(last);
            }
        }
        let mut seen = vec![false; self.graph.len()];
        let mut found = Vec::new();
        for at in std::iter::once(step).chain(self.graph.above(step)) {
            self.needed(at, &mut seen, &mut found);
            // Inside a group all is later than what the group waited for.
            if let Some(last) = self.last_of(found.iter().copied(), Some(began)) {
                return Some(last);
            }
        }
        None
    }

    /// The step with which a background step, or the background part it is in, ended.
    fn ended_with(&self, step: StepIx) -> Option<StepIx> {
        let mut line = std::iter::once(step).chain(self.graph.above(step));
        line.find_map(|at| self.graph.until(at))
    }

    /// The steps with times inside a step, or itself.
    fn leaves(&self, step: StepIx) -> impl Iterator<Item = StepIx> + '_ {
        let inside = self.graph.inside(step).map(StepIx::new);
        let all = std::iter::once(step).chain(inside);
        all.filter(|leaf| self.times.contains_key(leaf))
    }

    /// Steps with times that `step` waited for, through those that were skipped.
    fn needed(&self, step: StepIx, seen: &mut [bool], found: &mut Vec<StepIx>) {
        let mut waiting = vec![step];
        while let Some(step) = waiting.pop() {
            for need in self.awaited(step) {
                if std::mem::replace(&mut seen[need.at()], true) {
                    continue;
                }
                let before = found.len();
                found.extend(self.leaves(need));
                if found.len() == before {
                    waiting.push(need);
                }
            }
        }
    }

    /// What a step waits for: what it needs, or at the end of a scope all that is before it.
    fn awaited(&self, step: StepIx) -> Vec<StepIx> {
        let needs = self.graph.needs(step);
        if !needs.is_empty() || self.graph.node(step).when == When::Passed {
            return needs.to_vec();
        }
        let scope = self.graph.children(self.graph.parent(step)).iter().copied();
        let work = scope.filter(|&other| self.graph.node(other).when == When::Passed);
        work.collect()
    }

    /// The step that ended last, not after `limit`; of equals the first in plan order.
    fn last_of(&self, steps: impl IntoIterator<Item = StepIx>, limit: Option<Elapsed>) -> Option<StepIx> {
        let steps = steps.into_iter();
        let ended = steps.map(|step| (self.times[&step].1, std::cmp::Reverse(step)));
        let in_time = ended.filter(|(ended, _)| limit.is_none_or(|limit| *ended <= limit));
        in_time.max().map(|(_, step)| step.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::graph::tests::graph;

    fn path(plan: &str, times: &str) -> String {
        let graph = graph(plan);
        let times: Vec<(StepId, Elapsed, Elapsed)> = times
            .split_whitespace()
            .map(|word| {
                let (name, span) = word.split_once('=').unwrap();
                let (began, ended) = span.split_once('-').unwrap();
                let seconds = |text: &str| Elapsed(text.parse::<u64>().unwrap() * 1_000_000);
                let step = graph.all().find(|&step| graph.node(step).id.as_str() == name);
                (graph.node(step.unwrap()).id.clone(), seconds(began), seconds(ended))
            })
            .collect();
        let (path, took) = graph.critical_path(&times);
        let path: Vec<String> = path.iter().map(ToString::to_string).collect();
        format!("{} ({}s)", path.join(" > "), took.as_secs())
    }

    #[test]
    fn it_goes_back_through_what_settled_last() {
        let plan = "
            a sleep
            b sleep
            c sleep needs=a,b
            d sleep";
        assert_eq!(path(plan, "a=0-5 b=0-9 c=9-12 d=0-11"), "b > c (12s)");
        assert_eq!(path(plan, "a=0-5 b=0-9 c=9-12 d=0-30"), "d (30s)");
        assert_eq!(path(plan, ""), " (0s)");
    }

    #[test]
    fn it_goes_through_groups_rounds_and_skipped_steps() {
        let plan = "
            install sleep
            r repeat needs=install
            r[1] group
            r[1]/kill sleep
            r[1]/back sleep needs=kill
            r[2] group needs=r[1]
            r[2]/kill sleep
            r[2]/back sleep needs=kill
            never sleep needs=r
            tidy sleep always needs=never";
        let times = "install=0-2 r[1]/kill=2-3 r[1]/back=3-7 r[2]/kill=7-8 r[2]/back=8-9 tidy=10-11";
        assert_eq!(path(plan, times), "install > r[1]/kill > r[1]/back > r[2]/kill > r[2]/back > tidy (10s)");
    }

    #[test]
    fn a_background_step_is_not_on_it_by_ending_last() {
        let plan = "
            io sleep until=load
            load sleep needs=io
            tidy sleep always";
        assert_eq!(path(plan, "io=0-21 load=1-20"), "load (19s)");
        assert_eq!(path(plan, "io=0-21 load=1-20 tidy=21-22"), "load > io > tidy (21s)");
        // In no time at all it still ends.
        assert_eq!(path(plan, "io=0-0 load=0-0 tidy=0-0"), "io > load (0s)");
    }
}
