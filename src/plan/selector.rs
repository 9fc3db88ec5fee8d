//! The syntax of label and field selectors, as kubectl's `-l` and `--field-selector`
//! take them: a mistake in one would select nothing, or be refused in the middle of a run.

/// Whether a label selector can be read; else a sentence that says why.
pub(super) fn labels(written: &str) -> Result<(), String> {
    if written.trim().is_empty() {
        return Err("the label selector is empty; leave `labels` out to select every object".to_owned());
    }
    terms(written)?.into_iter().try_for_each(|term| label_term(term.trim()))
}

/// Whether a field selector can be read; else a sentence that says why.
pub(super) fn fields(written: &str) -> Result<(), String> {
    if written.trim().is_empty() {
        return Err("the field selector is empty; leave `fields` out to select every object".to_owned());
    }
    for term in written.split(',') {
        let (path, value) =
            ["!=", "==", "="].into_iter().find_map(|operator| term.split_once(operator)).ok_or_else(|| {
                format!("`{term}` in the field selector compares nothing; write it like `status.phase=Running`")
            })?;
        let fine = !path.is_empty()
            && path.split('.').all(|part| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric()));
        if !fine {
            return Err(format!(
                "`{path}` in the field selector is no path of fields; write it like `status.phase=Running`"
            ));
        }
        if value.contains(['=', '!', ' ']) {
            return Err(format!(
                "`{value}` in the field selector is no value; there is no other operator than `=` and `!=`"
            ));
        }
    }
    Ok(())
}

/// Splits at the commas that stand outside of brackets.
fn terms(written: &str) -> Result<Vec<&str>, String> {
    let (mut terms, mut start, mut inside) = (Vec::new(), 0, false);
    for (at, c) in written.char_indices() {
        match c {
            '(' if !inside => inside = true,
            ')' if inside => inside = false,
            '(' | ')' => return Err(format!("the brackets of the label selector `{written}` do not match")),
            ',' if !inside => {
                terms.push(&written[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    if inside {
        return Err(format!("the brackets of the label selector `{written}` do not match"));
    }
    terms.push(&written[start..]);
    Ok(terms)
}

fn label_term(term: &str) -> Result<(), String> {
    let refusal = |what: &str| {
        Err(format!("`{term}` in the label selector {what}; write it like `app=web`, `app in (web, db)` or `!canary`"))
    };
    if let Some(key) = term.strip_prefix('!') {
        return if is_key(key.trim()) { Ok(()) } else { refusal("names no label") };
    }
    let (key, values) = if let Some((head, list)) = term.split_once('(') {
        let mut words = head.split_whitespace();
        let (Some(key), Some("in" | "notin"), None) = (words.next(), words.next(), words.next()) else {
            return refusal("has a list without `in` or `notin`");
        };
        let Some(list) = list.trim_end().strip_suffix(')') else { return refusal("goes on after its list") };
        (key, list.split(',').map(str::trim).collect())
    } else if let Some((key, value)) = ["!=", "==", "="].into_iter().find_map(|operator| term.split_once(operator)) {
        (key.trim(), vec![value.trim()])
    } else {
        (term, Vec::new())
    };
    if !is_key(key) {
        return refusal("names no label");
    }
    match values.into_iter().find(|value| !is_value(value)) {
        None => Ok(()),
        Some(value) => {
            Err(format!("`{value}` cannot be the value of a label: letters, digits, `-`, `_` and `.`, at most 63"))
        }
    }
}

fn is_key(key: &str) -> bool {
    let (prefix, name) = key.split_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
    let domain = |prefix: &str| {
        !prefix.is_empty()
            && prefix.len() <= 253
            && prefix.split('.').all(|part| {
                !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
            })
    };
    prefix.is_none_or(domain) && !name.is_empty() && is_value(name)
}

fn is_value(value: &str) -> bool {
    let edge = |c: Option<char>| c.is_none_or(|c| c.is_ascii_alphanumeric());
    value.len() <= 63
        && edge(value.chars().next())
        && edge(value.chars().next_back())
        && value.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_selectors_are_kubectls() {
        for good in [
            "app=web",
            "app==web,tier!=db",
            "app in (web, db),!canary",
            "app notin (web)",
            "app",
            "longhorn.io/component=backing-image-manager",
            "app=",
        ] {
            assert_eq!(labels(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "app=we b",
            "=web",
            "app in web",
            "app in (web",
            "app (web)",
            "a/b/c=d",
            "app=-web",
            ",",
            "app in (web) x",
        ] {
            assert!(labels(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn field_selectors_are_kubectls() {
        for good in ["status.phase=Running", "metadata.name!=a,spec.nodeName==n1", "status.phase="] {
            assert_eq!(fields(good), Ok(()), "{good}");
        }
        for bad in ["", "status.phase", "status..phase=a", "status.phase in (a)", "=a", "a=b=c"] {
            assert!(fields(bad).is_err(), "{bad}");
        }
    }
}
