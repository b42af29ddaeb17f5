//! Keys from their making to their end, on real files.

use std::{fs, os::unix::fs::PermissionsExt as _, sync::Arc};

use agent_server_domain::{auth::User, ports::Clock};
use tempfile::TempDir;

use super::{Digest, KeyFile, Keys, NewKey, State, secret};
use crate::tests::Hand;

/// A data folder, a server that looks into it, and a clock.
struct Folder {
    folder: TempDir,
    clock: Arc<Hand>,
    file: KeyFile,
}

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = KeyFile::of(folder.path());
        Self { folder, clock: Hand::new(), file }
    }

    fn server(&self) -> Keys {
        Keys::open(&self.file.path(), Arc::clone(&self.clock) as Arc<dyn Clock>).unwrap()
    }

    /// Makes a key of `bob` and returns it in clear.
    fn create(&self, name: &str, seconds: Option<i64>) -> String {
        let now = self.clock.now();
        let expires_at = seconds.map(|seconds| now + chrono::Duration::seconds(seconds));
        let (identity, permissions) = ("bob".into(), vec!["read".into()]);
        let new = NewKey { name: name.into(), identity, permissions, expires_at };
        self.file.create(new, now).unwrap().1.reveal().to_owned()
    }
}

fn bob() -> User {
    User::named("bob", vec!["read".into()])
}

#[test]
fn a_running_server_sees_keys_come_and_go() {
    let folder = Folder::new();
    let server = folder.server();
    let key = folder.create("ci", None);
    assert_eq!(server.authenticate(&key), Ok(bob()));
    let other = folder.create("other", None);
    assert_eq!(server.authenticate(&other), Ok(bob()));
    folder.file.revoke("ci", folder.clock.now()).unwrap();
    let id = secret::id(&key).unwrap();
    assert_eq!(server.authenticate(&key), Err(format!("API key {id} was revoked")));
    assert_eq!(server.authenticate(&other), Ok(bob()));
}

#[test]
fn a_key_ends_when_its_time_is_over() {
    let folder = Folder::new();
    let key = folder.create("short", Some(60));
    let server = folder.server();
    folder.clock.forward(59);
    assert_eq!(server.authenticate(&key), Ok(bob()));
    folder.clock.forward(1);
    let id = secret::id(&key).unwrap();
    assert_eq!(server.authenticate(&key), Err(format!("API key {id} has expired")));
    assert_eq!(folder.file.list().unwrap()[0].state(folder.clock.now()), State::Expired);
    // Its name is free again.
    folder.create("short", None);
}

#[test]
fn nearly_right_is_wrong() {
    let folder = Folder::new();
    let key = folder.create("ci", None);
    let server = folder.server();
    let id = secret::id(&key).unwrap();
    let last = if key.ends_with('0') { '1' } else { '0' };
    let other_end = format!("{}{last}", &key[..key.len() - 1]);
    let not_the_secret = format!("not the secret of API key {id}");
    assert_eq!(server.authenticate(&other_end), Err(not_the_secret.clone()));
    assert!(server.authenticate(&key.to_uppercase().replacen("AS_", "as_", 1)).is_err());
    for form in
        [&key[..key.len() - 1], &format!("{key}0"), "as_", &format!("as_{id}_"), &format!(" {key}")]
    {
        assert_eq!(server.authenticate(form), Err("an API key of the wrong form".into()), "{form}");
    }
    let nobodys = format!("as_zzzzzzzz_{}", &key[12..]);
    assert_eq!(server.authenticate(&nobodys), Err("there is no API key zzzzzzzz".into()));
}

#[test]
fn digests_are_compared_in_constant_time_or_not_at_all() {
    // Where a type has `==`, the constant of `impl` wins over the trait's.
    trait Otherwise {
        const HAS_EQ: bool = false;
    }
    struct Probe<T>(std::marker::PhantomData<T>);
    impl<T> Otherwise for Probe<T> {}
    #[allow(dead_code, reason = "not used as long as the test is right")]
    impl<T: PartialEq> Probe<T> {
        const HAS_EQ: bool = true;
    }
    assert_eq!((Probe::<String>::HAS_EQ, Probe::<Digest>::HAS_EQ), (true, false));
    let digest = Digest::of("a");
    assert!(digest.is_of("a") && !digest.is_of("b") && !Digest::nobodys().is_of("a"));
}

