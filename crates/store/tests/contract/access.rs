//! Who may use the store: invites, devices, their rights and names, and the trail.

use suibi_journal::{AuditEntry, AuditKind, Query, Rights};
use suibi_store::{
    Access, AccessChange, AccessDone, AccessRefused, DeviceRow, InviteRow, Joiner, JournalId,
    Outcome, Reader, Store,
};

use crate::support::{Device, HERE, texts};

const NINE: &str = "2026-11-23T09:00:00.000+08:00";

/// The story of one access. `open` opens the same store each time, as a new process would.
pub(crate) fn tell(open: &dyn Fn() -> Box<dyn Store>) {
    nobody_is_known_at_first(&mut *open());
    an_invite_lets_one_device_in(open);
    what_is_not_right_is_refused(&mut *open());
    a_name_is_followed(&mut *open());
    a_device_is_cut_off(&mut *open());
    numbers_are_reserved(&mut *open());
    the_trail_is_in_order(&mut *open());
}

fn device(key_id: &[u8], name: &str) -> DeviceRow {
    DeviceRow {
        number: 0,
        key_id: key_id.to_vec(),
        name: name.to_owned(),
        journal: HERE,
        rights: Rights::READ_WRITE,
        secret: vec![0xab; 32].into(),
        salt: None,
        reserved: 0,
        joined: 2_000,
        revoked: None,
    }
}

fn invite(key_id: &[u8]) -> InviteRow {
    InviteRow {
        number: 0,
        key_id: key_id.to_vec(),
        secret: vec![0xcd; 16].into(),
        journal: HERE,
        rights: Rights::DROP,
        name: None,
        made: 1_000,
        expires: 9_000,
        joiner: None,
    }
}

fn entry(what: AuditKind, device: &str) -> AuditEntry {
    AuditEntry {
        at: 1_000,
        what,
        device: device.to_owned(),
        journal: "notes".to_owned(),
        address: "192.0.2.7:40112".to_owned(),
        detail: String::new(),
    }
}

/// Makes a change without an entry in the trail.
fn change(store: &mut dyn Store, change: AccessChange) -> Result<AccessDone, AccessRefused> {
    store.change_access(&change, None).unwrap()
}

fn add(store: &mut dyn Store, row: DeviceRow) -> Result<u32, AccessRefused> {
    change(store, AccessChange::AddDevice(row)).map(|done| done.device.unwrap())
}

fn find(access: &Access, number: u32) -> DeviceRow {
    access.devices.iter().find(|device| device.number == number).unwrap().clone()
}

fn nobody_is_known_at_first(store: &mut dyn Store) {
    let access = store.access().unwrap();
    let names: Vec<_> = access.journals.iter().map(|(id, name)| (*id, name.as_str())).collect();
    // The chapters before this one have added the second.
    assert_eq!(names, [(HERE, "notes"), (JournalId(2), "work")]);
    assert!(access.devices.is_empty() && access.invites.is_empty());
    assert!(store.reader().unwrap().audit(usize::MAX).unwrap().is_empty());
}

