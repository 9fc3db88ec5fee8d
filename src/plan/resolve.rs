//! From what is written to what will be run: parts expanded, cells and rounds made,
//! values filled in.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::{Map, Value};

use super::library::Library;
use super::load::Settings;
use super::mention::{Mention, Within};
use super::origin::{self, Origins};
use super::raw::{RawBody, RawFile, RawPart, RawStep, Written};
use super::scope::{Cells, known};
use super::{
    Body, Check, LeftOut, Place, Plan, Problem, Scope, Selection, SelectionId, Span, Spot, Step, StepName, Var, Vars,
    choice, selection, vars,
};
use crate::event::When;
use crate::expr::{Cel, Env};
use crate::id::{CheckId, StepId};

/// The most steps a plan may come to, groups, rounds and cells counted.
pub const MAX_STEPS: usize = 20_000;

/// The time a plan has that does not say.
const PLAN_TIMEOUT: Span = Span::seconds(2 * 60 * 60);

/// Turns files into a plan.
pub(super) struct Resolver<'a, 'f> {
    pub(super) library: &'a Library<'f>,
    settings: &'a Settings,
    given: IndexMap<String, Var>,
    origins: Origins,
    pub(super) problems: Vec<Problem>,
    selections: Vec<Selection>,
    pub(super) checks: Vec<Check>,
    /// How many of the checks that share a name were made.
    pub(super) rounds: BTreeMap<CheckId, u32>,
    secrets: Vec<(String, String)>,
    /// The requirements that the plan declares.
    declared: Vec<String>,
    /// What steps' names lead to, as far as anybody asked.
    names: BTreeMap<StepId, StepName>,
    steps: usize,
}

/// One use of a file.
pub(super) struct Use<'a> {
    pub(super) file: &'a RawFile,
    vars: Arc<Vars>,
    pub(super) objects: Arc<IndexMap<String, SelectionId>>,
    namespace: String,
    origins: Origins,
    /// Where it is used, if it is a part.
    used: Option<String>,
}

/// A scope while its steps are made.
pub(super) struct Around<'a, 'l> {
    pub(super) steps: &'a [RawStep],
    pub(super) by_name: BTreeMap<&'a str, &'a RawStep>,
    /// The instance these steps are inside of; none at the top of the plan.
    pub(super) group: Option<&'l StepId>,
    pub(super) item: Option<&'l Value>,
    pub(super) round: Option<u32>,
    pub(super) outer: Option<&'l Around<'a, 'l>>,
}

impl<'a, 'l> Around<'a, 'l> {
    /// The top of a file.
    pub(super) fn top(steps: &'a [RawStep], group: Option<&'l StepId>) -> Self {
        let by_name = steps.iter().map(|step| (step.name.as_str(), step)).collect();
        Self { steps, by_name, group, item: None, round: None, outer: None }
    }

    pub(super) fn id(&self, name: &str) -> StepId {
        self.group.map_or_else(|| StepId::root(name), |group| group.join(name))
    }
}

/// The cell and round of an instance.
#[derive(Clone, Copy)]
pub(super) struct Instance<'l> {
    pub(super) item: Option<&'l Value>,
    pub(super) round: Option<u32>,
}

/// The items of a `for-each`, each with its text and what stands in the id's brackets.
struct Items {
    all: Vec<(Value, String, String)>,
    counted: bool,
}

impl<'a, 'f> Resolver<'a, 'f> {
    pub(super) fn new(library: &'a mut Library<'f>, root: usize, settings: &'a Settings) -> Self {
        let mut problems = Vec::new();
        let Library { sources, files, .. } = library;
        let (given, origins) = vars::given(&files[root], settings, sources, &mut problems);
        let declared = files[root].header.covers.iter().flatten().map(|(id, _)| id.clone()).collect();
        let (selections, secrets) = (Vec::new(), Vec::new());
        Self {
            library,
            settings,
            given,
            origins,
            problems,
            selections,
            checks: Vec::new(),
            rounds: BTreeMap::new(),
            secrets,
            declared,
            names: BTreeMap::new(),
            steps: 0,
        }
    }

