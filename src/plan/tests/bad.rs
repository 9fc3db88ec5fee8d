use super::*;

#[test]
fn one() {
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
