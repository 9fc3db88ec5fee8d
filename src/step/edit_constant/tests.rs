use std::os::unix::fs::PermissionsExt as _;

use futures::FutureExt as _;

use super::super::alone::{Alone, told};
use super::*;

async fn edit(alone: &mut Alone, arguments: Value) -> Result<Done, Error> {
    alone.act::<EditConstant>(arguments, |args, ctx| act(args, ctx).boxed()).await
}

const SOURCE: &str =
    "package meta\n\nconst (\n\tCurrentVersion    = 12\n\tMinVersion        = 11\n\tName = \"bim\" // a name\n)\n";

#[tokio::test]
async fn a_number_is_raised() {
    let mut alone = Alone::new();
    let path = alone.file("src/version.go", SOURCE);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let arguments = json!({ "file": "src/version.go", "name": "CurrentVersion", "add": 1 });
    let done = edit(&mut alone, arguments.clone()).await.unwrap();
    assert_eq!(Value::from(done.outputs.clone()), json!({ "old": 12, "new": 13 }));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), SOURCE.replace("12", "13"));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    insta::assert_snapshot!(alone.notes(), @r#"
    [src/version.go]
    @@ -1,7 +1,7 @@
     package meta
     
     const (
    -	CurrentVersion    = 12
    +	CurrentVersion    = 13
     	MinVersion        = 11
     	Name = "bim" // a name
     )
    "#);
    // The same step again: what it did is not done twice.
    let again = edit(&mut alone, arguments).await.unwrap();
    assert_eq!(again.outputs, done.outputs);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), SOURCE.replace("12", "13"));
    assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left beside it");
}

#[tokio::test]
async fn a_text_is_replaced_through_a_link() {
    let mut alone = Alone::new();
    let path = alone.file("real.go", SOURCE);
    let link = alone.folder.path().join("link.go");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let done = edit(&mut alone, json!({ "file": "link.go", "name": "Name", "to": "\"other\"" })).await.unwrap();
    assert_eq!(Value::from(done.outputs), json!({ "old": "bim", "new": "other" }));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), SOURCE.replace("\"bim\"", "\"other\""));
    assert!(link.is_symlink());
    edit(&mut Alone::new(), json!({ "file": path, "name": "Name", "to": "\"other\"" })).await.unwrap();
}

#[tokio::test]
async fn what_is_refused_changes_nothing() {
    let mut alone = Alone::new();
    let twice = format!("{SOURCE}MinVersion = 3\n");
    let path = alone.file("a.go", &twice);
    alone.file("binary", "\u{0}");
    std::fs::write(alone.folder.path().join("binary"), [0xff, 0xfe]).unwrap();
    let mut said = async |arguments: Value| told(edit(&mut alone, arguments).await.unwrap_err());
    insta::assert_snapshot!(said(json!({ "file": "a.go", "name": "MinVersion", "add": 1 })).await, @"
    refused: `a.go` has `MinVersion` 2 times, in lines 5 and 8
    expected exactly one
    ");
    insta::assert_snapshot!(said(json!({ "file": "a.go", "name": "CurentVersion", "add": 1 })).await, @"refused: `a.go` has no constant `CurentVersion`; did you mean `CurrentVersion`?");
    insta::assert_snapshot!(said(json!({ "file": "a.go", "name": "Nothing", "add": 1 })).await, @"refused: `a.go` has no constant `Nothing`");
    insta::assert_snapshot!(said(json!({ "file": "a.go", "name": "Name", "add": 1 })).await, @r#"
    refused: `Name` in `a.go`, line 6, is `"bim"`, to which nothing can be added
    expected a whole number
    "#);
    insta::assert_snapshot!(said(json!({ "file": "a.go", "name": "Name" })).await, @"broken: either `add` or `to` says what the constant becomes");
    insta::assert_snapshot!(said(json!({ "file": "a.go", "name": "Name", "add": 1, "to": "2" })).await, @"broken: either `add` or `to` says what the constant becomes");
    insta::assert_snapshot!(said(json!({ "file": "gone.go", "name": "Name", "add": 1 })).await, @"missing: the file `gone.go` is not there");
    insta::assert_snapshot!(said(json!({ "file": "binary", "name": "Name", "add": 1 })).await, @"broken: `binary` can't be read: stream did not contain valid UTF-8");
    insta::assert_snapshot!(said(json!({ "file": ".", "name": "Name", "add": 1 })).await, @"broken: `.` can't be read: Is a directory (os error 21)");
    assert_eq!(std::fs::read_to_string(path).unwrap(), twice);
}

#[test]
fn numbers_keep_their_type() {
    let cases = [("12", 1, Some("13")), ("1_000u32", -1, Some("999u32")), ("-1", 1, Some("0")), ("0x10", 1, None)];
    for (old, add, new) in cases {
        assert_eq!(Change::Add(add).of(old).as_deref(), new, "{old}");
    }
    assert_eq!(Change::Add(1).of(&i64::MAX.to_string()), None);
}
