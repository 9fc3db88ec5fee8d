//! Files that verbs name: objects are read, others must be there.

use std::sync::Arc;

use super::library::Library;
use super::mention::{Mention, Texts, Within};
use super::raw::RawFile;
use super::source::tidy;
use super::tree::{Item, Kind};
use super::verb::{Manifest, Verb};
use super::{Problem, Spot, manifest};
use crate::expr::Form;

impl Library<'_> {
    /// Looks up the files of one verb. What the objects of a file name is added to what
    /// the step names.
    pub(super) fn attach(&mut self, file: &RawFile, verb: &mut Arc<Verb>, item: &Item, mentions: &mut Vec<Mention>) {
        let text = |key: &str| item.as_table().and_then(|table| table.get(key)).map(|entry| &entry.item);
        match verb.as_ref() {
            Verb::Apply(_) => {
                let Some(item) = text("file") else { return };
                let Some(documents) = self.documents(file, item, mentions) else { return };
                if let Verb::Apply(apply) = Arc::make_mut(verb)
                    && let Some(file) = &mut apply.file
                {
                    file.documents = documents;
                }
            }
            Verb::HelmInstall(_) | Verb::HelmUpgrade(_) => {
                if let Some(chart) = text("chart")
                    && chart.as_text().is_some_and(is_local_chart)
                {
                    self.must_be_there(file, chart, "the chart");
                }
                if let Some(Item { kind: Kind::List(values), .. }) = text("values") {
                    for values in values {
                        self.must_be_there(file, values, "the values file");
                    }
                }
            }
            Verb::WriteFile(_) | Verb::EditConstant(_) => {
                if let Some(item) = text("file") {
                    self.must_be_there(file, item, "the file");
                }
            }
            Verb::Command(_) => {
                if let Some(item) = text("dir") {
                    self.must_be_there(file, item, "the folder");
                }
            }
            _ => {}
        }
    }

    fn must_be_there(&mut self, file: &RawFile, item: &Item, what: &str) {
        let Some(written) = item.as_text().filter(|text| !text.contains("${")) else { return };
        let path = tidy(&file.folder.join(written));
        if !self.sources.files.is_there(&path) {
            let near = self.sources.near(&path);
            let message = format!("{what} `{}` is not there{near}", path.display());
            self.problems.push(Problem::at(Spot::new(file.source, item.span.clone()), message).split_help());
        }
    }

    /// The objects of a YAML file.
    fn documents(&mut self, file: &RawFile, item: &Item, mentions: &mut Vec<Mention>) -> Option<Vec<Manifest>> {
        let written = item.as_text()?;
        let spot = Spot::new(file.source, item.span.clone());
        if written.contains("${") {
            let message = "the file cannot be made of an expression: it is read before anything is filled in";
            self.problems.push(Problem::at(spot, message).help("the texts inside the file may have `${…}`"));
            return None;
        }
        let path = tidy(&file.folder.join(written));
        let source = match self.sources.read(&path) {
            Ok(source) => source,
            Err(sentence) => {
                self.problems.push(Problem::at(spot, sentence).split_help());
                return None;
            }
        };
        let text = self.sources.text_of(source);
        let documents = match manifest::parse(text) {
            Ok(documents) => documents,
            Err((message, span)) => {
                self.problems.push(Problem::at(Spot::new(source, span), message));
                return None;
            }
        };
        if documents.is_empty() {
            self.problems.push(Problem::at(spot, format!("there is no object in `{}`", path.display())));
        }
        let mut texts = Texts { source, text, problems: &mut self.problems };
        let mut objects = Vec::new();
        for document in &documents {
            if let Some(fault) = manifest::fault(document) {
                let start = document.span.start;
                texts.problem(&(start..start), fault);
                continue;
            }
            mentions.extend(texts.templates(document, Within::Act).0);
            if let Ok(form) = Form::compile(&document.to_json()) {
                objects.push(Manifest(form));
            }
        }
        Some(objects)
    }
}

/// A chart is looked for on disk if it is written as a path, else in helm's repositories.
pub(super) fn is_local_chart(chart: &str) -> bool {
    chart.starts_with("./") || chart.starts_with("../") || chart.starts_with('/')
}