fn an_invite_lets_one_device_in(open: &dyn Fn() -> Box<dyn Store>) {
    let mut store = open();
    let made =
        AccessChange::AddInvite(InviteRow { name: Some("phone".to_owned()), ..invite(b"invite1") });
    let invited = entry(AuditKind::Invited, "phone");
    let number = store.change_access(&made, Some(&invited)).unwrap().unwrap().invite.unwrap();

    let mut store = open();
    let found = store.access().unwrap().invites.remove(0);
    assert_eq!((found.number, found.joiner), (number, None));
    assert_eq!((&found.key_id[..], &found.secret[..]), (&b"invite1"[..], &[0xcd; 16][..]));
    assert_eq!((found.name.as_deref(), found.rights), (Some("phone"), Rights::DROP));
    assert_eq!((found.made, found.expires), (1_000, 9_000));

    // What the device says of its rights and journal is not asked for.
    let row = DeviceRow { journal: JournalId(2), rights: Rights::ALL, ..device(b"dev1", "phone") };
    let join = |public: &[u8], own: &[u8], device: &DeviceRow| AccessChange::Join {
        invite: number,
        joiner_public: public.to_vec(),
        own_public: own.to_vec(),
        device: device.clone(),
    };
    let joined = entry(AuditKind::Joined, "phone");
    let change = join(b"joiner", b"own", &row);
    let done = store.change_access(&change, Some(&joined)).unwrap().unwrap();
    let phone = done.device.unwrap();
    let joiner = Joiner {
        public: b"joiner".to_vec(),
        own_public: b"own".to_vec(),
        device: phone,
        at: row.joined,
    };
    assert_eq!(done.joiner, Some(joiner.clone()));

    let mut store = open();
    let access = store.access().unwrap();
    let kept = DeviceRow { number: phone, rights: Rights::DROP, journal: HERE, ..row.clone() };
    assert_eq!(access.devices, [kept]);
    assert_eq!(access.invites[0].joiner, Some(joiner));

    // The answer was lost and is asked for again, with other keys on our side: the first ones count.
    let asked = join(b"joiner", b"another", &device(b"dev2", "phone"));
    assert_eq!(store.change_access(&asked, Some(&joined)).unwrap(), Ok(done));
    let by_another = join(b"thief", b"own", &device(b"dev3", "thief"));
    let used = Err(AccessRefused::Used { at: row.joined });
    assert_eq!(store.change_access(&by_another, Some(&joined)).unwrap(), used);
    assert_eq!(store.access().unwrap(), access);
    let trail = store.reader().unwrap().audit(usize::MAX).unwrap();
    assert_eq!(trail, [invited, joined], "once each");

    let drop = AccessChange::DropInvite(number);
    self::change(&mut *store, drop.clone()).unwrap();
    assert_eq!(self::change(&mut *store, drop), Err(AccessRefused::NoInvite));
    assert_eq!(self::change(&mut *store, asked), Err(AccessRefused::NoInvite));
    let access = open().access().unwrap();
    assert!(access.invites.is_empty());
    assert_eq!(access.devices.len(), 1, "who has joined stays");
    assert_eq!(access.devices[0].number, phone);

    // Numbers are not given a second time, so nobody answers to an old one.
    let made = self::change(&mut *store, AccessChange::AddInvite(invite(b"invite1"))).unwrap();
    assert!(made.invite.unwrap() > number);
}

