//! Whatever is read, an answer comes back.

use proptest::prelude::*;

use super::*;

const GOOD: &str = include_str!("../../../plans/restart.toml");
const PART: &str = include_str!("../../../plans/parts/file-server.toml");
const YAML: &str = include_str!("../../../plans/parts/file-server.yaml");

/// Loads a text as a plan with a part beside it, and draws what is wrong.
fn survives(text: &str, part: &str, yaml: &str) {
    let files =
        [("plans/p.toml", text), ("plans/parts/file-server.toml", part), ("plans/parts/file-server.yaml", yaml)];
    if let Err(problems) = load_files(&files, &Settings::default()) {
        assert!(!problems.list.is_empty(), "a plan is refused for a reason");
        let _ = (problems.draw(false), problems.draw(true));
        for problem in &problems.list {
            let _ = problems.position(problem);
        }
    }
}

/// Pieces that plans are made of, and pieces that break them.
fn piece() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "[plan]\n",
        "name = 'p'\n",
        "[vars]\n",
        "[objects]\n",
        "[steps.a]\n",
        "[steps.a.steps.b]\n",
        "[outputs]\n",
        "[checks.x]\n",
        "needs = ['a']\n",
        "needs = [",
        "'b']\n",
        "command = { args = ['x'] }\n",
        "command.args = ['${",
        "steps.a.stdout}']\n",
        "wait = { on = 'o', that = '",
        "o.x == 1' }\n",
        "part.file = 'parts/file-server.toml'\n",
        "part = { file = 'p.toml', with = { x = '${vars.x}' } }\n",
        "for-each = '${vars.x}'\n",
        "for-each = 3\n",
        "repeat = { times = 3 }\n",
        "repeat.times = '${item}'\n",
        "if = 'vars.x'\n",
        "when = 'always'\n",
        "x = 1\n",
        "x = '${vars.x}'\n",
        "o = { resource = 'pods' }\n",
        "o = { on = 'o' }\n",
        "background.until = 'a'\n",
        "\"",
        "'''",
        "{",
        "}",
        "[",
        "]",
        "=",
        "${",
        "}",
        "\n",
        "\r\n",
        "#",
        "\u{0}",
        "\u{feff}",
        "ä€",
        ".",
        ",",
        "1e999",
        "-",
        "0x",
        "1979-05-27",
        "inf",
        "true",
        "retry = { attempts = 2 }\n",
        "timeout = '1s'\n",
        "steps = { b = { sleep = 3 } }\n",
    ]);
    prop_oneof![9 => words.prop_map(str::to_owned), 1 => any::<char>().prop_map(String::from)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_answered(pieces in prop::collection::vec(piece(), 0..60)) {
        survives(&pieces.concat(), PART, YAML);
    }

    #[test]
    fn a_plan_with_a_piece_put_in_or_taken_out_is_answered(at in 0..GOOD.len(), length in 0..40usize, piece in piece()) {
        let floor = |mut at: usize| { while !GOOD.is_char_boundary(at) { at -= 1; } at };
        let (from, to) = (floor(at), floor((at + length).min(GOOD.len())));
        survives(&format!("{}{piece}{}", &GOOD[..from], &GOOD[to..]), PART, YAML);
    }

    #[test]
    fn any_objects_are_answered(text in "[-a-z:\\[\\]{}'\"|> \n$&*!#]{0,60}") {
        survives("plan.name = 'p'\n[steps.a]\napply.file = 'parts/file-server.yaml'", "", &text);
    }
}

#[test]
fn a_plan_that_is_cut_anywhere_is_answered() {
    let cuts = |text: &'static str| (0..text.len()).filter(|at| text.is_char_boundary(*at));
    cuts(GOOD).step_by(23).for_each(|at| survives(&GOOD[..at], PART, YAML));
    cuts(PART).step_by(17).for_each(|at| survives(GOOD, &PART[..at], YAML));
    cuts(YAML).step_by(17).for_each(|at| survives(GOOD, PART, &YAML[..at]));
}

#[test]
fn bytes_that_are_no_text_are_answered() {
    struct Bytes(Vec<u8>);
    impl super::super::Files for Bytes {
        fn read(&self, _: &Path) -> std::io::Result<Vec<u8>> {
            Ok(self.0.clone())
        }
        fn is_there(&self, _: &Path) -> bool {
            false
        }
        fn beside(&self, _: &Path) -> Vec<String> {
            Vec::new()
        }
    }
    for at in 0..GOOD.len().min(400) {
        let mut bytes = GOOD.as_bytes().to_vec();
        bytes[at] = 0xff;
        let said = load(&Bytes(bytes), Path::new("p.toml"), &Settings::default()).unwrap_err().draw(false);
        assert_eq!(
            said.lines().next().unwrap(),
            format!("error: `p.toml` is not UTF-8: byte {at} does not belong to any character")
        );
    }
}

#[test]
fn a_plan_of_ten_thousand_steps_is_read_in_one_go() {
    let mut text = String::from("plan.name = 'p'\n[steps]\ns0.command.args = ['x']\n");
    for step in 1..10_000 {
        writeln!(text, "s{step} = {{ needs = ['s{}'], command.args = ['${{steps.s{}.stdout}}'] }}", step - 1, step - 1)
            .unwrap();
    }
    let plan = good(&text);
    assert_eq!(plan.nodes().len(), 10_000);
    assert_eq!(plan.steps[9_999].scope.steps.len(), 1);
}

#[test]
fn too_many_steps_are_told_and_not_made() {
    let said = lines(
        &[(
            "p.toml",
            "plan.name = 'p'\n[steps.a]\nfor-each = 200\nrepeat.times = 100\nsteps.b = { for-each = 3, command.args = ['x'] }",
        )],
        &Settings::default(),
    );
    insta::assert_snapshot!(said, @"5:7 [b] the plan comes to more than 20000 steps | cells, rounds and the steps inside them are all counted");
}
