//! What names in a file lead to, and whether what they name is there by then.

use std::collections::BTreeSet;
use std::ops::Range;

use super::library::Library;
use super::mention::{Mention, Within};
use super::order::Order;
use super::raw::{During, RawBody, RawCheck, RawClaim, RawFile, RawObject, RawPart, RawStep};
use super::vars::circles;
use super::verb::{EVERY_STEP, outputs_of};
use super::{Problem, Spot};
use crate::expr::Part;
use crate::text;

/// Checks every name in every file.
pub(super) fn check(library: &Library<'_>) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in &library.files {
        Names { library, file, problems: &mut problems, check: None }.file();
    }
    problems
}

struct Names<'a, 'p> {
    library: &'a Library<'a>,
    file: &'a RawFile,
    problems: &'p mut Vec<Problem>,
    /// The check whose names are looked at.
    check: Option<&'a RawCheck>,
}

/// A scope with the step in it that is looked at, or that it is inside of.
struct Level<'o, 'a> {
    order: &'o Order<'a>,
    step: usize,
    outer: Option<&'o Level<'o, 'a>>,
    /// It is looked at from outside: its cells and rounds together.
    whole: bool,
}

impl<'o, 'a> Level<'o, 'a> {
    fn step(&self) -> &'a RawStep {
        &self.order.steps[self.step]
    }

    fn up(&self) -> impl Iterator<Item = &Level<'o, 'a>> {
        std::iter::successors(Some(self), |level| level.outer)
    }
}

/// `image_file` in an expression is the step or selection `image-file`.
fn spelled(name: &str) -> String {
    name.replace('_', "-")
}

/// A name as expressions write it.
fn in_expression(name: &str) -> String {
    name.replace('-', "_")
}