    pub(super) fn plan(&mut self, root: usize) -> Option<Plan> {
        let library = self.library;
        let file = &library.files[root];
        let given = std::mem::take(&mut self.given);
        let origins = std::mem::take(&mut self.origins);
        let used = self.bind(root, given, origins, None, "default", None)?;
        let env = known(&used.vars, None, None);
        let name = file.header.name.clone();
        let title = self.head::<String>(file.header.title.as_ref(), &env);
        let about = self.head::<String>(file.header.about.as_ref(), &env).unwrap_or_default();
        let timeout = self.head::<Span>(file.header.timeout.as_ref(), &env).unwrap_or(PLAN_TIMEOUT);
        let around = Around::top(&file.steps, None);
        let mut steps = self.list(&used, &around);
        self.trials(&used, &around, &steps);
        choice::leave_out(&mut steps, self.settings, &mut self.problems);
        let outputs = file.outputs.as_ref().map(|outputs| {
            let names = self.named(&used, &around, &outputs.mentions);
            (outputs.form.clone(), scope_of(&used, names, Instance { item: None, round: None }))
        });
        let name = name?;
        let secret = |name: &str| file.vars.get(name).is_some_and(|var| var.secret);
        let values = used.vars.iter().filter(|(name, _)| !secret(name)).filter_map(|(name, var)| match var {
            Var::Known(value) => Some((name.to_owned(), value.clone())),
            Var::Late(..) => None,
        });
        Some(Plan {
            title: title.unwrap_or_else(|| name.clone()),
            name,
            about,
            covers: self.declared.clone(),
            sentences: file.header.sentences.clone(),
            namespace: used.namespace.clone(),
            timeout: timeout.0,
            files: library.plan_files(),
            vars: values.collect::<Map<_, _>>(),
            secrets: std::mem::take(&mut self.secrets),
            selections: std::mem::take(&mut self.selections),
            checks: std::mem::take(&mut self.checks),
            steps,
            outputs,
        })
    }

    /// A value of `[plan]`.
    fn head<T: serde::de::DeserializeOwned>(&mut self, written: Option<&Written>, env: &Env) -> Option<T> {
        match written?.get(env) {
            Ok(value) => Some(value),
            Err(problem) => {
                self.problems.push(*problem);
                None
            }
        }
    }

