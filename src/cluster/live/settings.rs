use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// The name of the file that says where plans may go.
const FILE: &str = "lariat.toml";

/// What `lariat.toml` says: which contexts plans may harm, and where their kubeconfig is.
///
/// It is looked for from a folder upwards, so that a folder of plans carries its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The file; `None` if there is none.
    pub file: Option<PathBuf>,
    contexts: BTreeMap<String, ContextSettings>,
}

/// What is set for one context: `[contexts.NAME]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContextSettings {
    /// The kubeconfig that has it; a relative path starts at the folder of `lariat.toml`.
    #[serde(default)]
    pub kubeconfig: Option<PathBuf>,
    /// Whether plans that harm may run there without `--yes`.
    #[serde(default)]
    pub harm: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(default)]
    contexts: BTreeMap<String, ContextSettings>,
}

impl Settings {
    /// Looks for `lariat.toml` from this folder upwards. None at all is fine.
    pub fn find(from: &Path) -> Result<Self, SettingsError> {
        for folder in from.ancestors() {
            let file = folder.join(FILE);
            match fs::read_to_string(&file) {
                Ok(text) => return Self::read(file, &text),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(SettingsError::Read { file, source }),
            }
        }
        Ok(Self::default())
    }

    fn read(file: PathBuf, text: &str) -> Result<Self, SettingsError> {
        let table: Table = toml::from_str(text).map_err(|error| {
            let before = error.span().map_or("", |span| &text[..span.start.min(text.len())]);
            let message = error.message().replace('\n', "; ");
            SettingsError::Parse { file: file.clone(), line: before.matches('\n').count() + 1, message }
        })?;
        let folder = file.parent().unwrap_or(Path::new(""));
        let contexts = table.contexts.into_iter().map(|(name, mut context)| {
            context.kubeconfig = context.kubeconfig.map(|path| at_home(&path).unwrap_or_else(|| folder.join(path)));
            (name, context)
        });
        Ok(Self { contexts: contexts.collect(), file: Some(file) })
    }

    /// What is set for a context; nothing if it is not named.
    pub fn context(&self, name: &str) -> ContextSettings {
        self.contexts.get(name).cloned().unwrap_or_default()
    }
}

/// `~/x` in the home folder, as shells read it.
fn at_home(path: &Path) -> Option<PathBuf> {
    let below = path.strip_prefix("~").ok()?;
    Some(std::env::home_dir()?.join(below))
}

/// Why `lariat.toml` is of no use.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// It is there and can't be read.
    #[error("`{}` can't be read", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It says something that is not known.
    #[error("{}:{line}: {message}", file.display())]
    Parse {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        message: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_above_counts() {
        let dir = tempfile::tempdir().unwrap();
        let below = dir.path().join("a/b");
        fs::create_dir_all(&below).unwrap();
        fs::write(
            dir.path().join(FILE),
            "[contexts.lab]\nkubeconfig = \"kube/config\"\nharm = true\n[contexts.\"prod@eu\"]\n",
        )
        .unwrap();
        let settings = Settings::find(&below).unwrap();
        assert_eq!(settings.file, Some(dir.path().join(FILE)));
        let lab = ContextSettings { kubeconfig: Some(dir.path().join("kube/config")), harm: true };
        assert_eq!(settings.context("lab"), lab);
        assert_eq!(settings.context("prod@eu"), ContextSettings::default());
        assert_eq!(settings.context("other"), ContextSettings::default());
        fs::write(below.join(FILE), "").unwrap();
        assert_eq!(Settings::find(&below).unwrap().context("lab"), ContextSettings::default(), "the nearest counts");
    }

    #[test]
    fn a_path_may_start_at_home_or_at_the_root() {
        let read = |text: &str| Settings::read("/x/lariat.toml".into(), text).unwrap().context("a").kubeconfig.unwrap();
        assert_eq!(read("[contexts.a]\nkubeconfig = \"/k\""), Path::new("/k"));
        assert_eq!(read("[contexts.a]\nkubeconfig = \"k\""), Path::new("/x/k"));
        assert_eq!(read("[contexts.a]\nkubeconfig = \"~/k\""), std::env::home_dir().unwrap().join("k"));
    }

    #[test]
    fn what_is_not_known_is_refused_with_its_line() {
        let said = |text: &str| Settings::read("lariat.toml".into(), text).unwrap_err().to_string();
        insta::assert_snapshot!(said("[contexts.lab]\nharm = true\nkubeconfg = \"x\"\n"), @"lariat.toml:3: unknown field `kubeconfg`, expected `kubeconfig` or `harm`");
        insta::assert_snapshot!(said("\n[context.lab]\n"), @"lariat.toml:2: unknown field `context`, expected `contexts`");
        insta::assert_snapshot!(said("[contexts.lab]\nharm = \"yes\"\n"), @r#"lariat.toml:2: invalid type: string "yes", expected a boolean"#);
        insta::assert_snapshot!(said("[contexts.lab\n"), @"lariat.toml:1: unclosed table, expected `]`");
        insta::assert_snapshot!(said("contexts = 3\n"), @"lariat.toml:1: invalid type: integer `3`, expected a map");
    }
}
