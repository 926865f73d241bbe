//! What keeps a server from starting: one clear sentence each, and nothing half started.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use suibi_net::UdpSocket;
use suibi_server::plain::{Reply, Words};
use suibi_server::{Config, Listen, ServeErrorKind, Server};
use support::{Running, config, plain};

fn coap(data_dir: &Path, address: &str) -> Config {
    let mut config = Config::new(data_dir);
    config.coap.push(Listen { address: address.to_owned() });
    config
}

#[track_caller]
fn refused(config: Config, kind: ServeErrorKind, sentence: &str) {
    let dir = config.data_dir.clone();
    let error = Server::bind(config).err().expect("it starts");
    assert_eq!((error.kind(), error.to_string().as_str()), (kind, sentence));
    assert_eq!(suibi_server::running(&dir).unwrap(), None);
}

#[test]
fn an_address_that_cannot_be_had_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let taken = UdpSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap().local_address();
    let _holder = UdpSocket::bind(taken).unwrap();
    refused(
        coap(dir, &taken.to_string()),
        ServeErrorKind::Network,
        &format!("cannot listen on {taken}: another program uses this port"),
    );
    refused(
        coap(dir, "192.0.2.1:5683"),
        ServeErrorKind::Network,
        "cannot listen on 192.0.2.1:5683: this machine does not have that address",
    );
    refused(
        coap(dir, "no-such-host.invalid:5683"),
        ServeErrorKind::Network,
        "cannot listen on «no-such-host.invalid:5683»: the name «no-such-host.invalid» does not resolve",
    );
    refused(
        coap(dir, "127.0.0.1:port"),
        ServeErrorKind::Usage,
        "cannot listen on «127.0.0.1:port»: «port» in «127.0.0.1:port» is no port; ports are numbers \
         from 0 to 65535",
    );
    refused(
        coap(dir, ""),
        ServeErrorKind::Usage,
        "cannot listen on «»: an empty address; write HOST:PORT, as in 127.0.0.1:5683",
    );
    refused(
        coap(dir, "127.0.0.1:5000,reply=never"),
        ServeErrorKind::Usage,
        "cannot listen on «127.0.0.1:5000,reply=never»: options after a comma are for --plain only; \
         leave them out here",
    );
    refused(
        Config::new(dir),
        ServeErrorKind::Usage,
        "there is nothing to listen on; name a CoAP or a plain listener",
    );
}

#[test]
fn a_failed_start_leaves_no_listener_behind() {
    let dir = tempfile::tempdir().unwrap();
    let free = UdpSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap().local_address();
    let mut config = coap(dir.path(), &free.to_string());
    config.coap.push(Listen { address: "192.0.2.1:5683".to_owned() });
    assert!(Server::bind(config).is_err());
    assert!(UdpSocket::bind(free).is_ok());
}

#[test]
fn a_failed_start_makes_no_file_and_no_directory() {
    let dir = tempfile::tempdir().unwrap();
    let new = dir.path().join("new");
    let taken = UdpSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    for address in [taken.local_address().to_string(), "192.0.2.1:5683".to_owned()] {
        for data_dir in [dir.path(), &new] {
            let error = Server::bind(coap(data_dir, &address)).err().unwrap();
            assert_eq!(error.kind(), ServeErrorKind::Network, "{error}");
        }
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn another_server_of_the_same_data_is_named_before_its_port() {
    let dir = tempfile::tempdir().unwrap();
    let first = Running::start(config(dir.path()));
    let second = coap(dir.path(), &first.coap[0].to_string());
    let error = Server::bind(second).err().unwrap();
    assert_eq!(error.kind(), ServeErrorKind::InUse, "{error}");
}

#[test]
fn the_files_in_an_open_data_directory_are_for_their_owner_alone() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    drop(Running::start(config(dir.path())));
    let lock = fs::metadata(dir.path().join("server.lock")).unwrap();
    assert_eq!(lock.permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_plain_listener_beyond_loopback_needs_a_word() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = Config::new(dir.path());
    config.plain.push(plain(Words::Course, Reply::Auto));
    config.plain[0].address = ":0".to_owned();
    refused(
        config.clone(),
        ServeErrorKind::Usage,
        "0.0.0.0:0 can be reached from other machines, and the plain dialect is open to everybody who \
         reaches it; use 127.0.0.1, or allow it with --plain-anyone",
    );
    config.plain[0].anyone = true;
    let server = Server::bind(config).unwrap();
    assert!(
        server.listeners()[0]
            .to_string()
            .ends_with(", unprotected, open to everybody who reaches any address of this machine")
    );
}

#[test]
fn a_history_datagram_has_its_bounds() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path());
    config.plain[0].rules.max_bytes = 65_508;
    refused(config, ServeErrorKind::Usage, "a history datagram has 1 to 65507 bytes, not 65508");
}