    /// Vars and selections of one use of a file.
    fn bind(
        &mut self,
        file: usize,
        given: IndexMap<String, Var>,
        mut origins: Origins,
        group: Option<&StepId>,
        namespace: &str,
        used: Option<String>,
    ) -> Option<Use<'a>> {
        let library = self.library;
        let file = &library.files[file];
        let told = self.problems.len();
        let scope = |vars: Vars| Scope {
            vars: Arc::new(vars),
            objects: Arc::default(),
            item: None,
            round: None,
            steps: BTreeMap::new(),
            namespace: namespace.to_owned(),
            folder: file.folder.clone(),
        };
        let bound = vars::bind(file, given, &self.settings.env, group.is_some(), &scope, &mut self.problems);
        self.note(told, used.as_ref());
        let bound = bound?;
        let here = if file.folder.is_absolute() { library.sources.files.here() } else { PathBuf::new() };
        origins.extend(bound.from_env.into_iter().map(|name| (name, here.clone())));
        for secret in bound.secrets {
            if !self.secrets.contains(&secret) {
                self.secrets.push(secret);
            }
        }
        let vars = Arc::new(bound.vars);
        let env = known(&vars, None, None);
        let told = self.problems.len();
        let mut late = Vec::new();
        let header = &file.header;
        for written in [&header.title, &header.about, &header.namespace, &header.timeout].into_iter().flatten() {
            late.extend(late_var(&vars, &written.mentions));
        }
        for object in file.objects.values() {
            late.extend(late_var(&vars, &object.mentions));
        }
        let wrong = !late.is_empty();
        self.problems.extend(late);
        let own = self.head::<String>(file.header.namespace.as_ref(), &env).filter(|_| !wrong);
        let asked = self.settings.namespace.clone().filter(|_| group.is_none());
        let own = asked.or(own);
        let namespace = own.unwrap_or_else(|| namespace.to_owned());
        let mut objects = IndexMap::new();
        if !wrong {
            for name in file.objects.keys() {
                objects.insert(name.clone(), selection::id(group, name));
            }
            for (name, object) in &file.objects {
                let made = selection::make(name, object, group, &env, &namespace, &mut self.problems);
                self.selections.extend(made);
            }
        }
        self.note(told, used.as_ref());
        origins.retain(|_, origin| *origin != file.folder);
        Some(Use { file, vars, objects: Arc::new(objects), namespace, origins, used })
    }

    /// Notes where a part is used at what was told about it.
    fn note(&mut self, told: usize, used: Option<&String>) {
        for problem in &mut self.problems[told..] {
            if problem.used.is_none() {
                problem.used = used.cloned();
            }
        }
    }

    fn tell(&mut self, used: &Use<'_>, mut problem: Problem) {
        problem.used.clone_from(&used.used);
        self.problems.push(problem);
    }

    // Steps.

    fn list(&mut self, used: &Use<'a>, around: &Around<'a, '_>) -> Vec<Step> {
        around.steps.iter().filter_map(|raw| self.step(used, around, raw)).collect()
    }

    fn step(&mut self, used: &Use<'a>, around: &Around<'a, '_>, raw: &'a RawStep) -> Option<Step> {
        let id = around.id(&raw.name);
        let here = Instance { item: around.item, round: around.round };
        let told = self.problems.len();
        let judged = self.checks.len();
        // A condition on the cell is asked for each cell.
        let left_out = if raw.asks_item() { None } else { self.step_left_out(used, raw, here) };
        let items = raw.for_each.as_ref().map(|written| self.items(used, written, here));
        let mut step = match &items {
            None => self.rounds(used, around, raw, id.clone(), here)?,
            Some(items) => {
                let mut cells = Vec::new();
                for (item, _, bracket) in items.iter().flat_map(|items| &items.all) {
                    let cell = Instance { item: Some(item), round: here.round };
                    let mut made = self.rounds(used, around, raw, id.index(bracket), cell)?;
                    if raw.asks_item() {
                        made.left_out = self.step_left_out(used, raw, cell);
                    }
                    cells.push(made);
                }
                self.count(used, raw)?;
                {
                    let scope = self.scope(used, around, raw, here);
                    self.wrapper(used, raw, id.clone(), scope, Body::Cells { cells })
                }
            }
        };
        step.needs = needs(around, raw);
        step.when = raw.when;
        step.left_out = step.left_out.or(left_out);
        step.until = until(around, raw);
        if step.left_out.is_some() && self.problems.len() > told {
            // What is left out may be left out because its values are not there.
            self.problems.truncate(told);
            self.checks.truncate(judged);
            step.body = step.body.emptied();
        }
        Some(step)
    }

    fn rounds(
        &mut self,
        used: &Use<'a>,
        around: &Around<'a, '_>,
        raw: &'a RawStep,
        id: StepId,
        here: Instance<'_>,
    ) -> Option<Step> {
        let Some(repeat) = &raw.repeat else { return self.instance(used, around, raw, id, here) };
        let times = self.times(used, &repeat.times, here);
        let mut rounds: Vec<Step> = Vec::new();
        for round in 1..=times {
            let id = id.index(&numbered(round, times));
            let mut made = self.instance(used, around, raw, id, Instance { round: Some(round), ..here })?;
            made.needs = rounds.last().map(|before| before.id.clone()).into_iter().collect();
            rounds.push(made);
        }
        self.count(used, raw)?;
        let body = Body::Repeat { rounds, stop_on_failure: repeat.stop_on_failure };
        let scope = self.scope(used, around, raw, here);
        Some(self.wrapper(used, raw, id, scope, body))
    }

    /// A step that only holds its cells or rounds.
    fn wrapper(&self, used: &Use<'a>, raw: &'a RawStep, id: StepId, scope: Arc<Scope>, body: Body) -> Step {
        Step {
            id,
            place: self.place(used, raw),
            about: about(raw.about.as_ref(), &scope),
            covers: self.covered(&raw.covers),
            needs: Vec::new(),
            when: When::Passed,
            left_out: None,
            timeout: None,
            retry: None,
            require: None,
            expect: None,
            until: None,
            scope,
            body,
        }
    }

    /// The requirements of this plan that a step or check covers: a part may know those of others too.
    pub(super) fn covered(&self, covers: &[(String, std::ops::Range<usize>)]) -> Vec<String> {
        let known = |id: &String| self.declared.is_empty() || self.declared.contains(id);
        covers.iter().map(|(id, _)| id).filter(|id| known(id)).cloned().collect()
    }

    /// One cell, round, or the step itself if it has neither.
    fn instance(
        &mut self,
        used: &Use<'a>,
        around: &Around<'a, '_>,
        raw: &'a RawStep,
        id: StepId,
        here: Instance<'_>,
    ) -> Option<Step> {
        self.count(used, raw)?;
        let scope = self.scope(used, around, raw, here);
        let body = match &raw.body {
            RawBody::Verb(verb, item) => {
                Body::Verb(origin::moved(verb, item, &used.origins, &used.file.folder, &scope))
            }
            RawBody::Steps(steps) => {
                let top = Around::top(steps, Some(&id));
                let inside = Around { item: here.item, round: here.round, outer: Some(around), ..top };
                Body::Group { steps: self.list(used, &inside), outputs: None }
            }
            RawBody::Part(part) => self.part(used, part, &id, &scope)?,
            RawBody::Broken(_) => return None,
        };
        let mut step = self.wrapper(used, raw, id, scope, body);
        step.timeout.clone_from(&raw.timeout);
        step.retry.clone_from(&raw.retry);
        step.require.clone_from(&raw.require);
        step.expect.clone_from(&raw.expect);
        step.until = until(around, raw);
        // What is said of all rounds is not said again at each.
        let one_of_many = raw.repeat.is_some() || raw.for_each.is_some();
        if one_of_many && !matches!(step.body, Body::Verb(_)) && !raw.tells_apart() {
            step.about.clear();
        }
        Some(step)
    }

    /// One use of a part, with its arguments filled in.
    pub(super) fn inside(
        &mut self,
        used: &Use<'a>,
        part: &'a RawPart,
        id: &StepId,
        scope: &Arc<Scope>,
    ) -> Option<Use<'a>> {
        let target = part.target?;
        let env = scope.known();
        let mut given = IndexMap::new();
        let mut origins = Origins::new();
        for (name, argument) in &part.with {
            let value = argument.value.as_ref()?;
            let origin = value.lead.as_ref().and_then(|var| used.origins.get(var)).unwrap_or(&used.file.folder);
            origins.insert(name.clone(), origin.clone());
            let late = value.mentions.iter().any(|mention| matches!(mention.path.root(), "steps" | "run"))
                || late_var(&used.vars, &value.mentions).is_some();
            if late {
                given.insert(name.clone(), Var::Late(value.form.clone(), Arc::clone(scope)));
                continue;
            }
            match value.value(&env) {
                Ok(known) => {
                    if let Some(expected) = self.unfit(target, name, &known) {
                        let message = format!("`{}` takes {expected} as `{name}`, found {known}", part.file);
                        self.tell(used, Problem::at(value.spot.clone(), message));
                        return None;
                    }
                    given.insert(name.clone(), Var::Known(known));
                }
                Err(problem) => {
                    self.tell(used, *problem);
                    return None;
                }
            }
        }
        let line = self.library.sources.line(used.file.source, part.span.start);
        let place = format!("in the part that `{id}` uses ({}:{line})", self.library.sources.path_of(used.file.source));
        self.bind(target, given, origins, Some(id), &used.namespace, Some(place))
    }

    fn part(&mut self, used: &Use<'a>, part: &'a RawPart, id: &StepId, scope: &Arc<Scope>) -> Option<Body> {
        let inner = self.inside(used, part, id, scope)?;
        let file = inner.file;
        let around = Around::top(&file.steps, Some(id));
        let steps = self.list(&inner, &around);
        self.trials(&inner, &around, &steps);
        let outputs = file.outputs.as_ref().map(|outputs| {
            let names = self.named(&inner, &around, &outputs.mentions);
            (outputs.form.clone(), scope_of(&inner, names, Instance { item: None, round: None }))
        });
        Some(Body::Group { steps, outputs })
    }

    /// What a part's var must be, if its default says so and the value is nothing like it.
    fn unfit(&self, target: usize, name: &str, value: &Value) -> Option<&'static str> {
        let default = self.library.files[target].vars.get(name)?.default.as_ref()?.form.plain()?;
        match default {
            Value::Bool(_) => (!value.is_boolean()).then_some("`true` or `false`"),
            // A number of cells may also be a list of them.
            Value::Number(_) => (!value.is_number() && !value.is_array()).then_some("a number"),
            Value::Array(_) => (!value.is_array() && !value.is_number()).then_some("a list"),
            Value::Object(_) => (!value.is_object()).then_some("a table"),
            Value::String(_) | Value::Null => None,
        }
    }

    /// Counts a step; `None` if there are too many.
    fn count(&mut self, used: &Use<'_>, raw: &RawStep) -> Option<()> {
        self.steps += 1;
        if self.steps <= MAX_STEPS {
            return Some(());
        }
        if self.steps == MAX_STEPS + 1 {
            let spot = Spot::new(used.file.source, raw.key.clone());
            let problem = Problem::at(spot, format!("the plan comes to more than {MAX_STEPS} steps"));
            self.tell(used, problem.help("cells, rounds and the steps inside them are all counted"));
        }
        None
    }

    fn place(&self, used: &Use<'_>, raw: &RawStep) -> Place {
        let sources = &self.library.sources;
        Place {
            file: sources.path_of(used.file.source).to_owned(),
            line: sources.line(used.file.source, raw.key.start),
        }
    }

    fn step_left_out(&mut self, used: &Use<'_>, raw: &RawStep, here: Instance<'_>) -> Option<LeftOut> {
        self.left_out(used, raw.condition.as_ref(), &raw.mentions, here)
    }

    pub(super) fn left_out(
        &mut self,
        used: &Use<'_>,
        condition: Option<&(Cel, std::ops::Range<usize>)>,
        mentions: &[Mention],
        here: Instance<'_>,
    ) -> Option<LeftOut> {
        let (cel, span) = condition?;
        let asked: Vec<Mention> =
            mentions.iter().filter(|mention| mention.is_in(used.file.source, span)).cloned().collect();
        if let Some(problem) = late_var(&used.vars, &asked) {
            self.tell(used, problem);
            return None;
        }
        match cel.holds(&known(&used.vars, here.item, here.round)) {
            Ok(true) => None,
            Ok(false) => Some(LeftOut::If(cel.source().to_owned())),
            Err(error) => {
                self.tell(used, Problem::at(Spot::new(used.file.source, span.clone()), error.to_string()));
                None
            }
        }
    }

    /// The value of something that decides which steps there are.
    fn shape(&mut self, used: &Use<'_>, written: &Written, here: Instance<'_>) -> Option<Value> {
        if let Some(problem) = late_var(&used.vars, &written.mentions) {
            self.tell(used, problem);
            return None;
        }
        match written.value(&known(&used.vars, here.item, here.round)) {
            Ok(value) => Some(value),
            Err(problem) => {
                self.tell(used, *problem);
                None
            }
        }
    }

    fn times(&mut self, used: &Use<'_>, written: &Written, here: Instance<'_>) -> u32 {
        let Some(value) = self.shape(used, written, here) else { return 0 };
        match value.as_u64().and_then(|times| u32::try_from(times).ok()) {
            Some(0) => {
                let problem = Problem::at(written.spot.clone(), "there are no rounds: `times` is 0");
                self.tell(used, problem.help("leave the step out with `if`"));
                0
            }
            Some(times) if times as usize <= MAX_STEPS => times,
            _ => {
                let message = format!("expected a number of rounds from 1 to {MAX_STEPS}, found {value}");
                self.tell(used, Problem::at(written.spot.clone(), message));
                0
            }
        }
    }

    fn items(&mut self, used: &Use<'_>, written: &Written, here: Instance<'_>) -> Option<Items> {
        let value = self.shape(used, written, here)?;
        match Items::of(&value) {
            Ok(items) => Some(items),
            Err(message) => {
                self.tell(used, Problem::at(written.spot.clone(), message));
                None
            }
        }
    }

    // Names.

    fn scope(&mut self, used: &Use<'a>, around: &Around<'a, '_>, raw: &RawStep, here: Instance<'_>) -> Arc<Scope> {
        let names = self.named(used, around, &raw.mentions);
        scope_of(used, names, here)
    }

    /// The steps that expressions name, nearest first outwards to the end of the file.
    pub(super) fn named(
        &mut self,
        used: &Use<'a>,
        around: &Around<'a, '_>,
        mentions: &[Mention],
    ) -> BTreeMap<String, StepName> {
        let mut names = BTreeMap::new();
        for mention in mentions.iter().filter(|mention| mention.path.root() == "steps") {
            let Some(name) = mention.path.name(1) else { continue };
            if names.contains_key(name) {
                continue;
            }
            let spelled = name.replace('_', "-");
            let mut scope = Some(around);
            while let Some(around) = scope {
                if let Some(raw) = around.by_name.get(spelled.as_str()) {
                    let here = Instance { item: around.item, round: around.round };
                    names.insert(name.to_owned(), self.name(used, raw, &around.id(&raw.name), here));
                    break;
                }
                scope = around.outer;
            }
        }
        names
    }

    /// What a step's name leads to.
    fn name(&mut self, used: &Use<'a>, raw: &'a RawStep, id: &StepId, here: Instance<'_>) -> StepName {
        if let Some(known) = self.names.get(id) {
            return known.clone();
        }
        let name = self.cells_name(used, raw, id, here);
        self.names.insert(id.clone(), name.clone());
        name
    }

    fn cells_name(&mut self, used: &Use<'a>, raw: &'a RawStep, id: &StepId, here: Instance<'_>) -> StepName {
        let Some(written) = &raw.for_each else { return self.round_name(used, raw, id, here) };
        let items = self.items(used, written, here).unwrap_or(Items { all: Vec::new(), counted: false });
        let cells = items.all.iter().map(|(item, text, bracket)| {
            let here = Instance { item: Some(item), round: here.round };
            (text.clone(), self.round_name(used, raw, &id.index(bracket), here))
        });
        StepName::Cells(Arc::new(Cells { by_item: cells.collect(), counted: items.counted }))
    }

    fn round_name(&mut self, used: &Use<'a>, raw: &'a RawStep, id: &StepId, here: Instance<'_>) -> StepName {
        let Some(repeat) = &raw.repeat else { return self.inner_name(used, raw, id, here) };
        let times = self.times(used, &repeat.times, here);
        if times == 0 {
            return StepName::LastRound(None);
        }
        let last = id.index(&numbered(times, times));
        let name = self.inner_name(used, raw, &last, Instance { round: Some(times), ..here });
        StepName::LastRound(Some(Box::new(name)))
    }

    fn inner_name(&mut self, used: &Use<'a>, raw: &'a RawStep, id: &StepId, here: Instance<'_>) -> StepName {
        let inner = match &raw.body {
            RawBody::Steps(steps) => steps
                .iter()
                .map(|step| (step.name.replace('-', "_"), self.name(used, step, &id.join(&step.name), here)))
                .collect(),
            RawBody::Verb(..) | RawBody::Part(_) | RawBody::Broken(_) => BTreeMap::new(),
        };
        StepName::Step(id.clone(), Arc::new(inner))
    }
}