#[test]
fn keys_are_random_and_kept_as_hashes_that_others_cannot_read() {
    let folder = Folder::new();
    let keys: Vec<_> = (0..50).map(|number| folder.create(&number.to_string(), None)).collect();
    let content = fs::read_to_string(folder.file.path()).unwrap();
    for key in &keys {
        assert_eq!((key.len(), secret::id(key).map(str::len)), (55, Some(8)), "{key}");
        assert!(!content.contains(&key[12..]));
    }
    let different: std::collections::BTreeSet<_> = keys.iter().map(|key| &key[12..]).collect();
    assert_eq!(different.len(), keys.len());
    let mode = fs::metadata(folder.file.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // Nothing but the file and its lock is left in the folder.
    let mut names: Vec<_> = fs::read_dir(folder.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["keys.json", "keys.lock"]);
}

#[test]
fn processes_that_make_keys_at_once_lose_none() {
    let folder = Folder::new();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let folder = &folder;
            scope.spawn(move || {
                for number in 0..5 {
                    folder.create(&format!("{thread}-{number}"), None);
                }
            });
        }
    });
    assert_eq!(folder.file.list().unwrap().len(), 20);
}

#[test]
fn a_damaged_file_lets_nobody_in_and_nobody_start() {
    let folder = Folder::new();
    let key = folder.create("ci", None);
    let server = folder.server();
    assert_eq!(server.authenticate(&key), Ok(bob()));
    let right = fs::read_to_string(folder.file.path()).unwrap();
    let hash = &right[right.find("\"sha256\"").unwrap()..][11..20];
    for (content, cause) in [
        (right[..right.len() / 2].to_owned(), "the key file is damaged (line"),
        (String::new(), "the key file is damaged (line 1, column 0)"),
        (right.replace(hash, "zz"), "the key file is damaged (the hash of key"),
        (right.replace("\"version\": 1", "\"version\": 2"), "written by another version"),
        (right.replace("\"expires_at\"", "\"expires\""), "the key file is damaged (line"),
        ("[]".into(), "the key file is damaged (line"),
    ] {
        fs::write(folder.file.path(), &content).unwrap();
        let refused = server.authenticate(&key).unwrap_err();
        assert!(refused.contains("keys.json: ") && refused.contains(cause), "{refused}");
        let clock = Arc::clone(&folder.clock) as Arc<dyn Clock>;
        let start = Keys::open(&folder.file.path(), clock).err().unwrap().to_string();
        assert_eq!(start, refused);
        // Nor is it overwritten by the next change.
        assert_eq!(folder.file.revoke("ci", folder.clock.now()).unwrap_err().to_string(), refused);
        assert_eq!(fs::read_to_string(folder.file.path()).unwrap(), content);
    }
    fs::write(folder.file.path(), right).unwrap();
    assert_eq!(server.authenticate(&key), Ok(bob()));
    fs::remove_file(folder.file.path()).unwrap();
    let id = secret::id(&key).unwrap();
    assert_eq!(server.authenticate(&key), Err(format!("there is no API key {id}")));
    // What cannot be read is not absent.
    fs::create_dir(folder.file.path()).unwrap();
    assert!(server.authenticate(&key).unwrap_err().contains("keys.json: "));
}

#[test]
fn names_are_unique_and_readable() {
    let folder = Folder::new();
    folder.create("ci", None);
    let now = folder.clock.now();
    let refuse = |name: &str, identity: &str, permission: &str| {
        let (name, identity) = (name.into(), identity.into());
        let permissions = vec![permission.into()];
        let new = NewKey { name, identity, permissions, expires_at: None };
        folder.file.create(new, now).unwrap_err().to_string()
    };
    assert!(refuse("ci", "bob", "read").starts_with("there is a key named 'ci' already ("));
    assert!(refuse("", "bob", "read").starts_with("the name '' is empty"));
    assert!(refuse("a", " ", "read").starts_with("the identity ' ' is empty"));
    assert!(refuse("a\u{1b}[2J", "bob", "read").starts_with("the name 'a\\u{1b}[2J' is empty"));
    assert!(refuse("a", "bob", "x\n").starts_with("the permission 'x\\n' is empty"));
    let past = NewKey {
        name: "late".into(),
        identity: "bob".into(),
        permissions: vec![],
        expires_at: Some(now),
    };
    let error = folder.file.create(past, now).unwrap_err().to_string();
    assert_eq!(error, "the key would have expired already");
    assert_eq!(folder.file.list().unwrap().len(), 1);
}

#[test]
fn a_key_is_revoked_by_id_name_or_itself() {
    let folder = Folder::new();
    let now = folder.clock.now();
    let (first, second) = (folder.create("first", None), folder.create("second", None));
    folder.create("third", None);
    folder.file.revoke(secret::id(&first).unwrap(), now).unwrap();
    folder.file.revoke(&second, now).unwrap();
    folder.file.revoke("third", now).unwrap();
    let states: Vec<_> = folder.file.list().unwrap().iter().map(|key| key.state(now)).collect();
    assert_eq!(states, [State::Revoked; 3]);
    // Again is no error, and the first time counts.
    folder.clock.forward(5);
    let again = folder.file.revoke(&first, folder.clock.now()).unwrap();
    assert_eq!(again.revoked_at, Some(now));
    let unknown = folder.file.revoke("third", now).unwrap_err().to_string();
    assert_eq!(unknown, "there is no key 'third': agent-server keys list shows ids and names");
}