#[test]
fn a_new_data_directory_is_for_its_owner_alone() {
    let dir = tempfile::tempdir().unwrap();
    let data_dir = dir.path().join("a/b");
    drop(Running::start(config(&data_dir)));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&dir.path().join("a")), mode(&data_dir)), (0o700, 0o700));
}

#[test]
fn a_data_directory_that_cannot_be_written_is_named() {
    // /proc can be written by nobody, whatever rights the tests have.
    let error = Server::bind(config(Path::new("/proc/suibi"))).err().unwrap();
    assert_eq!(error.kind(), ServeErrorKind::Data);
    let sentence = error.to_string();
    assert!(sentence.starts_with("the data directory /proc/suibi cannot be used: "), "{sentence}");
    assert!(sentence.ends_with("; mend that, or choose another one with --data-dir"), "{sentence}");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    refused_only(&file, "a file is in its place");
    refused_only(&file.join("below"), "a file is in its place");
}

#[track_caller]
fn refused_only(data_dir: &Path, reason: &str) {
    let error = Server::bind(config(data_dir)).err().unwrap();
    assert_eq!(error.kind(), ServeErrorKind::Data);
    assert_eq!(
        error.to_string(),
        format!(
            "the data directory {} cannot be used: {reason}; mend that, or choose another one with --data-dir",
            data_dir.display()
        )
    );
}

#[test]
fn a_file_that_is_no_database_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("server.db");
    fs::write(&path, "something else entirely, and precious").unwrap();
    let error = Server::bind(config(dir.path())).err().unwrap();
    assert_eq!(error.kind(), ServeErrorKind::Data);
    assert!(error.to_string().contains("cannot be opened"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"something else entirely, and precious");
}

#[test]
fn a_directory_that_others_may_enter_is_closed_or_refused_with_what_to_do() {
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    let open = |dir: &Path, mode| {
        fs::set_permissions(dir, fs::Permissions::from_mode(mode)).unwrap();
    };
    let dir = tempfile::tempdir().unwrap();
    Running::start(config(dir.path())).stop();
    open(dir.path(), 0o755);
    Running::start(config(dir.path())).stop();
    assert_eq!(mode(dir.path()), 0o700, "it holds nothing but notes");

    open(dir.path(), 0o777);
    let shown = dir.path().display();
    refused(
        config(dir.path()),
        ServeErrorKind::Data,
        &format!(
            "the data directory {shown} cannot be used: other users of this machine may write there (mode 777), and \
             what is in it may be theirs: look, then chmod 700 {shown}; mend that, or choose another one with \
             --data-dir"
        ),
    );
    assert_eq!(mode(dir.path()), 0o777, "it stays as it is");

    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("letter"), "").unwrap();
    open(home.path(), 0o750);
    let shown = home.path().display();
    refused(
        config(home.path()),
        ServeErrorKind::Data,
        &format!(
            "the data directory {shown} cannot be used: other users of this machine may look into it (mode 750), and \
             it has other things in it than notes: chmod 700 {shown}; mend that, or choose another one with --data-dir"
        ),
    );
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1, "nothing is made there");
}

#[test]
fn a_lock_file_is_made_private_and_a_link_in_its_place_is_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let lock = dir.path().join("server.lock");
    fs::write(&lock, "").unwrap();
    fs::set_permissions(&lock, fs::Permissions::from_mode(0o666)).unwrap();
    let server = Running::start(config(dir.path()));
    assert_eq!(fs::metadata(&lock).unwrap().permissions().mode() & 0o7777, 0o600);
    // Whoever reads it would be the owner: so it is not believed any more.
    fs::set_permissions(&lock, fs::Permissions::from_mode(0o644)).unwrap();
    let error = suibi_server::running(dir.path()).unwrap_err().to_string();
    assert!(
        error.starts_with("server.lock is open to other users of this machine (mode 644)"),
        "{error}"
    );
    server.stop();

    let target = dir.path().join("precious");
    fs::write(&target, "precious").unwrap();
    fs::remove_file(&lock).unwrap();
    std::os::unix::fs::symlink(&target, &lock).unwrap();
    let error = Server::bind(config(dir.path())).err().unwrap().to_string();
    assert!(error.contains("server.lock is a symbolic link; remove it"), "{error}");
    assert!(suibi_server::running(dir.path()).is_err());
    assert_eq!(fs::read(&target).unwrap(), b"precious");
}