impl RawStep {
    /// Whether its sentence is another one for each cell or round.
    fn tells_apart(&self) -> bool {
        let mentions = self.about.iter().flat_map(|about| &about.mentions);
        mentions.into_iter().any(|mention| matches!(mention.path.root(), "item" | "round"))
    }

    /// Whether its `if` is about its own cells.
    fn asks_item(&self) -> bool {
        let asked = |span: &std::ops::Range<usize>| {
            let inside = |mention: &&Mention| {
                let spot = &mention.spot;
                mention.within == Within::Shape && span.start <= spot.start && spot.end <= span.end
            };
            self.mentions.iter().filter(inside).any(|mention| mention.path.root() == "item")
        };
        self.for_each.is_some() && self.condition.as_ref().is_some_and(|(_, span)| asked(span))
    }
}

impl Items {
    fn of(value: &Value) -> Result<Self, String> {
        let values: Vec<Value> = match value {
            Value::Array(items) if items.len() <= MAX_STEPS => items.clone(),
            Value::Array(items) => {
                return Err(format!("there are {} cells; at most {MAX_STEPS} steps make a plan", items.len()));
            }
            Value::Number(number) => match number.as_u64() {
                Some(n) if n <= MAX_STEPS as u64 => (0..n).map(Value::from).collect(),
                _ => {
                    return Err(format!("expected a list, or a number of cells from 0 to {MAX_STEPS}, found {number}"));
                }
            },
            other => return Err(format!("expected a list, or how many cells there are, found {other}")),
        };
        let mut taken = std::collections::BTreeSet::new();
        let mut texts = std::collections::BTreeSet::new();
        let mut all = Vec::new();
        for (at, value) in values.iter().enumerate() {
            let text = match value {
                Value::String(text) => text.clone(),
                Value::Number(_) | Value::Bool(_) => value.to_string(),
                // A table or list has no short text: its place stands for it.
                Value::Null | Value::Array(_) | Value::Object(_) => at.to_string(),
            };
            if !texts.insert(text.clone()) {
                return Err(format!("the cell `{text}` is there twice"));
            }
            let mut bracket = bracketed(&text);
            while !taken.insert(bracket.clone()) {
                bracket.push('.');
                bracket.push_str(&at.to_string());
            }
            all.push((value.clone(), text, bracket));
        }
        let counted =
            !all.is_empty() && all.iter().enumerate().all(|(at, (value, ..))| value.as_u64() == Some(at as u64));
        Ok(Self { all, counted })
    }
}

