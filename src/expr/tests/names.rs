use super::super::{Cel, Form, Template};
use super::check;
use serde_json::json;

/// The paths of a source: as shown, `?` if optional, `!` if only tested, and the text of its span.
fn paths(source: &str) -> Vec<String> {
    let cel = Cel::compile(source).unwrap_or_else(|mistake| panic!("{source}: {mistake}"));
    cel.paths()
        .iter()
        .map(|path| {
            let marks = format!("{}{}", if path.optional { "?" } else { "" }, if path.tested { "!" } else { "" });
            let (shown, written) = (path.to_string(), &source[path.span.clone()]);
            if shown == written { format!("{shown}{marks}") } else { format!("{shown}{marks} [{written}]") }
        })
        .collect()
}

#[test]
fn paths_are_read_off_the_tree() {
    for (source, expected) in [
        ("steps.kill.uids", vec!["steps.kill.uids"]),
        ("!(o.metadata.uid in steps.kill.uids)", vec!["o.metadata.uid", "steps.kill.uids"]),
        ("vars['a-b'].c", vec!["vars['a-b'].c"]),
        ("steps.a.objects[0].spec", vec!["steps.a.objects[0].spec"]),
        ("steps.content[item].sha256", vec!["item", "steps.content[…].sha256 [steps.content[item].sha256]"]),
        ("o.m[o.k[']']].x", vec!["o.k[']']", "o.m[…].x [o.m[o.k[']']].x]"]),
        ("o.?a.?b.orValue(1)", vec!["o.a.b? [o.?a.?b]"]),
        ("m[?'k'].hasValue()", vec!["m.k? [m[?'k']]"]),
        ("has(o.a.b) && o.a.b > 1", vec!["o.a.b!", "o.a.b"]),
        ("keys(o.status.m)", vec!["o.status.m?"]),
        ("age(o) > duration('1s')", vec!["o"]),
        ("objects.pods.exists(p, p.x == o.x)", vec!["objects.pods", "o.x"]),
        ("objects.pods.all(o, o.x == key)", vec!["objects.pods", "key"]),
        ("vars.a.map(x, x.map(y, x + y + z))", vec!["vars.a", "z"]),
        ("x.map(x, x)", vec!["x"]),
        ("o.list.sortBy(x, x.y + vars.z)", vec!["o.list", "vars.z"]),
        ("o.?a.optMap(x, x + vars.y).orValue(0)", vec!["o.a? [o.?a]", "vars.y"]),
        ("type(o.x) == int && math.abs(o.y) > 0", vec!["o.x", "o.y"]),
        ("{'k': vars.a, vars.b: [vars.c]}", vec!["vars.a", "vars.b", "vars.c"]),
        ("true ? a : b", vec!["a", "b"]),
        ("(o.a).b + 'ä' + o . c", vec!["o.a.b [o.a).b]", "o.c [o . c]"]),
        (".o.a", vec!["o.a"]),
        ("o.a + o.a", vec!["o.a", "o.a"]),
        ("o.metadata.labels.`a/b`", vec!["o.metadata.labels['a/b'] [o.metadata.labels.`a/b`]"]),
        ("'no names'", vec![]),
        ("o.m.f().x", vec![]),
    ] {
        if source == "o.m.f().x" {
            assert!(Cel::compile(source).is_err());
            continue;
        }
        assert_eq!(paths(source), expected, "{source}");
    }
}

#[test]
fn parts_are_asked_by_place() {
    let cel = Cel::compile("steps.kill[0].uids").unwrap();
    let path = &cel.paths()[0];
    assert_eq!(
        (path.root(), path.name(1), path.name(2), path.name(3), path.name(4)),
        ("steps", Some("kill"), None, Some("uids"), None)
    );
}

#[test]
fn a_dash_in_a_name_is_explained() {
    check(&[
        (
            "objects.image-managers.size() > 0",
            "`objects.image-managers` reads as a subtraction (a dash in a name is written `_`: `objects.image_managers`)",
        ),
        (
            "o.x in objects.image-manager-pods",
            "`objects.image-manager-pods` reads as a subtraction (a dash in a name is written `_`: `objects.image_manager_pods`)",
        ),
        (
            "steps.managers-back.took > 1",
            "`steps.managers-back` reads as a subtraction (a dash in a name is written `_`: `steps.managers_back`)",
        ),
        (
            "steps.last-round.x",
            "`steps.last-round` reads as a subtraction (a dash in a name is written `_`: `steps.last_round`)",
        ),
        (
            "vars.min-count + 1",
            "`vars.min-count` reads as a subtraction (a dash in a name is written `_`: `vars.min_count`)",
        ),
        ("o.spec.count-vars.rounds", "-7"),
        ("o.spec.count-1", "2"),
        ("o.spec.count - vars.rounds", "-7"),
        ("[1, 2].map(x, o.spec.count-x)", "[2,1]"),
    ]);
    let mistake = Cel::compile("1 == 1 && objects.a-b-c == 2").unwrap_err();
    assert_eq!(mistake.span, 10..23);
}

#[test]
fn spans_of_calls_are_their_names() {
    for (source, marked) in [
        ("true && redy(o)", "redy"),
        ("o.kind . startswith('x')", "startswith"),
        ("'ä' == math.max(1)", "math.max"),
        ("o.list.all(x)", "all"),
        ("Pod{a: 1}", "{"),
    ] {
        let mistake = Cel::compile(source).unwrap_err();
        assert_eq!(&source[mistake.span], marked, "{source}");
    }
}

#[test]
fn holes_have_their_place_in_the_text() {
    let text = "ä ${vars.a} and ${steps.b.c + 'x'}";
    let template = Template::compile(text).unwrap();
    let spelled: Vec<String> = template.paths().map(|path| text[path.span.clone()].to_owned()).collect();
    assert_eq!(spelled, ["vars.a", "steps.b.c"]);
    let text = "${a +} ${b c} ${";
    let mistakes = Template::compile(text).unwrap_err();
    let marked: Vec<(String, &str)> =
        mistakes.iter().map(|mistake| (mistake.to_string(), &text[mistake.span.clone()])).collect();
    assert_eq!(
        marked,
        [
            ("the expression ends too early".to_owned(), ""),
            ("`c` was not expected here".to_owned(), "c"),
            ("the `${` that begins here is not closed".to_owned(), "${"),
        ]
    );
    assert!(mistakes.iter().all(|mistake| mistake.help.as_deref() == Some("a literal `${` is written `$${`")));
}

#[test]
fn documents_point_at_their_texts() {
    let form = Form::compile(&json!({ "a/b": ["x", "${vars.a}"], "c": { "d": "${item} ${o.x}" } })).unwrap();
    let paths: Vec<(String, String)> = form.paths().map(|(at, path)| (at, path.to_string())).collect();
    assert_eq!(
        paths,
        [("/a~1b/1", "vars.a"), ("/c/d", "item"), ("/c/d", "o.x")].map(|(a, b)| (a.to_owned(), b.to_owned()))
    );
    assert_eq!(form.holes().count(), 3);
    let mistakes = Form::compile(&json!({ "a": "${", "b": [{ "c": "${}" }] })).unwrap_err();
    let places: Vec<(String, String)> = mistakes.into_iter().map(|(at, mistake)| (at, mistake.message)).collect();
    assert_eq!(
        places,
        [("/a", "the `${` that begins here is not closed"), ("/b/0/c", "the expression is empty")]
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
    );
}
