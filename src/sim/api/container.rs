//! Which container of a pod a request means.

use serde_json::Value;

use super::object::Object;
use super::status::Refusal;

/// A container by name, with its image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Container {
    pub(crate) name: String,
    pub(crate) image: String,
}

/// The container asked for, or the only one.
pub(crate) fn pick(pod: &Object, asked: Option<&str>) -> Result<Container, Refusal> {
    let of = |field: &str| -> Vec<Container> {
        let list = pod.at(&["spec", field]).and_then(Value::as_array);
        let text = |container: &Value, key: &str| container[key].as_str().unwrap_or_default().to_owned();
        list.into_iter()
            .flatten()
            .map(|item| Container { name: text(item, "name"), image: text(item, "image") })
            .collect()
    };
    let (init, main, debug) = (of("initContainers"), of("containers"), of("ephemeralContainers"));
    let all = || init.iter().chain(&main).chain(&debug);
    let Some(asked) = asked else {
        return match main.as_slice() {
            [only] => Ok(only.clone()),
            [] => Err(Refusal::bad_request(format!("a container name must be specified for pod {}", pod.name()))),
            _ => {
                let names: Vec<&str> = all().map(|container| container.name.as_str()).collect();
                let (pod, names) = (pod.name(), names.join(" "));
                Err(Refusal::bad_request(format!(
                    "a container name must be specified for pod {pod}, choose one of: [{names}]"
                )))
            }
        };
    };
    all()
        .find(|container| container.name == asked)
        .cloned()
        .ok_or_else(|| Refusal::bad_request(format!("container {asked} is not valid for pod {}", pod.name())))
}