/// A round as it stands in an id: two digits at least, so that names sort and look
/// alike from plan to plan.
fn numbered(round: u32, times: u32) -> String {
    let width = times.to_string().len().max(2);
    format!("{round:0width$}")
}

/// How long an item may be in a step's id.
const MAX_BRACKET: usize = 40;

/// An item's text as it may stand in a step's id, in a file name and in `JUnit`.
fn bracketed(text: &str) -> String {
    let plain: String = text
        .chars()
        .take(MAX_BRACKET)
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' })
        .collect();
    if plain.is_empty() { "-".to_owned() } else { plain }
}

/// A problem if something that must be known when the plan is loaded uses a var that is not.
fn late_var(vars: &Vars, mentions: &[Mention]) -> Option<Problem> {
    mentions.iter().filter(|mention| mention.path.root() == "vars").find_map(|mention| {
        let name = mention.path.name(1)?;
        let Some(Var::Late(form, _)) = vars.get(name) else { return None };
        let given = form.holes().next().map(|hole| format!("; it was given `${{{hole}}}`"));
        let message = format!(
            "`{name}` is known only during the run, and this must be known before{}",
            given.unwrap_or_default()
        );
        Some(Problem::at(mention.spot.clone(), message).split_help())
    })
}

/// The step that a background step runs until, nearest first outwards.
fn until(around: &Around<'_, '_>, raw: &RawStep) -> Option<StepId> {
    let (until, _) = raw.until.as_ref()?;
    let mut scopes = std::iter::successors(Some(around), |around| around.outer);
    let scope = scopes.find(|around| around.by_name.contains_key(until.as_str()))?;
    Some(scope.id(until))
}