fn what_is_not_right_is_refused(store: &mut dyn Store) {
    let before = (store.access().unwrap(), store.reader().unwrap().audit(usize::MAX).unwrap());
    let phone = before.0.devices[0].number;
    let waiting = before.0.invites[0].number;
    let unnamed = AccessRefused::BadName(suibi_journal::admission::NameError);
    let taken = AccessRefused::DeviceName("phone".to_owned());
    let long = "n".repeat(65);
    let mut refused = vec![
        (AccessChange::AddJournal { name: "notes".to_owned() }, {
            AccessRefused::JournalName("notes".to_owned())
        }),
        (AccessChange::AddDevice(device(b"dev9", "phone")), taken.clone()),
        (
            AccessChange::AddInvite(InviteRow {
                name: Some("phone".to_owned()),
                ..invite(b"inv9")
            }),
            taken.clone(),
        ),
        (
            AccessChange::Join {
                invite: waiting,
                joiner_public: b"joiner".to_vec(),
                own_public: b"own".to_vec(),
                device: device(b"dev9", "phone"),
            },
            taken,
        ),
        (AccessChange::AddDevice(device(b"dev1", "laptop")), AccessRefused::KeyId),
        (AccessChange::AddDevice(device(b"invite1", "laptop")), AccessRefused::KeyId),
        (AccessChange::AddInvite(invite(b"dev1")), AccessRefused::KeyId),
        (AccessChange::AddInvite(invite(b"invite1")), AccessRefused::KeyId),
        (AccessChange::AddDevice(device(b"", "laptop")), AccessRefused::BadKey),
        (AccessChange::AddDevice(device(b"too long", "laptop")), AccessRefused::BadKey),
        (
            AccessChange::AddDevice(DeviceRow {
                rights: Rights::default(),
                ..device(b"dev9", "laptop")
            }),
            AccessRefused::NoRights,
        ),
        (
            AccessChange::AddInvite(InviteRow { journal: JournalId(7), ..invite(b"inv9") }),
            AccessRefused::NoJournal,
        ),
        (AccessChange::Rename { device: 99, name: "x".to_owned() }, AccessRefused::NoDevice),
        (AccessChange::Revoke { device: 99, at: 1 }, AccessRefused::NoDevice),
        (AccessChange::Reserve { device: 99, up_to: 1 }, AccessRefused::NoDevice),
        (AccessChange::DropInvite(99), AccessRefused::NoInvite),
    ];
    for len in [0, 65] {
        let secret = vec![1; len];
        let row = DeviceRow { secret: secret.into(), ..device(b"dev9", "laptop") };
        refused.push((AccessChange::AddDevice(row), AccessRefused::BadKey));
    }
    for name in ["", "new\nline", "\u{1b}[31mred", " spaced ", &long] {
        let name = || name.to_owned();
        refused.push((AccessChange::AddJournal { name: name() }, unnamed.clone()));
        refused.push((AccessChange::AddDevice(device(b"dev9", &name())), unnamed.clone()));
        let rename = AccessChange::Rename { device: phone, name: name() };
        refused.push((rename, unnamed.clone()));
    }
    let audit = entry(AuditKind::Joined, "nobody");
    for (change, why) in refused {
        assert_eq!(store.change_access(&change, Some(&audit)).unwrap(), Err(why), "{change:?}");
    }
    let after = (store.access().unwrap(), store.reader().unwrap().audit(usize::MAX).unwrap());
    assert_eq!(after, before, "a refusal leaves no trace");

    let message = AccessRefused::DeviceName("phone".to_owned()).to_string();
    assert!(message.contains("phone") && message.contains("choose another name"), "{message}");
}

fn from(reader: &mut dyn Reader, device: &str) -> Vec<String> {
    texts(reader, Query { from: Some(device.to_owned()), ..Query::default() })
}

fn a_name_is_followed(store: &mut dyn Store) {
    let mut reader = store.reader().unwrap();
    let work = JournalId(2);
    let tablet = add(store, device(b"dev2", "tablet 1")).unwrap();
    // The same name in another journal is somebody else.
    let namesake = DeviceRow { journal: work, ..device(b"dev3", "tablet 1") };
    let namesake = add(store, namesake).unwrap();
    let mut here = Device { name: "tablet 1", ..Device::new("access here") };
    let mut again = Device { name: "tablet 1", ..Device::new("access again") };
    let mut there = Device { name: "tablet 1", ..Device::new("access there") };
    let pushes = vec![
        (HERE, here.note(80, NINE, "one")),
        (HERE, again.note(81, NINE, "two")),
        (work, there.note(82, NINE, "elsewhere")),
    ];
    let pushes: Vec<_> = pushes
        .into_iter()
        .map(|(journal, entry)| (journal, here.push(std::slice::from_ref(&entry))))
        .collect();
    let outcomes = store.commit(pushes).unwrap();
    assert!(outcomes.iter().all(|outcome| matches!(
        outcome,
        Outcome::Pushed(answers) if answers[0].is_ok()
    )));
    assert_eq!(from(&mut *reader, "tablet 1"), ["one", "two"]);
    let version = (reader.version(HERE).unwrap(), reader.version(work).unwrap());
    let head = reader.head(HERE).unwrap();

    let rename = |device, name: &str| AccessChange::Rename { device, name: name.to_owned() };
    let taken = AccessRefused::DeviceName("phone".to_owned());
    assert_eq!(change(store, rename(tablet, "phone")), Err(taken));
    let renamed = entry(AuditKind::Renamed, "slate");
    assert!(store.change_access(&rename(tablet, "slate"), Some(&renamed)).unwrap().is_ok());
    assert!(store.change_access(&rename(tablet, "slate"), Some(&renamed)).unwrap().is_ok());

    let access = store.access().unwrap();
    assert_eq!(find(&access, tablet).name, "slate");
    assert_eq!(find(&access, namesake).name, "tablet 1");
    assert_eq!(from(&mut *reader, "slate"), ["one", "two"]);
    assert!(from(&mut *reader, "tablet 1").is_empty());
    let heads = reader.heads(work).unwrap();
    let its_chain = heads.iter().find(|head| head.chain == there.chain).unwrap();
    assert_eq!(its_chain.device, "tablet 1");
    // Listings show it, so whoever knows them by their version has to be told; the feed is as it was.
    assert!(reader.version(HERE).unwrap() > version.0);
    assert_eq!(reader.version(work).unwrap(), version.1);
    assert_eq!(reader.head(HERE).unwrap(), head);
    let trail = reader.audit(2).unwrap();
    assert_eq!(trail[1], renamed);
    assert_ne!(trail[0], renamed, "to what it is called already: no entry");

    // What it writes next goes on in its chains, under the new name.
    let next = here.note(83, NINE, "three");
    let push = Device { name: "slate", ..here.clone() }.push(&[next]);
    store.commit(vec![(HERE, push)]).unwrap();
    assert_eq!(from(&mut *reader, "slate"), ["one", "two", "three"]);
}

