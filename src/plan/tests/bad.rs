use super::*;

#[test]
fn each_mistake_is_drawn_with_its_place() {
    insta::assert_snapshot!(bad(
        r#"
[plan]
name = "p"
[steps.first]
command = { args = ["true"], timeuot = 3, env = 7 }
needs = ["frist"]
tiemout = "3m"
[steps.second]
sleep = { for = "3x", because = "${vars.nope} ${stesp.x}" }
"#
    ), @r#"
    error: there is no key `timeuot` here
     --> p.toml:5:30
      |
    5 | command = { args = ["true"], timeuot = 3, env = 7 }
      |                              ^^^^^^^
      |
      = help: the keys here are `args`, `env`, `dir`, `stdin` and `codes`

    error: expected a table, found the number 7
     --> p.toml:5:49
      |
    5 | command = { args = ["true"], timeuot = 3, env = 7 }
      |                                                 ^

    error: there is no step `frist` beside `first`
     --> p.toml:6:10
      |
    6 | needs = ["frist"]
      |          ^^^^^^^
      |
      = help: there is `second`

    error: `tiemout` is neither a key of a step nor a verb
     --> p.toml:7:1
      |
    7 | tiemout = "3m"
      | ^^^^^^^
      |
    help: did you mean `timeout`?
      |
    7 - tiemout = "3m"
    7 + timeout = "3m"
      |

    error: `3x` is not a duration; write it like `90s`, `5m`, `1h30m` or `250ms`
     --> p.toml:9:17
      |
    9 | sleep = { for = "3x", because = "${vars.nope} ${stesp.x}" }
      |                 ^^^^

    error: there is no var `nope`
     --> p.toml:9:36
      |
    9 | sleep = { for = "3x", because = "${vars.nope} ${stesp.x}" }
      |                                    ^^^^^^^^^
      |
      = help: declare it: `[vars]` with `nope = …`

    error: nothing is called `stesp` here
     --> p.toml:9:49
      |
    9 | sleep = { for = "3x", because = "${vars.nope} ${stesp.x}" }
      |                                                 ^^^^^^^
      |
      = help: did you mean `steps`?

    7 problems in p.toml
    "#);
}

#[test]
fn tables_and_keys() {
    insta::assert_snapshot!(table(&[
        "",
        "[step.a]\nsleep = 3",
        "steps = 3",
        "[plan.x]\n[steps.a]\ncommand.args = ['a']",
        "[steps.a]",
        "[steps.a]\nsleep.for = '1s'\nsleep.because = 'x'\ncommand.args = ['a']",
        "[steps.a]\npart.file = 'a.toml'\nsleep = { for = '1s', because = 'x' }",
        "[steps.a.steps]",
        "[steps]\nA_b.command.args = ['a']",
        "[steps]\na.sleep = 3\nin.command.args = ['x']\n[vars]\ntrue = 1",
        "[steps]\na.sleep = { for = '1s' }",
        "[steps]\na.sleep = { fro = '1s', because = 'x' }",
        "[steps]\na.sleep = { for = 1, because = ['x'] }",
        "[steps]\na.comand = { args = ['x'] }",
        "[steps]\na.pod-kill = 3\n[steps.b]\nwait = { on = 'x', all = {} }\n[objects]\nx.resource = 'pods'",
        "[steps]\na = { command.args = ['x'], when = 'allways', needs = 'b', covers = [1], about = 3 }",
        "[steps]\na = { command.args = ['x'], retry = { attempts = 0 }, timeout = 3 }",
        "[steps]\na = { command.args = ['x'], retry = { atempts = 2, delay = '1 hour ago' } }",
        "[steps]\na = { command.args = ['x'], repeat = 3, background = 'b' }",
        "[steps]\na = { command.args = ['x'], repeat = { tmies = 3 }, background = { utnil = 'b' } }",
        "[checks.a]\nnever.on = 'x'\n[prove]\ncatches = []\n[steps]\na.command.args = ['x']",
    ]), @r#"
    1:1 [] the plan has no steps | a step is a table such as `[steps.install]`

    2:2 [step] there is no table `[step]` in a plan | did you mean `steps`?

    2:1 [steps] `steps` is a table, found a whole number

    2:7 [x] there is no key `x` here | the keys here are `name`, `title`, `about`, `namespace`, `timeout`, `include` and `covers`

    2:8 [a] `a` does nothing | a step has exactly one verb, `steps`, or `part`

    5:1 [command] `a` has `sleep` and `command` | a step has exactly one verb, `steps`, or `part`; make two steps of it

    4:1 [sleep] `a` has `part` and `sleep` | a step has exactly one verb, `steps`, or `part`; make two steps of it

    2:10 [steps] the group `a` has no steps

    3:1 [A_b] `A_b` cannot be the name of a step | names are written in lower case with dashes; expressions spell a dash `_`

    3:11 [3] expected a table, found the number 3
    4:1 [in] `in` cannot be the name of a step: expressions could not say it
    6:1 [true] `true` cannot be the name of a var: expressions could not say it

    3:3 [sleep] `because` is missing

    3:13 [fro] there is no key `fro` here | did you mean `for`?

    3:19 [1] expected a text in quotes, found the number 1
    3:32 [['x']] expected a text in quotes, found a list

    3:3 [comand] `comand` is neither a key of a step nor a verb | did you mean `command`?

    3:14 [3] expected a table, found the number 3
    5:1 [wait] write either one condition (`on`, `that`, …) or several under `all`

    3:36 ['allways'] expected `passed`, `always` or `failed`, found `allways` | did you mean `always`?
    3:55 ['b'] expected a list of texts, found a text
    3:55 ['b'] there is no step `b` beside `a`
    3:70 [1] expected a text in quotes, found a whole number

    3:50 [0] expected a whole number, 1 or more, found the number 0
    3:65 [3] expected a text in quotes, found the number 3

    3:39 [atempts] there is no key `atempts` here | did you mean `attempts`?
    3:60 ['1 hour ago'] `1 hour ago` is not a duration; write it like `90s`, `5m`, `1h30m` or `250ms`

    3:38 [3] expected a table such as `{ times = 10 }`, found a whole number
    3:54 ['b'] expected a table such as `{ until = "upgrade" }`, found a text

    3:29 [repeat] `times` is missing: how many rounds there are
    3:40 [tmies] there is no key `tmies` here | did you mean `times`?
    3:53 [background] `until` is missing: the step whose end is also the end of this one
    3:68 [utnil] there is no key `utnil` here | did you mean `until`?

    3:12 ['x'] there is no selection `x`
    4:2 [prove] this version of lariat does not prove plans yet | leave `[prove]` out
    "#);
}

#[test]
fn verbs_whose_arguments_do_not_go_together() {
    let objects = "[objects]\npods.resource = 'pods'\n[steps]\n";
    let cases = [
        "a.apply = {}",
        "a.apply = { object = {}, file = 'x.yaml' }",
        "a.patch = { resource = 'pods', merge = {} }",
        "a.patch = { on = 'pods', merge = {}, json = [] }",
        "a.delete = { on = 'pods', name = 'x' }",
        "a.exec = { command = [] }",
        "a.write-file = { on = 'pods', path = '/x' }",
        "a.edit-constant = { file = 'x', name = 'x' }",
        "a.command.args = []",
        "a.pod-kill = { on = 'pods', gate = 'true', which = 'some', how = 'eahc' }",
        "a.collect = {}",
        "a.scale = { resource = 'deploymnets', name = 'x', replicas = -1 }",
        "a.rollout-restart = { resource = 'pods', name = 'x' }",
        "a.wait = { on = 'pods', count = 1, min = 1 }",
        "a.wait = { that = 'true' }",
        "a.wait = { on = 'pods', count = 'many', that = 3 }",
        "a.drain = { node = 'n', force = 'yes' }",
    ];
    let cases: Vec<String> = cases.iter().map(|case| format!("{objects}{case}")).collect();
    let cases: Vec<&str> = cases.iter().map(String::as_str).collect();
    insta::assert_snapshot!(table(&cases), @r#"
    5:3 [apply] `apply` needs `object` or `file`

    5:3 [apply] `apply` takes only one of `object` or `file`
    5:33 ['x.yaml'] `x.yaml` is not there

    5:3 [patch] `patch` needs `resource` and `name` together

    5:3 [patch] `patch` takes only one of `merge`, `json` or `strategic`

    5:3 [delete] `delete` takes only one of `on`, or `resource` with `name`

    5:3 [exec] `command` is empty: name a program
    5:3 [exec] `exec` needs `on` or `pod`

    5:3 [write-file] `write-file` needs `size` or `file`

    5:3 [edit-constant] `edit-constant` needs `add` or `to`

    5:3 [command] `args` is empty: name a program

    5:52 ['some'] expected `"all"`, a number, or a share such as `"50%"`
    5:66 ['eahc'] expected `each` or `collection`, found `eahc` | did you mean `each`?

    5:3 [collect] `collect` collects nothing: switch on `logs`, `describe`, `events` or `objects`

    5:24 ['deploymnets'] `deploymnets` is not a built-in kind of object | did you mean `deployments`?
    5:62 [-1] expected a whole number, 0 or more, found the number -1

    5:34 ['pods'] `pods` has no rollout | deployments, daemonsets and statefulsets have one

    5:3 [wait] `count` and `min` exclude each other (condition on `pods`): `count` says how many satisfy it, `min` how many there must be when all do

    5:3 [wait] a condition needs `on` (a name from `[objects]`), or several conditions under `all`

    5:33 ['many'] expected a count such as `3`, `">= 1"` or `"<= 2"`
    5:48 [3] expected a text in quotes, found the number 3

    5:33 ['yes'] expected `true` or `false`, found the text "yes"
    "#);
}

#[test]
fn needs_and_order() {
    let verb = "command.args = ['x']";
    let cases = [
        "a = { V, needs = ['a'] }\nb = { V, needs = ['c', 'a', 'a'] }",
        "a = { V, needs = ['b'] }\nb = { V, needs = ['c'] }\nc = { V, needs = ['a'] }",
        "a = { V, needs = ['b', 'c'] }\nb = { V, needs = ['a'] }\nc = { V, needs = ['a'] }",
        "a = { V, needs = ['tidy'] }\ntidy = { V, when = 'always' }",
        "a = { V, background = { until = 'a' } }\nb = { V, background = { until = 'x' } }",
        "a = { V }\nb = { V, needs = ['a'], background = { until = 'a' } }",
        "g.steps.a = { V, background = { until = 'g' } }",
        "g.steps.a = { V, background = { until = 'after' } }\nafter = { V }",
        "a = { V, background = { until = 'b' }, when = 'always', repeat = { times = 2 } }\nb = { V }",
        "g = { steps.a = { V }, retry = { attempts = 2 } }",
    ];
    let cases: Vec<String> = cases.iter().map(|case| format!("[steps]\n{}", case.replace('V', verb))).collect();
    let cases: Vec<&str> = cases.iter().map(String::as_str).collect();
    insta::assert_snapshot!(table(&cases), @r"
    3:38 ['a'] `a` needs itself
    4:38 ['c'] there is no step `c` beside `b` | did you mean `a`?
    4:48 ['a'] `a` is named twice

    3:38 ['b'] steps need each other in a circle: a -> b -> c -> a

    3:38 ['b'] steps need each other in a circle: `a`, `b` and `c`, for one a -> b -> a

    3:38 ['tidy'] steps need each other in a circle: a -> tidy -> a | `tidy` is clean-up without `needs`, so it waits for every step of its scope

    3:52 ['a'] `a` would run until `a`, which is itself
    4:52 ['x'] there is no step `x` here or further out | did you mean `a`?

    4:67 ['a'] `b` starts after `a` and cannot run until that ends | take `a` out of what it needs

    3:60 ['g'] `a` would run until `g`, which is the group that it is inside of, which waits for it

    fine

    3:29 [background] a background step has no rounds: it ends when another step settles
    3:29 [background] clean-up does not run in the background
    3:52 ['b'] `a` starts after `b` and cannot run until that ends | take `b` out of what it needs

    3:43 [retry] a group has no `retry`: what passed inside would be done again | give `retry` to the steps inside
    ");
}

#[test]
fn names_in_expressions() {
    let head = "[vars]\nfile_name = 'x'\n[objects]\nimage-managers.resource = 'pods'\n[steps]\n";
    let cases = [
        "a.command.args = ['${vars.filename}', '${file_name}', '${env.HOME}', '${o.x}', '${start.x}']",
        "a.command.args = ['${item} ${round} ${objects.image_managers} ${key} ${status}']",
        "a.command.args = ['${run.sede}', '${steps.b.stdout}', '${steps.a.stdout}', '${steps}']\nb.command.args = ['x']",
        "a.wait = { on = 'image-manager', that = 'o.x in objects.image-managers' }",
        "a.wait = { on = 'image-managers', that = 'o.x in objects.image_manager || key == 1 || parent.x' }",
        "a-b.command.args = ['x']\nc = { needs = ['a-b'], command.args = ['${steps.a-b.stdout} ${steps.a_b.stdou} ${steps.a_c.x}'] }",
        "g.steps.in-side.command.args = ['x']\nc = { needs = ['g'], command.args = ['${steps.g.in_side.stdout} ${steps.g.inside.stdout} ${steps.g.took}'] }",
        "g = { for-each = ['x'], command.args = ['x'] }\nc = { needs = ['g'], command.args = [\"${steps.g.stdout} ${steps.g['x'].stdout} ${steps.g['x'].nope}\"] }",
        "g.steps.a.command.args = ['${steps.g.a.stdout}']",
        "b = { command.args = ['x'], background = { until = 'c' } }\nc.command.args = ['x']\nd = { needs = ['b', 'c'], command.args = ['${steps.b.stdout}'] }",
        "a = { command.args = ['x'], if = 'steps.b.code == 0', for-each = '${steps.b.stdout}' }\nb.command.args = ['x']",
        "a = { command.args = ['x'], if = 'vars.file_name == ', for-each = 'x' }",
        "a.apply.object = { kind = '${vars.x}', spec = { l = ['${steps.x.y', '${o.z}'] } }",
        "a.patch = { on = 'image-managers', json = [{ op = '${vars.x}' }] }",
        "a.http = { url = 'http://x', that = 'status == 200 && body.x && o.x' }",
        "a = { command.args = ['x'], if = 'vars.file_name' }",
        "a = { command.args = ['x'], repeat = { times = '${vars.file_name}' } }\nb = { command.args = ['x'], repeat = { times = 0 } }",
        "a = { command.args = ['x'], for-each = '${vars.file_name}' }\nb = { command.args = ['x'], for-each = ['x', 'x'] }",
        "a.command = { args = ['${foo(1)}'], stdin = \"a\\tb ${vars.x + } c\" }",
    ];
    let cases: Vec<String> = cases.iter().map(|case| format!("{head}{case}")).collect();
    let cases: Vec<&str> = cases.iter().map(String::as_str).collect();
    insta::assert_snapshot!(table(&cases), @r#"
    7:22 [vars.filename] there is no var `filename` | did you mean `file_name`?
    7:42 [file_name] nothing is called `file_name` here | did you mean `vars.file_name`?
    7:58 [env.HOME] nothing is called `env` here | declare a var with `env = "NAME"` and use `vars.NAME`
    7:73 [o.x] `o` is for conditions: no object is looked at here
    7:83 [start.x] `start` is for checks only

    7:22 [item] `item` is the cell of a `for-each`, and this is inside none
    7:30 [round] `round` is the round of a `repeat`, and this is inside none
    7:39 [objects.image_managers] `objects` is for conditions only | the outputs of a `wait` hold what it saw: `steps.NAME.objects`
    7:65 [key] `key` is for conditions: no object is looked at here
    7:72 [status] `status` is for `that` of the verb `http`

    7:22 [run.sede] a run has no `sede` | did you mean `seed`?
    7:37 [steps.b.stdout] `b` may not have settled by then | write `needs = ["b"]` at `a`
    7:58 [steps.a.stdout] `a` cannot use its own outputs
    7:79 [steps] name a step: `steps.NAME.OUTPUT`

    7:17 ['image-manager'] there is no selection `image-manager` | did you mean `image-managers`?
    7:49 [objects.image-managers] `objects.image-managers` reads as a subtraction | a dash in a name is written `_`: `objects.image_managers`

    7:50 [objects.image_manager] there is no selection `image_manager` | did you mean `image_managers`?
    7:75 [key] `key` belongs to the entries of a map, and these are whole objects | a selection with `on` and `each` has entries
    7:87 [parent.x] `parent` belongs to the entries of a map, and these are whole objects | a selection with `on` and `each` has entries

    8:43 [steps.a-b] `steps.a-b` reads as a subtraction | a dash in a name is written `_`: `steps.a_b`

    8:67 [steps.g.inside.stdout] the group `g` has no step `inside` | did you mean `in_side`?

    8:41 [steps.g.stdout] `g` has cells, and each has its own outputs | name a cell: `steps.g[item]`, or `steps.g['…']`
    8:82 [steps.g['x'].nope] `command` has no output `nope` | did you mean `code`?

    7:30 [steps.g.a.stdout] `g` has no outputs yet: this is inside of it

    9:46 [steps.b.stdout] `b` runs in the background: it may not have ended by then, so that it has no outputs

    7:35 [steps.b.code] `steps` cannot be used here | which steps there are, and what is watched, is known before the run: only `vars` and `item` may be used
    7:69 [steps.b.stdout] `steps` cannot be used here | which steps there are, and what is watched, is known before the run: only `vars` and `item` may be used

    7:53 [] the expression ends too early
    7:67 ['x'] expected a list, or how many cells there are | such as `["one", "two"]`, `3`, or `"${vars.volumes}"`

    7:30 [vars.x] there is no var `x` | there is `file_name`
    7:55 [${] the `${` that begins here is not closed | a literal `${` is written `$${`
    7:72 [o.z] `o` is for conditions: no object is looked at here

    7:54 [vars.x] there is no var `x` | there is `file_name`

    7:65 [o.x] `o` is for conditions: no object is looked at here

    7:34 ['vars.file_name'] expected bool, found string, in `vars.file_name`

    7:48 ['${vars.file_name}'] expected a number of rounds from 1 to 20000, found "x"
    8:48 [0] there are no rounds: `times` is 0 | leave the step out with `if`

    7:40 ['${vars.file_name}'] expected a list, or how many cells there are, found "x"
    8:40 [['x', 'x']] the cell `x` is there twice

    7:26 [foo] there is no function `foo` | a literal `${` is written `$${`
    7:62 [] the expression ends too early | a literal `${` is written `$${`
    "#);
}

/// One slip is one problem: nothing is told that follows from it.
#[test]
fn what_follows_from_a_mistake_is_not_told() {
    let verb = "command.args = ['x']";
    let cases = [
        "a = { V }\nb = { neds = ['a'], command.args = ['${steps.a.stdout}'] }",
        "a = { V }\nbb = { needs = ['aa'], command.args = ['${steps.a.stdout}'] }",
        "a = { V }\nb = { needs = 'a', command.args = ['${steps.a.stdout}'] }",
        "a = { for-eahc = 3, command.args = ['${item}'] }\nb = { needs = ['a'], command.args = ['${steps.a[1].stdout}'] }",
        "a = { for-each = '${vars.', command.args = ['${item}'] }",
        "a = { repeat = { times = '${' }, command.args = ['${string(round)}'] }",
        "a = { part = { file = 'v.toml', with = { n = '${' } } }",
        "a = { comand = { args = ['x'] } }\nb = { needs = ['a'], command.args = ['${steps.a.stdout}'] }",
    ];
    let mut said = String::new();
    for case in cases {
        let plan = format!("plan.name = 'p'\n[steps]\n{}", case.replace('V', verb));
        let files = [
            ("p.toml", plan.as_str()),
            ("v.toml", "[vars]\nn = { required = true }\nm = '${vars.'\n[steps]\na.command.args = ['${vars.m}']"),
        ];
        said.push_str(&lines(&files, &Settings::default()));
        said.push('\n');
    }
    insta::assert_snapshot!(said, @r"
    p.toml:4:7 [neds] `neds` is neither a key of a step nor a verb | did you mean `needs`?

    p.toml:4:17 ['aa'] there is no step `aa` beside `bb` | did you mean `a`?

    p.toml:4:15 ['a'] expected a list of texts, found a text

    p.toml:3:7 [for-eahc] `for-eahc` is neither a key of a step nor a verb | did you mean `for-each`?

    p.toml:3:19 [${] the `${` that begins here is not closed | a literal `${` is written `$${`

    p.toml:3:27 [${] the `${` that begins here is not closed | a literal `${` is written `$${`

    p.toml:3:47 [${] the `${` that begins here is not closed | a literal `${` is written `$${`
    v.toml:3:6 [${] the `${` that begins here is not closed | a literal `${` is written `$${`

    p.toml:3:7 [comand] `comand` is neither a key of a step nor a verb | did you mean `command`?
    ");
}

#[test]
fn selections() {
    let cases = [
        "a.resource = 'pdos'\nb.resource = 'backingimages'\nc = {}\nd = 3",
        "a = { resource = 'pods', labels = 'a b', fields = 'x' }",
        "a = { resource = 'pods', name = 'x', labels = 'a=b' }",
        "a = { on = 'b', resource = 'pods' }\nb = { on = 'a' }\nc = { on = 'c' }\nd = { on = 'bb' }",
        "a = { resource = 'pods', each = 'o.x', where = 'key == 1', lables = 'x' }",
        "a = { resource = 'pods', name = '${vars.x}', where = 'o.x == steps.a' }",
    ];
    let cases: Vec<String> =
        cases.iter().map(|case| format!("[steps]\na.command.args = ['x']\n[objects]\n{case}")).collect();
    let cases: Vec<&str> = cases.iter().map(String::as_str).collect();
    insta::assert_snapshot!(table(&cases), @r#"
    5:14 ['pdos'] `pdos` is not a built-in kind of object | did you mean `pods`?
    6:14 ['backingimages'] `backingimages` is not a built-in kind of object | a kind that is not built in is written with its group, like `volumes.longhorn.io`
    7:1 [c] `c` selects nothing: `resource` is missing | name a kind (`resource = "pods"`), or another selection (`on`)
    8:5 [3] a selection is a table, found a whole number | such as `{ resource = "pods", labels = "app=web" }`

    5:35 ['a b'] `a b` in the label selector names no label | write it like `app=web`, `app in (web, db)` or `!canary`
    5:51 ['x'] `x` in the field selector compares nothing | write it like `status.phase=Running`

    5:26 [name] a name and a selector exclude each other: the name alone decides | keep one of them

    5:17 [resource] `resource` asks the API server, but `a` is made from another selection (`on`) | narrow it down with `where`
    6:12 ['a'] selections are made from each other: a -> b -> a
    7:12 ['c'] `c` is made from itself
    8:12 ['bb'] there is no selection `bb` | did you mean `b`?

    5:26 [each] `each` needs `on`: it takes the entries of a map inside another selection's objects | declare the objects as a selection of their own and name it under `on`
    5:60 [lables] there is no key `lables` here | did you mean `labels`?

    5:36 [vars.x] there is no var `x` | declare it: `[vars]` with `x = …`
    5:62 [steps.a] `steps` cannot be used here: only `vars`
    "#);
}

#[test]
fn vars() {
    let cases = [
        "a = '${vars.b}'\nb = '${vars.c}'\nc = '${vars.a}'",
        "a-b = 1\nc = { default = 1, required = true }\nd = { required = false }\ne = { env = 'E' }\nf = { secret = 'x', default = 1 }",
        "a = '${vars.x}'\nb = \"${1 / 0}\"\nc = '${steps.a.x}'\nd = '${run.dir}/x'",
    ];
    let cases: Vec<String> =
        cases.iter().map(|case| format!("[steps]\na.command.args = ['x']\n[vars]\n{case}")).collect();
    let cases: Vec<&str> = cases.iter().map(String::as_str).collect();
    insta::assert_snapshot!(table(&cases), @r#"
    5:1 [a] vars are made of each other: a -> b -> c -> a
    5:5 ['${vars.b}'] no such key: `b`, in `vars.b`
    6:5 ['${vars.c}'] no such key: `c`, in `vars.c`
    7:5 ['${vars.a}'] no such key: `a`, in `vars.a`

    5:1 [a-b] `a-b` cannot be the name of a var | expressions would read the dash as a minus; write `_`
    6:20 [required] `c` has a default and is required: one of them says nothing | leave out `default` if it must be given, else `required`
    7:1 [d] `d` has no value | give it with `--set d=…`
    7:7 [required] `d` is not required and has no default: what is it when nobody gives it? | write `default`
    8:1 [e] `e` has no value | give it with `--set e=…`, or set `$E`
    9:16 ['x'] expected `true` or `false`, found the text "x"

    5:8 [vars.x] there is no var `x` | did you mean `a`?
    6:5 ["${1 / 0}"] division by zero, in `1 / 0`
    7:8 [steps.a.x] `steps` cannot be used here: only `vars`
    8:8 [run.dir] `run` cannot be used here: only `vars`
    "#);
}

#[test]
fn syntax_errors_hide_what_follows_from_them() {
    insta::assert_snapshot!(table(&[
        "[steps.a\ncommand = [",
        "[steps.a]\ncommand.args = ['x'\ntiemout = 3",
        "[steps.a]\nx = 1\nx = 2\n[steps.a]",
        "a = '\u{1}'",
        "[steps.a]\nx = 99999999999999999999\ny = \"\\q\"",
    ]), @r#"
    2:9 [] unclosed table, expected `]`
    3:12 [] unclosed array, expected `]`

    4:1 [] missing comma between array elements, expected `,`

    4:1 [x] this key is there twice in one table
    5:8 [a] this key is there twice in one table

    2:6 [] invalid literal string, expected non-single-quote visible characters

    3:5 [99999999999999999999] the number is too large: whole numbers have 64 bits
    4:7 [] missing escaped value, expected `b`, `e`, `f`, `n`, `r`, `\`, `"`, `x`, `u`, `U`
    "#);
}

#[test]
fn files_that_cannot_be_read() {
    let one = |path: &str, text: &str| lines(&[(path, text)], &Settings::default());
    insta::assert_snapshot!([one("p.toml", ""), one("p.toml", "# nothing\n"), one("p.toml", "\u{feff}plan.name = 'p'")].concat(), @r"
    1:1 [] `p.toml` is empty | a plan begins with `[plan]` and has steps such as `[steps.install]`
    1:1 [] `p.toml` is empty | a plan begins with `[plan]` and has steps such as `[steps.install]`
    1:1 [] the plan has no steps | a step is a table such as `[steps.install]`
    ");
}

#[test]
fn deep_nesting_does_not_reach_the_stack() {
    let plan = "plan.name = 'p'\n";
    for deep in [
        format!("{plan}a = {}", "[".repeat(1 << 19)),
        "[".repeat((1 << 20) - 1),
        format!("{plan}a = {}", "{a=".repeat(1 << 18)),
        format!("{plan}{}x = 1", "a.".repeat(1 << 18)),
        format!("{plan}[{}x]", "a.".repeat(1 << 18)),
        format!("{plan}[steps.a{}]", ".steps.a".repeat(1 << 16)),
        format!("{plan}[steps]\na.command.args = ['${{{}1}}']", "(".repeat(1 << 16)),
    ] {
        let said = bad(&deep);
        assert!(said.starts_with("error: ") && said.len() < 20_000, "{}", &said[..said.len().min(2000)]);
    }
}

#[test]
fn ten_mistakes_are_ten_problems() {
    let path = Path::new("tests/plans/ten-mistakes.toml");
    let problems = load(&super::super::Disk, path, &Settings::default()).unwrap_err();
    assert_eq!(problems.list.len(), 10);
    insta::assert_snapshot!(problems.draw(false), @r#"
    error: there is no var `releese`
     --> tests/plans/ten-mistakes.toml:6:24
      |
    6 | title     = "Restart ${vars.releese}"
      |                        ^^^^^^^^^^^^
      |
      = help: did you mean `release`?

    error: `pdos` is not a built-in kind of object
      --> tests/plans/ten-mistakes.toml:14:12
       |
    14 | resource = "pdos"
       |            ^^^^^^
       |
       = help: did you mean `pods`?

    error: `tiemout` is neither a key of a step nor a verb
      --> tests/plans/ten-mistakes.toml:21:1
       |
    21 | tiemout      = "15m"
       | ^^^^^^^
       |
    help: did you mean `timeout`?
       |
    21 - tiemout      = "15m"
    21 + timeout      = "15m"
       |

    error: there is no step `instal` beside `kill`
      --> tests/plans/ten-mistakes.toml:25:13
       |
    25 | needs    = ["instal"]
       |             ^^^^^^^^
       |
       = help: did you mean `install`?

    error: expected `"all"`, a number, or a share such as `"50%"`
      --> tests/plans/ten-mistakes.toml:26:35
       |
    26 | pod-kill = { on = "pods", which = "al", grace = "0s" }
       |                                   ^^^^

    error: `3 minuets` is not a duration; write it like `90s`, `5m`, `1h30m` or `250ms`
      --> tests/plans/ten-mistakes.toml:30:11
       |
    30 | timeout = "3 minuets"
       |           ^^^^^^^^^^^

    error: `pod-kill` has no output `uid`
      --> tests/plans/ten-mistakes.toml:31:66
       |
    31 | wait    = { on = "pods", that = "ready(o) && !(o.metadata.uid in steps.kill.uid)", count = "${steps.kill.count}" }
       |                                                                  ^^^^^^^^^^^^^^
       |
       = help: did you mean `uids`?

    error: steps need each other in a circle: managers -> verify -> managers
      --> tests/plans/ten-mistakes.toml:34:18
       |
    34 | needs = ["back", "verify"]
       |                  ^^^^^^^^

    error: `objects.image-managers` reads as a subtraction
      --> tests/plans/ten-mistakes.toml:35:47
       |
    35 | wait  = { on = "image-managers", that = "size(objects.image-managers) > 0" }
       |                                               ^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: a dash in a name is written `_`: `objects.image_managers`

    error: `verify` has `exec` and `sleep`
      --> tests/plans/ten-mistakes.toml:40:1
       |
    40 | sleep = { for = "10s", because = "caches" }
       | ^^^^^
       |
       = help: a step has exactly one verb, `steps`, or `part`; make two steps of it

    10 problems in tests/plans/ten-mistakes.toml
    "#);
    assert!(problems.draw(true).contains("\u{1b}["), "colours only when they are asked for");
}