pub(super) fn scope_of(used: &Use<'_>, steps: BTreeMap<String, StepName>, here: Instance<'_>) -> Arc<Scope> {
    Arc::new(Scope {
        vars: Arc::clone(&used.vars),
        objects: Arc::clone(&used.objects),
        item: here.item.cloned(),
        round: here.round,
        steps,
        namespace: used.namespace.clone(),
        folder: used.file.folder.clone(),
    })
}

/// What a step waits for: what it names, or for clean-up that names nothing all that is not clean-up.
fn needs(around: &Around<'_, '_>, raw: &RawStep) -> Vec<StepId> {
    if raw.needs.is_empty() && raw.when.is_cleanup() {
        let others = around.steps.iter().filter(|step| step.when == When::Passed);
        return others.map(|step| around.id(&step.name)).collect();
    }
    raw.needs.iter().map(|(need, _)| around.id(need)).collect()
}

/// One sentence, filled in. One that needs what is not known yet stays as it is written.
pub(super) fn about(written: Option<&Written>, scope: &Scope) -> String {
    let Some(written) = written else { return String::new() };
    written.get(&scope.known()).unwrap_or_else(|_| written.text.clone().unwrap_or_default())
}

impl Body {
    /// The same kind of body with nothing in it.
    fn emptied(self) -> Self {
        match self {
            Self::Verb(verb) => Self::Verb(verb),
            Self::Group { .. } => Self::Group { steps: Vec::new(), outputs: None },
            Self::Repeat { stop_on_failure, .. } => Self::Repeat { rounds: Vec::new(), stop_on_failure },
            Self::Cells { .. } => Self::Cells { cells: Vec::new() },
        }
    }
}
