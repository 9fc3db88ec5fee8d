use std::sync::LazyLock;

use regex::Regex;

/// A text without the names that differ from run to run.
pub(crate) fn general(text: &str) -> String {
    static RULES: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
        let rules = [
            (r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "DISK"),
            (r"\bbim-[0-9a-f]{56}\b", "BIM"),
            (r"\bdefault-disk-[0-9a-f]+\b", "DISK"),
            (r"\bei-[0-9a-f]{8}\b", "EI"),
            (r"\bUUID to [0-9a-f]{8}\b", "UUID to UUID"),
            (r"\b(\d{1,3}\.){3}\d{1,3}(:\d+)?\b", "ADDRESS"),
            (r"\blonghorn-manager-[a-z0-9]{5}\b", "POD"),
            (r"\b(docker\.io/)?(longhornio/[a-z-]+):[A-Za-z0-9._-]+", "$2:TAG"),
            (r"\bv1\.\d+\.\d+(-b)?\b", "VERSION"),
            (r"\bn[123]\b", "NODE"),
            (r"\bbacking image (small|large) in\b", "backing image IMAGE in"),
            (r"Size to \d+", "Size to BYTES"),
        ];
        rules.map(|(rule, with)| (Regex::new(rule).expect("the rule is one"), with)).to_vec()
    });
    let mut text = text.to_owned();
    for (rule, with) in RULES.iter() {
        text = rule.replace_all(&text, *with).into_owned();
    }
    text
}

#[test]
fn names_are_made_general() {
    let said = "Syncing backing image large in disk 2b5fa37b-421a-4100-96b6-64e8a7f2e27b on node n2 from \
                bim-fc6a80f996fb0f68d5e3db03de54ac403fb7872a9fbbd325627dbcac(10.244.1.8:8000)";
    assert_eq!(general(said), "Syncing backing image IMAGE in disk DISK on node NODE from BIM(ADDRESS)");
    let said = "Engine image ei-493e04e7 (docker.io/longhornio/longhorn-engine:v1.12.1) is fully deployed";
    assert_eq!(general(said), "Engine image EI (longhornio/longhorn-engine:TAG) is fully deployed");
}