fn a_device_is_cut_off(store: &mut dyn Store) {
    let lost = add(store, device(b"dev4", "lost")).unwrap();
    let row = find(&store.access().unwrap(), lost);
    change(store, AccessChange::Revoke { device: lost, at: 5_000 }).unwrap();
    change(store, AccessChange::Revoke { device: lost, at: 6_000 }).unwrap();
    let kept = find(&store.access().unwrap(), lost);
    assert_eq!(kept, DeviceRow { revoked: Some(5_000), ..row }, "the first time counts");

    let rename = AccessChange::Rename { device: lost, name: "found".to_owned() };
    assert_eq!(change(store, rename), Err(AccessRefused::Revoked { at: 5_000 }));
    // Its name is free, its key id is not.
    assert_eq!(add(store, device(b"dev4", "lost")), Err(AccessRefused::KeyId));
    let new = add(store, device(b"dev5", "lost")).unwrap();
    change(store, AccessChange::Revoke { device: new, at: 7_000 }).unwrap();
    let names = store.access().unwrap().devices;
    assert_eq!(names.iter().filter(|device| device.name == "lost").count(), 2);
}

fn numbers_are_reserved(store: &mut dyn Store) {
    let salt = Some(b"salt".to_vec());
    let row = DeviceRow { salt: salt.clone(), reserved: 16, ..device(b"\x07", "sensor") };
    let sensor = add(store, row).unwrap();
    for (up_to, reserved) in [(16, 16), (1 << 40, 1 << 40), (20, 1 << 40)] {
        change(store, AccessChange::Reserve { device: sensor, up_to }).unwrap();
        let row = find(&store.access().unwrap(), sensor);
        assert_eq!((row.reserved, &row.salt), (reserved, &salt), "{up_to}");
    }
}

fn the_trail_is_in_order(store: &mut dyn Store) {
    let mut reader = store.reader().unwrap();
    let before = reader.audit(usize::MAX).unwrap().len();
    let refusal = |number| AuditEntry {
        at: number,
        detail: "x".repeat(5000),
        ..entry(AuditKind::Refused("revoked".to_owned()), "lost")
    };
    for number in 0..5 {
        let change = AccessChange::AuditOnly;
        let done = store.change_access(&change, Some(&refusal(number))).unwrap();
        assert_eq!(done, Ok(AccessDone::default()));
    }
    let trail = reader.audit(usize::MAX).unwrap();
    assert_eq!(trail.len(), before + 5);
    let newest = reader.audit(2).unwrap();
    assert_eq!(newest, [refusal(3).shortened(), refusal(4).shortened()]);
    assert_eq!(newest, trail[trail.len() - 2..]);
    assert_eq!(reader.audit(0).unwrap(), []);
}
