use std::thread;

use proptest::prelude::*;

use super::super::{Cel, Env, Template};
use super::{check, env, eval};

/// A quarter of what a tokio worker has: its own frames need some too.
const STACK: usize = 512 * 1024;

/// Runs on a small thread; an overflow would end the whole test process.
fn on_a_worker<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> T {
    thread::Builder::new().stack_size(STACK).spawn(run).unwrap().join().unwrap()
}

/// As many repetitions as fit the longest source.
fn fill(before: &str, unit: &str, after: &str, closing: &str) -> String {
    let times = (4096 - before.len() - after.len()) / (unit.len() + closing.len());
    format!("{before}{}{after}{}", unit.repeat(times), closing.repeat(times))
}

#[test]
fn hostile_sources_never_overflow_the_stack() {
    let mut sources: Vec<String> = Vec::new();
    for (before, unit, after, closing) in [
        ("", "(", "", ""),
        ("", "(", "1", ")"),
        ("", "[", "", ""),
        ("", "[", "1", "]"),
        ("", "{", "", ""),
        ("", "{1:", "1", "}"),
        ("", "!", "true", ""),
        ("", "-", "1", ""),
        ("1", "+1", "", ""),
        ("1", "==1", "", ""),
        ("true", "&&true", "", ""),
        ("true", "||!true", "", ""),
        ("a", ".a", "", ""),
        ("a", ".?a", "", ""),
        ("a", "[0]", "", ""),
        ("a", ".size()", "", ""),
        ("", "1?1:", "1", ""),
        ("", "1?", "1", ":1"),
        ("", "size(", "1", ")"),
        ("", "(1+", "1", ")"),
        ("", "[1].map(x,", "1", ")"),
        ("[1]", ".map(x,x)", "", ""),
        ("[1", ",1", "]", ""),
        ("", "'a'+", "'a'", ""),
        ("", "\"", "", ""),
        ("", "1 ", "", ""),
        ("", "a ? b : (", "", ""),
        ("", "keys(a.b).", "c", ""),
        ("", "(1+1+1+1+1+1+1+", "1", ")"),
        ("", "size([{1:", "1", "}])"),
        ("", "(true?-", "1", ":1)"),
        ("", "!(true&&", "true", ")"),
        ("", "keys(a.b.c.d[", "1", "])"),
        ("", "[1,1].map(x,x+1+size([", "1", "]))"),
    ] {
        let full = fill(before, unit, after, closing);
        // The longest of its kind that is let through is the one that needs the most stack.
        let times = (4096 - before.len() - after.len()) / (unit.len() + closing.len());
        let make = |n: usize| format!("{before}{}{after}{}", unit.repeat(n), closing.repeat(n));
        let (mut fits, mut tops) = (0, times);
        while fits < tops {
            let middle = (fits + tops).div_ceil(2);
            let measured = super::super::scan::measure(&make(middle)).is_ok();
            if measured { fits = middle } else { tops = middle - 1 }
        }
        sources.extend([full, make(fits), make(fits.saturating_sub(1))]);
    }
    for source in sources {
        on_a_worker(move || {
            if let Ok(cel) = Cel::compile(&source) {
                let _ = cel.eval(&Env::new().with("a", serde_json::json!({ "a": {} })));
                drop(cel);
            }
        });
    }
}

#[test]
fn what_is_refused_says_why() {
    let deep = format!("{}1{}", "(".repeat(40), ")".repeat(40));
    let long = format!("1{}", "+1".repeat(300));
    let huge = format!("'{}'", "x".repeat(5000));
    for (source, sentence) in [
        (deep, "the expression is nested too deeply, at most 32 brackets may stand inside each other"),
        (long, "the expression is too long a chain, at most 256 operators may hang on each other"),
        (huge, "the expression is 5002 bytes long, at most 4096 are read"),
    ] {
        assert_eq!(Cel::compile(&source).unwrap_err().message, sentence);
    }
    check(&[
        ("", "the expression is empty"),
        ("// nothing", "the expression is empty"),
        (
            "[1].map(a, [1].map(b, [1].map(c, [1].map(d, a))))",
            "at most 3 of `all`, `exists`, `filter` and `map` may stand inside each other",
        ),
    ]);
    assert_eq!(eval("[1].map(a, [2].map(b, [3].map(c, a + b + c)))"), "[[[6]]]");
}

