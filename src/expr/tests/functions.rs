use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::super::{Cel, Env, FUNCTIONS};
use super::{check, env};

fn holds(source: &str, o: Value) -> Result<bool, String> {
    Cel::compile(source).unwrap().holds(&Env::new().with("o", o)).map_err(|error| error.to_string())
}

#[test]
fn keys_and_values_are_sorted_and_forgive_what_is_absent() {
    check(&[
        ("keys(o.status.m)", r#"["a","b","c"]"#),
        ("values(o.status.m)", "[1,2,3]"),
        ("keys({2: 'b', 1: 'a'})", "[1,2]"),
        ("values({'z': 26, 'b': 2})", "[2,26]"),
        ("keys(o.status.nothere)", "[]"),
        ("values(o.nothere.at.all)", "[]"),
        ("keys(o.spec.list[9].x)", "[]"),
        ("keys(o.nothere['x'].y)", "[]"),
        ("keys(start.status.m)", "[]"),
        ("keys(start)", "[]"),
        ("keys(o.?status.?m)", r#"["a","b","c"]"#),
        ("keys(o.status.gone)", "[]"),
        ("values(o.nothere).all(v, v == 1)", "true"),
        ("keys(o.spec.?list)", "`keys` cannot be applied to a list"),
        ("keys(o.kind)", "`keys` cannot be applied to a string"),
        ("keys(nobody.x)", "nothing is called `nobody` here"),
        ("keys(values({'a': {'b': {'c': 1}}})[0].b)", r#"["c"]"#),
    ]);
}

#[test]
fn quantities_and_versions_compare() {
    check(&[
        ("quantity('1Gi') > quantity('500M')", "true"),
        ("quantity('500m') + quantity('1') == quantity('1500m')", "true"),
        ("quantity('1Gi') / quantity('1Mi')", "1024.0"),
        ("quantity('3Gi') == int('3221225472')", "true"),
        ("quantity(2) == quantity('2')", "true"),
        ("quantity('1 Gi')", "`quantity`: `1 Gi` is not a quantity; write it like `500m`, `2`, `1.5Gi` or `3e6`"),
        ("quantity(true)", "`quantity` cannot be applied to a bool"),
        ("semver('1.12.1') > semver('v1.9.3')", "true"),
        ("semver('1.12.0-rc1') < semver('1.12.0')", "true"),
        ("semver('1.12.0-rc.2') < semver('1.12.0-rc.10')", "true"),
        ("semver('v1.34.4+k3s1') == semver('1.34.4')", "true"),
        ("semver('1.0.0') != semver('1.0.1')", "true"),
        ("semver(vars.version)", "\"1.12.1\""),
        ("[semver('1.10.0'), semver('1.9.0')].sort()", r#"["1.9.0","1.10.0"]"#),
        ("semver('1.12')", "`semver`: `1.12` is not a version; write three numbers, as in `1.12.1` or `v1.13.0-rc1`"),
        ("semver('1.0.0') < '1.0.1'", "`<` cannot be applied to a semver and a string"),
    ]);
}

#[test]
fn ages_hang_on_the_moment_that_is_bound() {
    check(&[
        ("age(o)", "\"600s\""),
        ("age(o) > duration('5m')", "true"),
        ("age(o).getMinutes()", "10"),
        ("age(o.metadata)", "no such key: `metadata`"),
    ]);
    let error = Cel::compile("age(o)").unwrap().eval(&Env::new().with("o", json!({}))).unwrap_err();
    assert_eq!(error.to_string(), "the time is not known here, so `age` has no answer, in `age(o)`");
    assert!(Cel::compile("age(o) > duration('1s')").unwrap().calls("age"));
    assert!(!Cel::compile("o.age").unwrap().calls("age"));
}

#[test]
fn ranges_are_bounded() {
    check(&[
        ("range(3)", "[0,1,2]"),
        ("range(0) + range(-1)", "[]"),
        ("range(vars.rounds).size()", "10"),
        ("range(10001)", "`range`: 10001 numbers were asked for, at most 10000 are made"),
        ("range('3')", "`range` cannot be applied to a string"),
    ]);
}

#[test]
fn conditions_stand_in_three_places() {
    let list = json!({ "status": { "conditions": [{ "type": "Ready", "status": "True" }, { "type": "Bad" }] } });
    let map = json!({ "status": { "conditions": { "Ready": { "type": "Ready", "status": "False" } } } });
    let entry = json!({ "conditions": [{ "type": "Ready", "status": "Unknown" }], "diskName": "x" });
    for (o, source, is) in [
        (&list, "condition(o, 'Ready') == 'True'", true),
        (&list, "condition(o, 'Bad') == ''", true),
        (&list, "condition(o, 'Other') == ''", true),
        (&map, "condition(o, 'Ready') == 'False'", true),
        (&map, "condition(o, 'Other') == ''", true),
        (&entry, "condition(o, 'Ready') == 'Unknown'", true),
        (&json!({}), "condition(o, 'Ready') == ''", true),
        (&json!({ "status": { "conditions": null } }), "condition(o, 'Ready') == ''", true),
    ] {
        assert_eq!(holds(source, o.clone()), Ok(is), "{source} {o}");
    }
    assert_eq!(
        holds("condition(o, 'Ready') == ''", json!("x")),
        Err("`condition` cannot be applied to a string and a string, in `condition(o, 'Ready') == ''`".to_owned())
    );
}

#[test]
fn ready_knows_the_kinds() {
    let conditions = |pairs: &[(&str, &str)]| -> Value {
        pairs.iter().map(|(kind, status)| json!({ "type": kind, "status": status })).collect()
    };
    let daemon_set = |seen, updated, ready| {
        json!({ "kind": "DaemonSet", "metadata": { "generation": 2 }, "status": {
            "observedGeneration": seen, "desiredNumberScheduled": 3, "updatedNumberScheduled": updated,
            "numberReady": ready, "numberAvailable": ready } })
    };
    let deployment = |kind, replicas: Value, status: Value| json!({ "kind": kind, "metadata": { "generation": 1 }, "spec": { "replicas": replicas }, "status": status });
    let all = |n: i64| json!({ "observedGeneration": 1, "replicas": n, "updatedReplicas": n, "readyReplicas": n, "availableReplicas": n });
    let mut old_left = all(3);
    old_left["replicas"] = json!(4);
    let mut not_updated = all(3);
    not_updated["updatedReplicas"] = json!(2);
    let table = [
        ("pod", json!({ "kind": "Pod", "status": { "conditions": conditions(&[("Ready", "True")]) } }), true),
        (
            "pod starting",
            json!({ "kind": "Pod", "status": { "conditions": conditions(&[("Ready", "False")]) } }),
            false,
        ),
        ("pod without status", json!({ "kind": "Pod" }), false),
        (
            "pod going",
            json!({ "kind": "Pod", "metadata": { "deletionTimestamp": "2026-01-01T00:00:00Z" },
                    "status": { "conditions": conditions(&[("Ready", "True")]) } }),
            false,
        ),
        ("daemon set", daemon_set(2, 3, 3), true),
        ("daemon set not seen", daemon_set(1, 3, 3), false),
        ("daemon set rolling", daemon_set(2, 2, 3), false),
        ("daemon set starting", daemon_set(2, 3, 2), false),
        ("daemon set that nobody looked at", json!({ "kind": "DaemonSet", "metadata": { "generation": 1 } }), false),
        ("deployment", deployment("Deployment", json!(3), all(3)), true),
        ("deployment of one by default", deployment("Deployment", Value::Null, all(1)), true),
        ("deployment scaled down", deployment("Deployment", json!(0), json!({ "observedGeneration": 1 })), true),
        ("deployment with an old one", deployment("Deployment", json!(3), old_left), false),
        ("stateful set", deployment("StatefulSet", json!(3), all(3)), true),
        ("stateful set rolling", deployment("StatefulSet", json!(3), not_updated.clone()), false),
        ("replica set", deployment("ReplicaSet", json!(3), not_updated), true),
        ("job", json!({ "kind": "Job", "status": { "conditions": conditions(&[("Complete", "True")]) } }), true),
        ("job running", json!({ "kind": "Job", "status": { "active": 1 } }), false),
        ("job failed", json!({ "kind": "Job", "status": { "conditions": conditions(&[("Failed", "True")]) } }), false),
        ("node", json!({ "kind": "Node", "status": { "conditions": conditions(&[("Ready", "True")]) } }), true),
        (
            "crd",
            json!({ "kind": "CustomResourceDefinition",
                    "status": { "conditions": conditions(&[("NamesAccepted", "True"), ("Established", "True")]) } }),
            true,
        ),
        ("namespace", json!({ "kind": "Namespace", "status": { "phase": "Active" } }), true),
        ("claim", json!({ "kind": "PersistentVolumeClaim", "status": { "phase": "Pending" } }), false),
        ("another", json!({ "kind": "Disk", "status": { "conditions": conditions(&[("Ready", "True")]) } }), true),
        (
            "available",
            json!({ "kind": "APIService", "status": { "conditions": conditions(&[("Available", "True")]) } }),
            true,
        ),
        (
            "another not seen",
            json!({ "kind": "Disk", "metadata": { "generation": 3 },
                    "status": { "observedGeneration": 2, "conditions": conditions(&[("Ready", "True")]) } }),
            false,
        ),
        ("entry of a map", json!({ "conditions": { "Ready": { "status": "True" } } }), true),
    ];
    for (name, o, is) in table {
        assert_eq!(holds("ready(o)", o), Ok(is), "{name}");
    }
    assert_eq!(
        holds("ready(o)", json!({ "kind": "Setting" })),
        Err("`ready` found no condition `Ready` or `Available` on the object, in `ready(o)`".to_owned())
    );
}

#[test]
fn mistyped_functions_are_found_when_compiled() {
    check(&[
        ("redy(o)", "there is no function `redy` (did you mean `ready`? It is written `ready(o) -> bool`)"),
        (
            "o.kind.startswith('x')",
            "there is no function `startswith` (did you mean `startsWith`? It is written `text.startsWith(prefix) -> bool`)",
        ),
        ("len(o.spec.list)", "there is no function `len` (did you mean `size`? It is written `size(value) -> int`)"),
        (
            "math.max(1, 2)",
            "there is no function `math.max` (did you mean `math.abs`? It is written `math.abs(number) -> number`)",
        ),
        (
            "lists.range(3)",
            "there is no function `lists.range` (did you mean `range`? It is written `range(n) -> list`)",
        ),
        ("condition(o)", "`condition` takes 2 arguments, found 1 (it is written `condition(o, type) -> string`)"),
        ("o.ready()", "`ready` is not called on a value (it is written `ready(o) -> bool`)"),
        (
            "startsWith(o.kind, 'x')",
            "`startsWith` is called on a value (it is written `text.startsWith(prefix) -> bool`)",
        ),
        ("o.spec.list.all(x)", "`all` takes 2 arguments, found 1 (it is written `list.all(x, condition) -> bool`)"),
        (
            "o.spec.list.map(x, y, z, w)",
            "`map` takes 2 to 3 arguments, found 4 (it is written `list.map(x, [condition,] value) -> list`)",
        ),
        ("size()", "`size` takes 1 argument, found 0 (it is written `size(value) -> int`)"),
        ("math.greatest()", "math.greatest() requires at least one argument"),
        ("Pod{name: 'x'}", "there is no message type `Pod` (a map is written `{'key': value}`)"),
        ("o.kind.frobnicate()", "there is no function `frobnicate`"),
        ("keys(o.spec, 1)", "`keys` takes 1 argument, found 2 (it is written `keys(map) -> list`)"),
    ]);
}

/// A call of each function of the table: if the table names one that is not there, this fails.
const CALLS: &[(&str, &str)] = &[
    ("ready", "ready({'conditions': {'Ready': {'status': 'True'}}})"),
    ("condition", "condition(o, 'x') == ''"),
    ("keys", "keys(o.status.m) != []"),
    ("values", "values(o.status.m) != []"),
    ("quantity", "quantity('1') == 1"),
    ("semver", "semver('1.0.0') == semver('1.0.0')"),
    ("age", "age(o) == duration('10m')"),
    ("range", "range(1) == [0]"),
    ("has", "has(o.kind)"),
    ("all", "[1].all(x, x == 1)"),
    ("exists", "[1].exists(x, x == 1)"),
    ("exists_one", "[1].exists_one(x, x == 1)"),
    ("existsOne", "[1].existsOne(x, x == 1)"),
    ("filter", "[1].filter(x, x == 1) == [1]"),
    ("map", "[1].map(x, x == 1, x) == [1]"),
    ("sortBy", "[2, 1].sortBy(x, x) == [1, 2]"),
    ("optMap", "optional.of(1).optMap(x, x + 1).value() == 2"),
    ("optFlatMap", "optional.of(o).optFlatMap(x, x.?kind).value() == 'Pod'"),
    ("bool", "bool('true')"),
    ("bytes", "bytes('a') == b'a'"),
    ("double", "double('1') == 1.0"),
    ("duration", "duration('1m') == duration('60s')"),
    ("dyn", "dyn(true)"),
    ("int", "int('1') == 1"),
    ("string", "string(1) == '1'"),
    ("timestamp", "timestamp(0) == timestamp('1970-01-01T00:00:00Z')"),
    ("type", "type(1) == int"),
    ("uint", "uint('1') == 1u"),
    ("size", "size('a') == 1 && 'a'.size() == 1"),
    ("contains", "'abc'.contains('b')"),
    ("startsWith", "'abc'.startsWith('a')"),
    ("endsWith", "'abc'.endsWith('c')"),
    ("matches", "'abc'.matches('^a') && matches('abc', 'c$')"),
    ("charAt", "'abc'.charAt(1) == 'b'"),
    ("format", "'%s'.format(['a']) == 'a'"),
    ("indexOf", "'abc'.indexOf('b') == 1 && 'abc'.indexOf('b', 2) == -1"),
    ("join", "['a', 'b'].join() == 'ab' && ['a', 'b'].join('-') == 'a-b'"),
    ("lastIndexOf", "'aba'.lastIndexOf('a') == 2 && 'aba'.lastIndexOf('a', 1) == 0"),
    ("lowerAscii", "'A'.lowerAscii() == 'a'"),
    ("replace", "'aa'.replace('a', 'b') == 'bb' && 'aa'.replace('a', 'b', 1) == 'ba'"),
    ("reverse", "'ab'.reverse() == 'ba' && [1, 2].reverse() == [2, 1]"),
    ("split", "'a,b'.split(',') == ['a', 'b'] && 'a,b,c'.split(',', 2) == ['a', 'b,c']"),
    ("substring", "'abc'.substring(1) == 'bc' && 'abc'.substring(1, 2) == 'b'"),
    ("trim", "' a '.trim() == 'a'"),
    ("upperAscii", "'a'.upperAscii() == 'A'"),
    ("strings.quote", "strings.quote('a') == '\"a\"'"),
    ("base64.encode", "base64.encode(b'a') == 'YQ=='"),
    ("base64.decode", "base64.decode('YQ==') == b'a'"),
    ("distinct", "[1, 1].distinct() == [1]"),
    ("flatten", "[[1]].flatten() == [1] && [[[1]]].flatten(2) == [1]"),
    ("slice", "[1, 2].slice(0, 1) == [1]"),
    ("sort", "[2, 1].sort() == [1, 2]"),
    ("optional.of", "optional.of(1).value() == 1"),
    ("optional.ofNonZeroValue", "!optional.ofNonZeroValue(0).hasValue()"),
    ("optional.none", "!optional.none().hasValue()"),
    ("hasValue", "o.?kind.hasValue()"),
    ("value", "o.?kind.value() == 'Pod'"),
    ("or", "o.?x.or(o.?kind).value() == 'Pod'"),
    ("orValue", "o.?x.orValue(1) == 1"),
    ("math.greatest", "math.greatest(1, 2) == 2 && math.greatest([1, 2]) == 2 && math.greatest(1, 2, 3) == 3"),
    ("math.least", "math.least(1, 2) == 1"),
    ("math.abs", "math.abs(-1) == 1"),
    ("math.bitAnd", "math.bitAnd(3, 1) == 1"),
    ("math.bitNot", "math.bitNot(0) == -1"),
    ("math.bitOr", "math.bitOr(2, 1) == 3"),
    ("math.bitShiftLeft", "math.bitShiftLeft(1, 1) == 2"),
    ("math.bitShiftRight", "math.bitShiftRight(2, 1) == 1"),
    ("math.bitXor", "math.bitXor(3, 1) == 2"),
    ("math.ceil", "math.ceil(1.5) == 2.0"),
    ("math.floor", "math.floor(1.5) == 1.0"),
    ("math.isFinite", "math.isFinite(1.0)"),
    ("math.isInf", "!math.isInf(1.0)"),
    ("math.isNaN", "!math.isNaN(1.0)"),
    ("math.round", "math.round(1.5) == 2.0"),
    ("math.sign", "math.sign(-3) == -1"),
    ("math.sqrt", "math.sqrt(4) == 2.0"),
    ("math.trunc", "math.trunc(1.5) == 1.0"),
    ("getDate", "timestamp(0).getDate() == 1 && timestamp(0).getDate('UTC') == 1"),
    ("getDayOfMonth", "timestamp(0).getDayOfMonth() == 0"),
    ("getDayOfWeek", "timestamp(0).getDayOfWeek() == 4"),
    ("getDayOfYear", "timestamp(0).getDayOfYear() == 0"),
    ("getFullYear", "timestamp(0).getFullYear() == 1970"),
    ("getHours", "timestamp(0).getHours() == 0 && duration('1h').getHours() == 1"),
    ("getMilliseconds", "timestamp(0).getMilliseconds() == 0"),
    ("getMinutes", "duration('1h').getMinutes() == 60"),
    ("getMonth", "timestamp(0).getMonth() == 0"),
    ("getSeconds", "duration('1m').getSeconds() == 60"),
];

#[test]
fn every_function_of_the_table_is_there() {
    let env = env();
    for (name, source) in CALLS {
        let cel = Cel::compile(source).unwrap_or_else(|mistake| panic!("{name}: {mistake}"));
        assert_eq!(cel.holds(&env), Ok(true), "{name}: {source}");
    }
    let named: BTreeSet<&str> = FUNCTIONS.iter().map(|function| function.name).collect();
    let called: BTreeSet<&str> = CALLS.iter().map(|(name, _)| *name).collect();
    assert_eq!(named, called);
    assert_eq!(named.len(), FUNCTIONS.len(), "a name stands twice");
}

#[test]
fn every_function_is_described() {
    for function in FUNCTIONS {
        assert!(function.about.ends_with('.'), "{}", function.name);
        let last = function.name.rsplit('.').next().unwrap();
        assert!(function.signature.contains(&format!("{last}(")), "{}", function.name);
        assert!(function.signature.contains(" -> "), "{}", function.name);
    }
}