impl<'a> Names<'a, '_> {
    fn file(&mut self) {
        let file = self.file;
        for mention in &file.mentions {
            self.mention(mention, None);
        }
        for (name, object) in &file.objects {
            for mention in &object.mentions {
                self.mention(mention, None);
            }
            self.source_of(name, object);
        }
        self.object_cycles();
        for circle in circles(file) {
            let key = file.vars.get(&circle[0]).map_or(0..0, |var| var.key.clone());
            self.problem(&key, format!("vars are made of each other: {}", circle.join(" -> ")));
        }
        self.steps(&file.steps, None);
        for check in &file.checks {
            self.check = Some(check);
            self.check(check);
        }
        self.check = None;
    }

    fn problem(&mut self, span: &Range<usize>, message: impl Into<String>) -> &mut Problem {
        self.problems.push(Problem::at(Spot::new(self.file.source, span.clone()), message));
        self.problems.last_mut().expect("one was pushed")
    }

    /// Proposes what was probably meant.
    fn unknown(&mut self, spot: Spot, message: String, name: &str, known: Vec<String>) {
        let problem = Problem::at(spot, message);
        self.problems.push(problem.suggest(name, known));
    }

    // Selections.

    fn source_of(&mut self, name: &str, object: &RawObject) {
        let Some((on, spot)) = &object.on else { return };
        if on == name {
            self.problems.push(Problem::at(spot.clone(), format!("`{name}` is made from itself")));
        } else if !self.has_object(on) {
            let known = self.file.objects.keys().cloned().collect();
            self.unknown(spot.clone(), format!("there is no selection `{on}`"), on, known);
        }
    }

    /// Whether there is such a selection; as far as is known, if an included file is missing.
    fn has_object(&self, name: &str) -> bool {
        self.file.lacks_objects || self.file.objects.contains_key(name)
    }

    fn object_cycles(&mut self) {
        let mut told: BTreeSet<&str> = BTreeSet::new();
        for start in self.file.objects.keys() {
            let mut chain = vec![start.as_str()];
            while let Some((on, spot)) =
                self.file.objects.get(*chain.last().expect("it starts with one")).and_then(|o| o.on.as_ref())
            {
                if on == start && chain.len() > 1 && !told.contains(start.as_str()) {
                    told.extend(&chain);
                    chain.push(start);
                    let spot = spot.clone();
                    let message = format!("selections are made from each other: {}", chain.join(" -> "));
                    self.problems.push(Problem::at(spot, message));
                    break;
                }
                if chain.contains(&on.as_str()) {
                    break;
                }
                chain.push(on);
            }
        }
    }

    /// Whether a selection's tracks are entries of a map, which have a key and a parent.
    fn has_keys(&self, name: &str) -> bool {
        let mut name = name;
        for _ in 0..=self.file.objects.len() {
            match self.file.objects.get(name) {
                Some(object) if object.each.is_some() => return true,
                Some(RawObject { on: Some((on, _)), .. }) => name = on,
                _ => return false,
            }
        }
        false
    }

    // Steps.

    fn steps(&mut self, steps: &'a [RawStep], outer: Option<&Level<'_, 'a>>) {
        let order = Order::of(steps);
        for (at, step) in steps.iter().enumerate() {
            let level = Level { order: &order, step: at, outer, whole: false };
            self.needs(&order, at);
            self.until(&level);
            for (on, span) in &step.ons {
                self.selection(on, span);
            }
            self.covers(&step.covers);
            for mention in &step.mentions {
                self.mention(mention, Some(&level));
            }
            match &step.body {
                RawBody::Steps(inner) => self.steps(inner, Some(&level)),
                RawBody::Part(part) => self.part(part),
                RawBody::Verb(..) | RawBody::Broken(_) => {}
            }
        }
        for (members, way) in order.knots() {
            let named =
                |members: &[usize]| -> Vec<String> { members.iter().map(|at| steps[*at].name.clone()).collect() };
            let chain = named(&way).join(" -> ");
            let message = if way.len() == members.len() + 1 {
                format!("steps need each other in a circle: {chain}")
            } else {
                let all: Vec<String> = named(&members).iter().map(|name| format!("`{name}`")).collect();
                format!("steps need each other in a circle: {}, for one {chain}", text::and(&all))
            };
            let first = &steps[members[0]];
            let span = first.needs.iter().find(|(need, _)| way.get(1).is_some_and(|at| steps[*at].name == *need));
            let span = span.map_or_else(|| first.key.clone(), |(_, span)| span.clone());
            let implicit =
                members.iter().map(|at| &steps[*at]).find(|step| step.when.is_cleanup() && step.needs.is_empty());
            let problem = self.problem(&span, message);
            problem.help = implicit.map(|step| {
                format!("`{}` is clean-up without `needs`, so it waits for every step of its scope", step.name)
            });
        }
    }

    fn selection(&mut self, on: &str, span: &Range<usize>) {
        if !self.has_object(on) {
            let known = self.file.objects.keys().cloned().collect();
            let spot = Spot::new(self.file.source, span.clone());
            self.unknown(spot, format!("there is no selection `{on}`"), on, known);
        }
    }

    fn covers(&mut self, covered: &[(String, Range<usize>)]) {
        let Some(covers) = &self.file.header.covers else { return };
        for (id, span) in covered {
            if !covers.iter().any(|(known, _)| known == id) {
                let known = covers.iter().map(|(id, _)| id.clone()).collect();
                let message = format!("`{id}` is not among the ids that `[plan] covers` names");
                self.unknown(Spot::new(self.file.source, span.clone()), message, id, known);
            }
        }
    }

    // Checks.

    fn check(&mut self, check: &'a RawCheck) {
        self.covers(&check.covers);
        match &check.body {
            RawClaim::One { asked, on, .. } => self.selection(&asked.on, on),
            RawClaim::Part(part) => self.part(part),
            RawClaim::Broken => {}
        }
        match &check.during {
            During::All => {
                for mention in &check.mentions {
                    self.mention(mention, None);
                }
            }
            During::Step((path, span)) => {
                let path: Vec<&str> = path.split('/').collect();
                self.window(check, &path, span, &self.file.steps, None, None);
            }
            During::Between((from, span), (to, to_span)) => {
                let path: Vec<&str> = from.split('/').collect();
                let (around, last) = to.rsplit_once('/').map_or(("", to.as_str()), |(around, last)| (around, last));
                if around == path[..path.len() - 1].join("/") {
                    self.window(check, &path, span, &self.file.steps, None, Some((last, to_span)));
                } else {
                    let message = format!("`{to}` is not beside `{from}`");
                    self.problem(to_span, message).help = Some(
                        "a window opens and closes with steps of one group; name the group that holds both".to_owned(),
                    );
                }
            }
            During::Broken => {}
        }
    }

    /// Follows the path of a window's step, and looks at the check's names from there.
    fn window(
        &mut self,
        check: &'a RawCheck,
        path: &[&str],
        span: &Range<usize>,
        steps: &'a [RawStep],
        outer: Option<&Level<'_, 'a>>,
        to: Option<(&str, &Range<usize>)>,
    ) {
        let order = Order::of(steps);
        let Some((name, rest)) = path.split_first() else { return };
        let known = || steps.iter().map(|step| step.name.clone()).collect();
        let Some(at) = order.find(name) else {
            let spot = Spot::new(self.file.source, span.clone());
            self.unknown(spot, format!("there is no step `{name}`"), name, known());
            return;
        };
        let level = Level { order: &order, step: at, outer, whole: rest.is_empty() && to.is_some() };
        if !rest.is_empty() {
            match &steps[at].body {
                RawBody::Steps(inner) => self.window(check, rest, span, inner, Some(&level), to),
                RawBody::Broken(_) => {}
                RawBody::Verb(..) | RawBody::Part(_) => {
                    let message = format!("`{name}` is no group of this file: there is no step inside it to name");
                    self.problem(span, message);
                }
            }
            return;
        }
        if let Some((to, to_span)) = to {
            match order.find(to) {
                None => {
                    let spot = Spot::new(self.file.source, to_span.clone());
                    self.unknown(spot, format!("there is no step `{to}`"), to, known());
                }
                Some(end) if order.is_settled_before(end, at) => {
                    let message = format!("`{to}` has settled before `{name}` starts: the window would never be open");
                    self.problem(to_span, message);
                }
                Some(_) => {}
            }
        }
        for mention in &check.mentions {
            self.mention(mention, Some(&level));
        }
    }

    fn needs(&mut self, order: &Order<'a>, at: usize) {
        let step = &order.steps[at];
        for (need, span) in &step.needs {
            if *need == step.name {
                self.problem(span, format!("`{need}` needs itself"));
            } else if order.find(need).is_none() {
                let known = order.steps.iter().filter(|other| other.name != step.name).map(|other| other.name.clone());
                let known: Vec<String> = known.collect();
                let spot = Spot::new(self.file.source, span.clone());
                self.unknown(spot, format!("there is no step `{need}` beside `{}`", step.name), need, known);
            }
        }
    }

    fn until(&mut self, level: &Level<'_, 'a>) {
        let step = level.step();
        let Some((until, span)) = &step.until else { return };
        for (up, scope) in level.up().enumerate() {
            let Some(target) = scope.order.find(until) else { continue };
            if target == scope.step {
                let what = if up == 0 { "itself" } else { "the group that it is inside of, which waits for it" };
                self.problem(span, format!("`{}` would run until `{until}`, which is {what}", step.name));
            } else if scope.order.is_settled_before(target, scope.step) {
                let message = format!("`{}` starts after `{until}` and cannot run until that ends", step.name);
                self.problem(span, message).help = Some(format!("take `{until}` out of what it needs"));
            }
            return;
        }
        let known: Vec<String> = level.up().flat_map(|scope| scope.order.steps).map(|step| step.name.clone()).collect();
        let known = known.into_iter().filter(|name| *name != step.name).collect();
        self.unknown(
            Spot::new(self.file.source, span.clone()),
            format!("there is no step `{until}` here or further out"),
            until,
            known,
        );
    }

    fn part(&mut self, part: &RawPart) {
        let Some(target) = part.target else { return };
        let target = &self.library.files[target];
        for (name, argument) in &part.with {
            if !target.vars.contains_key(name) {
                let known: Vec<String> = target.vars.keys().cloned().collect();
                let spot = Spot::new(self.file.source, argument.key.clone());
                self.unknown(spot, format!("`{}` has no var `{name}`", part.file), name, known);
            }
        }
        for (name, var) in &target.vars {
            if !var.has_default && var.env.is_none() && !part.with.contains_key(name) {
                let message = format!("`{}` needs `{name}`", part.file);
                self.problem(&part.span, message).help = Some(format!("write `with = {{ {name} = … }}`"));
            }
        }
    }

    // Names in expressions.

    fn mention(&mut self, mention: &Mention, level: Option<&Level<'_, 'a>>) {
        let spot = mention.spot.clone();
        let root = mention.path.root();
        if let Err((message, help)) = self.root(mention, root, level) {
            self.problems.push(Problem::at(spot, message).maybe_help(help));
            return;
        }
        match root {
            "vars" => self.var(mention, spot),
            "objects" => self.object(mention, spot),
            "steps" => self.step(mention, spot, level),
            "run" => {
                let known = ["id", "seed", "plan", "dir"];
                if let Some(name) = mention.path.name(1)
                    && !known.contains(&name)
                {
                    let known = known.map(str::to_owned).to_vec();
                    self.unknown(spot, format!("a run has no `{name}`"), name, known);
                }
            }
            _ => {}
        }
    }

    /// Whether a variable exists where it is named.
    fn root(
        &self,
        mention: &Mention,
        root: &str,
        level: Option<&Level<'_, 'a>>,
    ) -> Result<(), (String, Option<String>)> {
        let roots: &[&str] = match mention.within {
            Within::Head => &["vars"],
            Within::Filter => &["vars", "o", "key", "parent"],
            Within::Cells | Within::Shape => &["vars", "item"],
            Within::About => &["vars", "item", "round"],
            Within::Act => &["vars", "item", "round", "steps", "run"],
            Within::Condition => &["vars", "item", "round", "steps", "run", "o", "key", "parent", "objects"],
            Within::Answer => &["vars", "item", "round", "steps", "run", "status", "body"],
            Within::Check => &["vars", "item", "round", "steps", "run", "o", "key", "parent", "start"],
            Within::Outputs => &["vars", "steps", "run"],
        };
        let sorry = |message: String, help: &str| Err((message, Some(help.to_owned()).filter(|help| !help.is_empty())));
        if roots.contains(&root) {
            let inside = |many: fn(&RawStep) -> bool| {
                let own = usize::from(mention.within == Within::Cells);
                level.is_some_and(|level| level.up().skip(own).any(|level| !level.whole && many(level.step())))
            };
            return match root {
                "item" if !inside(|step| step.has_cells) => {
                    sorry("`item` is the cell of a `for-each`, and this is inside none".to_owned(), "")
                }
                "round" if !inside(|step| step.has_rounds) => {
                    sorry("`round` is the round of a `repeat`, and this is inside none".to_owned(), "")
                }
                "key" | "parent" if !self.has_key_here(mention, level) => sorry(
                    format!("`{root}` belongs to the entries of a map, and these are whole objects"),
                    "a selection with `on` and `each` has entries",
                ),
                _ => Ok(()),
            };
        }
        let before =
            "which steps there are, and what is watched, is known before the run: only `vars` and `item` may be used";
        match root {
            "start" => sorry("`start` is for checks only".to_owned(), ""),
            "objects" if self.check.is_some() => sorry(
                "a check is about one track at a time: `objects` is for conditions".to_owned(),
                "`parent` is the object that an entry is in, `start` the track as it was when the window opened",
            ),
            "o" | "key" | "parent" => sorry(format!("`{root}` is for conditions: no object is looked at here"), ""),
            "objects" => sorry(
                "`objects` is for conditions only".to_owned(),
                "the outputs of a `wait` hold what it saw: `steps.NAME.objects`",
            ),
            "status" | "body" => sorry(format!("`{root}` is for `that` of the verb `http`"), ""),
            "steps" | "run" | "round" | "item" => match mention.within {
                Within::Head | Within::Filter => sorry(format!("`{root}` cannot be used here: only `vars`"), ""),
                Within::Cells | Within::Shape | Within::About => sorry(format!("`{root}` cannot be used here"), before),
                _ => sorry(format!("`{root}` cannot be used here"), ""),
            },
            "env" => sorry(
                "nothing is called `env` here".to_owned(),
                "declare a var with `env = \"NAME\"` and use `vars.NAME`",
            ),
            _ if self.file.vars.contains_key(root) => {
                sorry(format!("nothing is called `{root}` here"), &format!("did you mean `vars.{root}`?"))
            }
            _ => {
                let near = text::suggest(root, roots.iter().copied());
                let help = near.map_or_else(
                    || {
                        let named: Vec<String> = roots.iter().map(|name| format!("`{name}`")).collect();
                        format!("there {} {}", if named.len() == 1 { "is" } else { "are" }, text::and(&named))
                    },
                    |near| format!("did you mean `{near}`?"),
                );
                sorry(format!("nothing is called `{root}` here"), &help)
            }
        }
    }

    fn has_key_here(&self, mention: &Mention, level: Option<&Level<'_, 'a>>) -> bool {
        if mention.within == Within::Filter {
            // Which of them is asked is told by the selection itself, which is near enough.
            let own = self
                .file
                .objects
                .iter()
                .find(|(_, object)| object.mentions.iter().any(|other| other.spot == mention.spot));
            return own.is_none_or(|(name, _)| self.has_keys(name));
        }
        if let Some(RawCheck { body: RawClaim::One { asked, .. }, .. }) = self.check {
            return !self.file.objects.contains_key(&asked.on) || self.has_keys(&asked.on);
        }
        let on = level.and_then(|level| {
            let thats = &level.step().thats;
            thats.iter().find(|(span, _)| mention.is_in(self.file.source, span))
        });
        on.is_none_or(|(_, on)| !self.file.objects.contains_key(on) || self.has_keys(on))
    }

    fn var(&mut self, mention: &Mention, spot: Spot) {
        let Some(name) = mention.path.name(1) else { return };
        if !self.file.vars.contains_key(name) {
            let known: Vec<String> = self.file.vars.keys().cloned().collect();
            let empty = known.is_empty();
            self.unknown(spot, format!("there is no var `{name}`"), name, known);
            if empty && let Some(problem) = self.problems.last_mut() {
                problem.help = Some(format!("declare it: `[vars]` with `{name} = …`"));
            }
        }
    }

    fn object(&mut self, mention: &Mention, spot: Spot) {
        let Some(name) = mention.path.name(1) else {
            self.problems.push(Problem::at(spot, "name a selection: `objects.NAME`"));
            return;
        };
        if !self.has_object(&spelled(name)) || name.contains('-') {
            let known = self.file.objects.keys().map(|name| in_expression(name)).collect();
            self.unknown(spot, format!("there is no selection `{name}`"), name, known);
        }
    }

    fn step(&mut self, mention: &Mention, spot: Spot, level: Option<&Level<'_, 'a>>) {
        let Some(name) = mention.path.name(1) else {
            self.problems.push(Problem::at(spot, "name a step: `steps.NAME.OUTPUT`"));
            return;
        };
        if name.contains('-') {
            let problem = Problem::at(spot, format!("there is no step `{name}`"));
            self.problems.push(problem.help(format!("expressions spell a dash `_`: `steps.{}`", in_expression(name))));
            return;
        }
        let rest = &mention.path.parts[2..];
        if level.is_none() && self.check.is_some() {
            let problem = Problem::at(spot, format!("no step has settled when this window opens, `{name}` neither"));
            self.problems.push(problem.help("write `during`: then the steps that settle before it may be used"));
            return;
        }
        let Some(level) = level else {
            // `[outputs]` are evaluated when everything in the file has settled.
            let order = Order::of(&self.file.steps);
            if let Some(target) = order.find(&spelled(name)) {
                self.output(&order.steps[target], rest, spot, &format!("steps.{name}"));
            } else {
                let known = order.steps.iter().map(|step| in_expression(&step.name)).collect();
                self.unknown(spot, format!("there is no step `{name}`"), name, known);
            }
            return;
        };
        let found = level.up().find_map(|scope| Some((scope, scope.order.find(&spelled(name))?)));
        let Some((scope, target)) = found else {
            let known = level.up().flat_map(|scope| scope.order.steps).map(|step| in_expression(&step.name)).collect();
            self.unknown(spot, format!("there is no step `{name}`"), name, known);
            return;
        };
        let own = scope.step();
        let step = &scope.order.steps[target];
        if target == scope.step {
            let message = if self.check.is_some() {
                format!("`{}` has not settled when the window opens", own.name)
            } else if std::ptr::eq(own, level.step()) {
                format!("`{}` cannot use its own outputs", own.name)
            } else {
                format!("`{}` has no outputs yet: this is inside of it", own.name)
            };
            self.problems.push(Problem::at(spot, message));
            return;
        }
        let misspelled = own.needs.iter().any(|(need, _)| scope.order.find(need).is_none());
        if misspelled && !scope.order.is_settled_before(target, scope.step) {
            // What it needs is told already.
            return;
        }
        if !scope.order.is_settled_before(target, scope.step) {
            let message = format!("`{}` may not have settled by then", step.name);
            let help = if scope.order.is_settled_before(scope.step, target) {
                format!("`{}` comes after `{}`", step.name, own.name)
            } else if own.needs.is_empty() {
                format!("write `needs = [\"{}\"]` at `{}`", step.name, own.name)
            } else {
                format!("add `\"{}\"` to the `needs` of `{}`", step.name, own.name)
            };
            self.problems.push(Problem::at(spot, message).help(help));
            return;
        }
        if step.until.is_some() {
            let message = format!(
                "`{}` runs in the background: it may not have ended by then, so that it has no outputs",
                step.name
            );
            self.problems.push(Problem::at(spot, message));
            return;
        }
        self.output(step, rest, spot, &format!("steps.{name}"));
    }

    /// Follows what comes after a step's name.
    fn output(&mut self, step: &'a RawStep, rest: &[Part], spot: Spot, so_far: &str) {
        let rest = match (step.has_cells, rest) {
            (true, [Part::Name(name), ..]) if self.leads_somewhere(step, name) => {
                let problem = Problem::at(spot, format!("`{}` has cells, and each has its own outputs", step.name));
                self.problems.push(problem.help(format!("name a cell: `{so_far}[item]`, or `{so_far}['…']`")));
                return;
            }
            (true, [_, cell @ ..]) => cell,
            (_, rest) => rest,
        };
        let [Part::Name(name), deeper @ ..] = rest else { return };
        match &step.body {
            RawBody::Steps(steps) => {
                if let Some(inner) = steps.iter().find(|inner| inner.name == spelled(name)) {
                    self.output(inner, deeper, spot, &format!("{so_far}.{name}"));
                } else if !is_common(name) {
                    let known = steps.iter().map(|step| in_expression(&step.name)).collect();
                    self.unknown(spot, format!("the group `{}` has no step `{name}`", step.name), name, known);
                }
            }
            RawBody::Verb(verb, ..) => self.verb_output(verb.name(), name, spot),
            RawBody::Broken(Some(verb)) => self.verb_output(verb, name, spot),
            RawBody::Part(part) => {
                let Some(target) = part.target else { return };
                let outputs = self.library.files[target].outputs.as_ref();
                let members = outputs.and_then(|outputs| outputs.keys.clone()).unwrap_or_default();
                if !members.contains(name) && !is_common(name) {
                    let message = format!("`{}` has no output `{name}`", part.file);
                    self.unknown(spot, message, name, members);
                }
            }
            RawBody::Broken(_) => {}
        }
    }

    fn verb_output(&mut self, verb: &str, name: &str, spot: Spot) {
        let known = outputs(verb);
        if !known.contains(&name) {
            let known = known.into_iter().map(str::to_owned).collect();
            self.unknown(spot, format!("`{verb}` has no output `{name}`"), name, known);
        }
    }

    /// Whether a name after a `for-each` would be a name inside one of its cells.
    fn leads_somewhere(&self, step: &RawStep, name: &str) -> bool {
        match &step.body {
            RawBody::Steps(steps) => is_common(name) || steps.iter().any(|inner| inner.name == spelled(name)),
            RawBody::Verb(verb, ..) => outputs(verb.name()).contains(&name),
            RawBody::Part(part) => {
                let outputs = part.target.and_then(|target| self.library.files[target].outputs.as_ref());
                is_common(name)
                    || outputs
                        .and_then(|outputs| outputs.keys.as_ref())
                        .is_some_and(|keys| keys.iter().any(|key| key == name))
            }
            RawBody::Broken(_) => false,
        }
    }
}

fn outputs(verb: &str) -> Vec<&'static str> {
    outputs_of(verb).iter().chain(EVERY_STEP).map(|output| output.name).collect()
}

fn is_common(name: &str) -> bool {
    EVERY_STEP.iter().any(|output| output.name == name)
}