#[test]
fn loops_have_so_many_steps_together() {
    let nested = "range(100).map(a, range(100).map(b, range(100).map(c, 1)))";
    assert_eq!(eval(nested), "the loops take more than 200000 steps");
    assert_eq!(eval("range(200).map(a, range(200).map(b, 1).size()).size()"), "200");
    assert_eq!(eval(&format!("['{}']{}", "x".repeat(64), ".map(x, x + x)".repeat(40))), TOO_MUCH);
    // The next evaluation begins with all of them again.
    assert_eq!(eval("range(3).map(a, 1)"), "[1,1,1]");
}

#[test]
fn everything_is_send_and_sync() {
    fn is_send<T: Send + Sync + 'static>() {}
    is_send::<Cel>();
    is_send::<Env>();
    is_send::<Template>();
    is_send::<super::super::Shared>();
    is_send::<super::super::Form>();
}

const TOO_MUCH: &str = "more than 16 MiB of text and lists are put together";

#[test]
fn values_grow_so_far() {
    let mut repeated = "'aaaaaaaaaa'".to_owned();
    for _ in 0..20 {
        repeated.push_str(".replace('a', 'aaaaaaaaaa')");
    }
    check(&[
        (&repeated, TOO_MUCH),
        (&format!("optional.of('abcd'){}", ".optMap(x, [x, x, x, x, x, x, x, x])".repeat(20)), TOO_MUCH),
        (&format!("optional.of('abcd'){}", ".optMap(x, {'a': x, 'b': x, 'c': x})".repeat(30)), TOO_MUCH),
        (&format!("optional.of('abcd'){}", ".optMap(x, '%s%s%s%s'.format([x, x, x, x]))".repeat(20)), TOO_MUCH),
        (&format!("optional.of('\"'){}", ".optMap(x, strings.quote(x))".repeat(40)), TOO_MUCH),
        (
            "range(10000).map(i, string(i)).join('xxxxxxxxxxxxxxxx'.replace('x', 'xxxxxxxxxxxxxxxx').replace('x', 'xxxxxxxxxxxxxxxx'))",
            TOO_MUCH,
        ),
        ("range(1000).map(i, '%1000d').size()", "1000"),
    ]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_text_is_compiled_or_refused(source in "\\PC{0,200}") {
        let _ = Cel::compile(&source).map(|cel| cel.eval(&env()));
        let _ = Template::compile(&source);
    }

    #[test]
    fn any_heap_of_tokens_is_compiled_or_refused(tokens in prop::collection::vec(prop::sample::select(vec![
        "o", ".", "status", "m", "[", "]", "(", ")", "{", "}", "?", ":", ",", "'a'", "\"", "1", "2.5", "1u", "+", "-",
        "*", "/", "%", "==", "!=", "<", ">=", "&&", "||", "!", " in ", ".?", "[?", "has(", "keys(", "values(", "age(",
        ".map(x, ", ".all(x, ", ".filter(x, ", ".optMap(x, ", ".sortBy(x, ", "x", "ready(", "condition(", "null",
        "true", "range(", "quantity(", "semver(", "b'", "r'", "`", "//", "\n", "ä", "${", "}", "$", "math.", "optional.",
        "of(", "none()", "greatest(", "0x", "e", "-1", ".orValue(", "string(", "type(", "in", "size()",
    ]), 0..40)) {
        let source = tokens.concat();
        match Cel::compile(&source) {
            Ok(cel) => {
                for path in cel.paths() {
                    prop_assert!(source.get(path.span.clone()).is_some(), "{:?}", path);
                }
                let _ = cel.eval(&env());
            }
            Err(mistake) => {
                prop_assert!(source.get(mistake.span.clone()).is_some(), "{:?}", mistake);
            }
        }
        if let Err(mistakes) = Template::compile(&source) {
            for mistake in mistakes {
                prop_assert!(source.get(mistake.span.clone()).is_some(), "{:?}", mistake);
            }
        }
    }
}
