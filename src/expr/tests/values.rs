use serde_json::{Value, json};

use super::super::{Cel, Env, Error, Shared};
use super::{check, env, eval};

#[test]
fn json_comes_in_as_int_and_goes_out_as_it_came() {
    check(&[
        ("o.spec.count + 1", "4"),
        ("o.spec.count - 5", "-2"),
        ("type(o.spec.count) == int", "true"),
        ("o.spec.count == 3.0 && o.spec.count < 3.5", "true"),
        ("o.spec.ratio * 2.0", "1.0"),
        ("o.spec.big > 1.8e19", "true"),
        ("vars.volumes + ['c']", r#"["a","b","c"]"#),
        ("o.status.m", r#"{"a":1,"b":2,"c":3}"#),
        ("o.metadata.labels['a/b'] + o.metadata.labels.`a/b`", "\"cc\""),
        ("{'x': o.spec.ratio, 1: true}", r#"{"1":true,"x":0.5}"#),
        ("duration('90s')", "\"90s\""),
        ("timestamp('2026-01-01T00:00:00Z')", "\"2026-01-01T00:00:00Z\""),
        ("type(1)", "\"int\""),
        ("1u", "1"),
        ("optional.of(1)", "1"),
        ("optional.none()", "null"),
        ("b'abc'", "bytes have no JSON form; write `base64.encode(…)` or `string(…)`"),
        ("1.0 / 0.0", "the number inf has no JSON form"),
    ]);
}

#[test]
fn null_members_are_absent_and_null_elements_stay() {
    check(&[
        ("has(o.status.gone)", "false"),
        ("o.status.gone", "no such key: `gone`"),
        ("'gone' in o.status", "false"),
        ("o.status.?gone.orValue(7)", "7"),
        ("o.spec.list", "[1,null,{}]"),
        ("o.spec.list[1] == null", "true"),
        ("size(o.spec.list[2])", "0"),
        ("start == null", "true"),
        ("has(vars.nothing)", "false"),
    ]);
}

#[test]
fn lists_and_maps_are_equal_whoever_made_them() {
    check(&[
        ("{'a': 1, 'b': 2, 'c': 3} == o.status.m", "true"),
        ("o.status.m == {'a': 1, 'b': 2, 'c': 3}", "true"),
        ("o.status.m != {'a': 1, 'b': 2, 'c': 4}", "true"),
        ("['a', 'b'] == vars.volumes && vars.volumes == ['a', 'b']", "true"),
        ("[vars.volumes] == [['a', 'b']] && [['a', 'b']] == [vars.volumes]", "true"),
        ("{'m': o.status.m} == {'m': {'a': 1, 'b': 2, 'c': 3}}", "true"),
        ("o.status.m in [{'a': 1, 'b': 2, 'c': 3}]", "true"),
        ("{'a': 1, 'b': 2, 'c': 3} in [o.status.m]", "true"),
        ("['a', 'b'] in [vars.volumes]", "true"),
        ("o.spec.list == [1, null, {}]", "true"),
        ("[1, 2] == [1, 2, 3]", "false"),
        ("{'a': 1} == {'a': 1u}", "true"),
        ("optional.of(vars.volumes) == optional.of(['a', 'b'])", "true"),
        ("o.status.m == vars.volumes", "false"),
        ("'a' == vars.volumes", "false"),
        ("'a' in vars.volumes && 'a' in o.status.m && !(1 in o.status.m)", "true"),
        ("vars in o", "`in` cannot be applied to a map and a map"),
    ]);
}

#[test]
fn maps_are_gone_over_by_sorted_keys() {
    check(&[
        ("o.status.m.map(k, k)", r#"["a","b","c"]"#),
        ("o.status.m.map(k, o.status.m[k])", "[1,2,3]"),
        ("{'z': 1, 'y': 2, 'x': 3}.map(k, k)", r#"["x","y","z"]"#),
        ("{3: 1, 1: 2, 2: 3}.filter(k, k > 1)", "[2,3]"),
        ("{'z': 1, 'y': 2}.exists(k, k == 'z')", "true"),
        ("o.status.m.all(k, k == 'a' || 1 / 0 == 1)", "division by zero"),
    ]);
    let wide = json!({ "o": (0..100).map(|n| (format!("{n:03}"), json!(n))).collect::<serde_json::Map<_, _>>() });
    let env = Env::new().with("wide", wide);
    let keys = Cel::compile("wide.o.map(k, k)").unwrap().eval(&env).unwrap();
    assert!(keys.as_array().unwrap().is_sorted_by_key(|key| key.as_str().unwrap().to_owned()));
}

#[test]
fn optionals_go_through_ours() {
    check(&[
        ("o.?status.?m.?a.orValue(0)", "1"),
        ("o.?status.?n.?a.orValue(0)", "0"),
        ("o.status[?'m'][?'z'].hasValue()", "false"),
        ("o.spec.list[?0].orValue(9)", "1"),
        ("o.spec.list[?7].orValue(9)", "9"),
        ("o.?spec.list[?0].optMap(n, n + 1).orValue(9)", "2"),
        ("[?o.?x, ?o.?kind]", r#"["Pod"]"#),
        ("{?'x': o.?x, ?'k': o.?kind}", r#"{"k":"Pod"}"#),
        ("o.?status.m.orValue({}).size()", "3"),
    ]);
}

#[test]
fn extensions_take_ours() {
    check(&[
        ("vars.volumes.join('-')", "\"a-b\""),
        ("'%s and %d'.format([o.kind, o.spec.count])", "\"Pod and 3\""),
        ("vars.volumes.reverse()", r#"["b","a"]"#),
        ("values(o.status.m).sort().slice(0, 2)", "[1,2]"),
        ("[vars.volumes, ['c']].flatten()", r#"["a","b","c"]"#),
        ("math.greatest(values(o.status.m))", "3"),
        ("vars.volumes.sortBy(v, -size(v))", r#"["a","b"]"#),
        ("(vars.volumes + vars.volumes).distinct()", r#"["a","b"]"#),
        ("size(vars.volumes) + o.status.m.size()", "5"),
        ("base64.encode(bytes(o.kind))", "\"UG9k\""),
        ("'a,b'.split(',')[1]", "\"b\""),
        ("vars.nested.flatten(2)", "[1,2,3]"),
        ("vars.nested.map(x, x)", "[1,[2,[3]]]"),
        ("'a-b-c'.replace('-', '+') + 'aaa'.replace('a', 'b', 2) + 'aa'.replace('a', 'b', -1)", "\"a+b+cbbabb\""),
        ("'ab'.replace('', '.')", "\".a.b.\""),
        ("['a', 1].join()", "`join`: expected texts in the list, found int"),
        ("o.kind.join()", "`join` cannot be applied to a string"),
        ("'a'.replace('b', 1)", "`replace` cannot be applied to (string, string, int)"),
        ("type(o.spec) == map && type(o.spec.list) == list && type(semver('1.0.0')) == semver", "true"),
        ("'%s'.format([{'z': 1, 'y': 2, 'x': {'b': 1, 'a': 2}}])", "\"{x: {a: 2, b: 1}, y: 2, z: 1}\""),
        ("'%s'.format([o.status.m])", "\"{a: 1, b: 2, c: 3}\""),
    ]);
}

#[test]
fn errors_say_what_was_missing_or_unfit() {
    check(&[
        ("o.state", "no such key: `state`"),
        ("o.status.state.x", "no such key: `state`"),
        ("o.status.m['z']", "no such key: `z`"),
        ("o.spec.list[7]", "the list has no element 7"),
        ("[1][-1]", "the list has no element -1"),
        ("start.state", "a field was asked of a value that is null"),
        ("nobody.x", "nothing is called `nobody` here"),
        ("o.kind.x", "a string has no fields"),
        ("o.spec.list.x", "a list has no fields"),
        ("o.kind[0]", "a string cannot be indexed by an int"),
        ("o.kind + 1", "`+` cannot be applied to a string and an int"),
        ("o.kind > 1", "`>` cannot be applied to a string and an int"),
        ("o.status > 1", "`>` cannot be applied to a map and an int"),
        ("o.status + 1", "`+` cannot be applied to a map and an int"),
        ("!o.kind", "`!` cannot be applied to a string"),
        ("o.kind && true", "`&&` cannot be applied to a string and a bool"),
        ("o.kind ? 1 : 2", "expected bool, found string"),
        ("o.kind.all(x, true)", "a string has no elements to go over"),
        ("o.spec.count.startsWith('x')", "`startsWith` cannot be applied to an int and a string"),
        ("1 / 0", "division by zero"),
        ("9223372036854775807 + 1", "a number became too large"),
        ("int('x')", "`int`: string parse error: invalid digit found in string"),
        ("{'a': 1, 'a': 2}", "the key `a` is there twice"),
        ("'x'.matches('(')", "`matches`: '(' not a valid regex: regex parse error: ( ^ error: unclosed group"),
    ]);
}

#[test]
fn a_missing_field_is_told_from_a_wrong_type() {
    let error = |source: &str| Cel::compile(source).unwrap().eval(&env()).unwrap_err();
    for source in ["o.state", "o.spec.list[9]", "start.x", "ready({'kind': 'X'})", "o.state == 'x' && true"] {
        assert!(error(source).is_missing(), "{source}");
    }
    for source in ["o.kind.x", "o.kind > 1", "1 / 0", "nobody"] {
        assert!(!error(source).is_missing(), "{source}");
    }
    assert_eq!(
        error("o.state"),
        Error::Missing { message: "no such key: `state`".to_owned(), expression: "o.state".to_owned() }
    );
}

#[test]
fn a_condition_is_a_bool() {
    let holds = |source: &str| Cel::compile(source).unwrap().holds(&env()).map_err(|error| error.to_string());
    assert_eq!(holds("o.spec.count == 3"), Ok(true));
    assert_eq!(holds("o.spec.count"), Err("expected bool, found int, in `o.spec.count`".to_owned()));
    assert_eq!(holds("o.state == 'x' || o.kind == 'Pod'"), Ok(true));
}

#[test]
fn errors_quote_one_short_line() {
    let source = format!("o.missing ==\n   '{}'", "x".repeat(300));
    let error = Cel::compile(&source).unwrap().eval(&env()).unwrap_err();
    assert_eq!(error.expression(), format!("o.missing == '{}…", "x".repeat(106)));
}

#[test]
fn environments_lie_over_each_other() {
    let below = Env::new().with("a", json!(1)).with("b", json!(2));
    let above = below.child().with("a", json!(10));
    assert_eq!((above.get("a"), above.get("b"), below.get("a")), (Some(&json!(10)), Some(&json!(2)), Some(&json!(1))));
    assert_eq!(below.get("c"), None);
    let mut deep = below.clone();
    for n in 0..100 {
        deep = deep.child().with("n", json!(n));
    }
    let sum = Cel::compile("a + b + n").unwrap();
    assert_eq!(sum.eval(&deep), Ok(json!(102)));
    assert_eq!(sum.eval(&deep.child().with("n", json!(0))), Ok(json!(3)));
}

#[test]
fn shared_values_are_put_together_without_json() {
    let pods: Vec<Shared> = (0..3).map(|n| Shared::new(&json!({ "name": n, "gone": null }))).collect();
    let objects = Shared::map([("pods", Shared::list(pods.clone())), ("none", Shared::from(Value::Null))]);
    let env = Env::new().with_shared("objects", objects).with_shared("o", pods[1].clone());
    let cel = |source: &str| Cel::compile(source).unwrap();
    assert_eq!(cel("objects.pods.filter(p, p.name > o.name)").eval(&env), Ok(json!([{ "name": 2 }])));
    assert_eq!(cel("has(objects.none)").eval(&env), Ok(json!(false)));
    let kept = cel("{'b': objects.pods[0], 'a': 1}").eval_shared(&env).unwrap();
    let members: Vec<(String, Value)> = kept.members().map(|(k, v)| (k.to_owned(), v.value().clone())).collect();
    assert_eq!(members, [("a".to_owned(), json!(1)), ("b".to_owned(), json!({ "name": 0 }))]);
    assert_eq!(Shared::list(pods).elements().count(), 3);
    assert!(cel("null").eval_shared(&env).unwrap().is_null());
}

#[test]
fn a_value_that_is_bound_is_given_back_as_it_was() {
    let value = json!({ "b": null, "a": [1, 2.5, "x"] });
    assert_eq!(Env::new().with("v", value.clone()).get("v"), Some(&value));
    assert_eq!(Shared::new(&value).value(), &json!({ "a": [1, 2.5, "x"] }));
}

#[test]
fn the_same_sources_are_equal() {
    assert_eq!(Cel::compile("1 + 1"), Cel::compile("1 + 1"));
    assert_ne!(Cel::compile("1 + 1"), Cel::compile("1 + 2"));
    assert_eq!(eval("1 + 1"), "2");
}
