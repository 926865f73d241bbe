//! Who may use the store: journals, devices, invites, and the trail of what became of them.
//!
//! Everything is checked before anything is written, so a refusal leaves no trace.

use rusqlite::{Connection, OptionalExtension, Row, params};
use suibi_journal::admission::{MAX_KEY_ID_BYTES, check_name};
use suibi_journal::{AuditEntry, AuditKind, Rights};

use crate::access::MAX_AUDIT;
use crate::{
    Access, AccessChange, AccessDone, AccessRefused, DeviceRow, InviteRow, Joiner, JournalId,
    StoreError,
};

/// The longest secret, in bytes.
const MAX_SECRET_BYTES: usize = 64;

const DEVICES: &str =
    "SELECT number, key_id, name, journal, rights, secret, salt, reserved, joined,
    revoked FROM devices";
const INVITES: &str = "SELECT number, key_id, secret, journal, rights, name, made, expires, public,
    own_public, device, used FROM invites";

/// Why a change goes no further.
enum Stop {
    Refused(AccessRefused),
    Failed(StoreError),
}

impl From<AccessRefused> for Stop {
    fn from(refused: AccessRefused) -> Self {
        Self::Refused(refused)
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

impl From<rusqlite::Error> for Stop {
    fn from(error: rusqlite::Error) -> Self {
        Self::Failed(error.into())
    }
}

/// Everything, as one state of the file has it.
pub(crate) fn read(conn: &mut Connection) -> Result<Access, StoreError> {
    let tx = conn.transaction()?;
    let mut access = Access::default();
    let mut journals = tx.prepare_cached("SELECT id, name FROM journals ORDER BY id")?;
    for journal in journals.query_map([], |row| Ok((JournalId(row.get(0)?), row.get(1)?)))? {
        access.journals.push(journal?);
    }
    let mut devices = tx.prepare_cached(&format!("{DEVICES} ORDER BY number"))?;
    let mut rows = devices.query([])?;
    while let Some(row) = rows.next()? {
        access.devices.push(device(row)?);
    }
    let mut invites = tx.prepare_cached(&format!("{INVITES} ORDER BY number"))?;
    let mut rows = invites.query([])?;
    while let Some(row) = rows.next()? {
        access.invites.push(invite(row)?);
    }
    Ok(access)
}

/// Makes a change and its entry in the trail. `conn` is in a write transaction.
pub(crate) fn change(
    conn: &Connection,
    change: &AccessChange,
    audit: Option<&AuditEntry>,
) -> Result<Result<AccessDone, AccessRefused>, StoreError> {
    let made = match change {
        AccessChange::AuditOnly => Ok(Made::Anew(AccessDone::default())),
        AccessChange::AddJournal { name } => add_journal(conn, name),
        AccessChange::AddInvite(invite) => add_invite(conn, invite),
        AccessChange::DropInvite(number) => drop_invite(conn, *number),
        AccessChange::Join { invite, joiner_public, own_public, device } => {
            join(conn, *invite, joiner_public, own_public, device)
        }
        AccessChange::AddDevice(device) => add_device(conn, device)
            .map(|number| Made::Anew(AccessDone { device: Some(number), ..AccessDone::default() })),
        AccessChange::Rename { device, name } => rename(conn, *device, name),
        AccessChange::Revoke { device, at } => revoke(conn, *device, *at),
        AccessChange::Reserve { device, up_to } => reserve(conn, *device, *up_to),
    };
    match made {
        Ok(Made::Anew(done)) => {
            if let Some(entry) = audit {
                add_to_trail(conn, entry)?;
            }
            Ok(Ok(done))
        }
        Ok(Made::Before(done)) => Ok(Ok(done)),
        Err(Stop::Refused(refused)) => Ok(Err(refused)),
        Err(Stop::Failed(error)) => Err(error),
    }
}

/// What a change came to.
enum Made {
    /// It was made.
    Anew(AccessDone),
    /// Things were so already; nothing was written.
    Before(AccessDone),
}

fn add_journal(conn: &Connection, name: &str) -> Result<Made, Stop> {
    check_name(name).map_err(AccessRefused::from)?;
    if exists(conn, "SELECT 1 FROM journals WHERE name = ?1", [name])? {
        return Err(AccessRefused::JournalName(name.to_owned()).into());
    }
    let id = conn
        .prepare_cached("INSERT INTO journals (name) VALUES (?1) RETURNING id")?
        .query_row([name], |row| row.get(0))?;
    Ok(Made::Anew(AccessDone { journal: Some(JournalId(id)), ..AccessDone::default() }))
}

fn add_invite(conn: &Connection, invite: &InviteRow) -> Result<Made, Stop> {
    let InviteRow { key_id, secret, journal, rights, name, made, expires, .. } = invite;
    check_key(conn, key_id, secret)?;
    check_place(conn, *journal, *rights)?;
    if let Some(name) = name {
        // Now, while the one who chose it is there to choose another.
        check_device_name(conn, *journal, name)?;
    }
    let number = conn
        .prepare_cached(
            "INSERT INTO invites (key_id, secret, journal, rights, name, made, expires)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) RETURNING number",
        )?
        .query_row(
            params![key_id, &secret[..], journal.0, rights.bits(), name, made, expires],
            |row| row.get(0),
        )?;
    Ok(Made::Anew(AccessDone { invite: Some(number), ..AccessDone::default() }))
}

fn drop_invite(conn: &Connection, number: u32) -> Result<Made, Stop> {
    invite_of(conn, number)?;
    wipe(conn, "DELETE FROM invites WHERE number = ?1", number)?;
    Ok(Made::Anew(AccessDone::default()))
}

fn join(
    conn: &Connection,
    invite: u32,
    joiner_public: &[u8],
    own_public: &[u8],
    device: &DeviceRow,
) -> Result<Made, Stop> {
    let InviteRow { number, journal, rights, joiner, .. } = invite_of(conn, invite)?;
    if let Some(joiner) = joiner {
        if joiner.public != joiner_public {
            return Err(AccessRefused::Used { at: joiner.at }.into());
        }
        let device = Some(joiner.device);
        return Ok(Made::Before(AccessDone {
            device,
            joiner: Some(joiner),
            ..AccessDone::default()
        }));
    }
    let device = DeviceRow { journal, rights, ..device.clone() };
    let joiner = Joiner {
        public: joiner_public.to_owned(),
        own_public: own_public.to_owned(),
        device: add_device(conn, &device)?,
        at: device.joined,
    };
    conn.prepare_cached(
        "UPDATE invites SET public = ?2, own_public = ?3, device = ?4, used = ?5 WHERE number = ?1",
    )?
    .execute(params![number, joiner.public, joiner.own_public, joiner.device, joiner.at])?;
    let device = Some(joiner.device);
    Ok(Made::Anew(AccessDone { device, joiner: Some(joiner), ..AccessDone::default() }))
}

/// The number of the new device.
fn add_device(conn: &Connection, device: &DeviceRow) -> Result<u32, Stop> {
    let DeviceRow { key_id, name, journal, rights, secret, salt, reserved, joined, .. } = device;
    check_key(conn, key_id, secret)?;
    check_place(conn, *journal, *rights)?;
    check_device_name(conn, *journal, name)?;
    let number = conn
        .prepare_cached(
            "INSERT INTO devices (key_id, name, journal, rights, secret, salt, reserved, joined)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) RETURNING number",
        )?
        .query_row(
            params![
                key_id,
                name,
                journal.0,
                rights.bits(),
                &secret[..],
                salt,
                signed(*reserved),
                joined
            ],
            |row| row.get(0),
        )?;
    Ok(number)
}

fn rename(conn: &Connection, number: u32, name: &str) -> Result<Made, Stop> {
    let device = device_of(conn, number)?;
    if let Some(at) = device.revoked {
        return Err(AccessRefused::Revoked { at }.into());
    }
    if device.name == name {
        return Ok(Made::Before(AccessDone::default()));
    }
    check_device_name(conn, device.journal, name)?;
    conn.prepare_cached("UPDATE devices SET name = ?2 WHERE number = ?1")?
        .execute(params![number, name])?;
    conn.prepare_cached("UPDATE chains SET device = ?3 WHERE journal = ?1 AND device = ?2")?
        .execute(params![device.journal.0, device.name, name])?;
    conn.prepare_cached("UPDATE journals SET renames = renames + 1 WHERE id = ?1")?
        .execute([device.journal.0])?;
    Ok(Made::Anew(AccessDone::default()))
}

fn revoke(conn: &Connection, number: u32, at: i64) -> Result<Made, Stop> {
    if device_of(conn, number)?.revoked.is_some() {
        return Ok(Made::Before(AccessDone::default()));
    }
    // Its secret stays: by it the device is told, and nobody else, that it was cut off.
    conn.prepare_cached("UPDATE devices SET revoked = ?2 WHERE number = ?1")?
        .execute(params![number, at])?;
    Ok(Made::Anew(AccessDone::default()))
}

fn reserve(conn: &Connection, number: u32, up_to: u64) -> Result<Made, Stop> {
    if device_of(conn, number)?.reserved >= up_to {
        return Ok(Made::Before(AccessDone::default()));
    }
    conn.prepare_cached("UPDATE devices SET reserved = ?2 WHERE number = ?1")?
        .execute(params![number, signed(up_to)])?;
    Ok(Made::Anew(AccessDone::default()))
}

/// Deletes a row with a secret, which is overwritten in the file (`secure_delete`).
fn wipe(conn: &Connection, delete: &str, number: u32) -> Result<(), Stop> {
    conn.execute(delete, [number])?;
    Ok(())
}

pub(super) fn add_to_trail(conn: &Connection, entry: &AuditEntry) -> Result<(), StoreError> {
    let AuditEntry { at, what, device, journal, address, detail } = entry.clone().shortened();
    let number: i64 = conn
        .prepare_cached(
            "INSERT INTO audit (at, what, reason, device, journal, address, detail)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) RETURNING number",
        )?
        .query_row(
            params![at, what.code(), what.reason(), device, journal, address, detail],
            |row| row.get(0),
        )?;
    conn.prepare_cached("DELETE FROM audit WHERE number <= ?1")?
        .execute([number - MAX_AUDIT as i64])?;
    Ok(())
}

/// The newest entries of the trail, oldest first.
pub(crate) fn trail(conn: &Connection, newest: usize) -> Result<Vec<AuditEntry>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT at, what, reason, device, journal, address, detail FROM audit
         ORDER BY number DESC LIMIT ?1",
    )?;
    let mut rows = statement.query([newest.min(MAX_AUDIT) as i64])?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        let code: u8 = row.get(1)?;
        let what = AuditKind::from_code(code, row.get(2)?)
            .ok_or_else(|| StoreError::Corrupt(format!("an audit entry of kind {code}")))?;
        entries.push(AuditEntry {
            at: row.get(0)?,
            what,
            device: row.get(3)?,
            journal: row.get(4)?,
            address: row.get(5)?,
            detail: row.get(6)?,
        });
    }
    entries.reverse();
    Ok(entries)
}

fn check_device_name(conn: &Connection, journal: JournalId, name: &str) -> Result<(), Stop> {
    check_name(name).map_err(AccessRefused::from)?;
    let taken = "SELECT 1 FROM devices WHERE journal = ?1 AND name = ?2 AND revoked IS NULL";
    if exists(conn, taken, params![journal.0, name])? {
        return Err(AccessRefused::DeviceName(name.to_owned()).into());
    }
    Ok(())
}

fn check_key(conn: &Connection, key_id: &[u8], secret: &[u8]) -> Result<(), Stop> {
    let fits = |len, max| (1..=max).contains(&len);
    if !fits(key_id.len(), MAX_KEY_ID_BYTES) || !fits(secret.len(), MAX_SECRET_BYTES) {
        return Err(AccessRefused::BadKey.into());
    }
    let taken = "SELECT 1 FROM devices WHERE key_id = ?1
        UNION ALL SELECT 1 FROM invites WHERE key_id = ?1";
    if exists(conn, taken, [key_id])? {
        return Err(AccessRefused::KeyId.into());
    }
    Ok(())
}

fn check_place(conn: &Connection, journal: JournalId, rights: Rights) -> Result<(), Stop> {
    if rights.is_none() {
        return Err(AccessRefused::NoRights.into());
    }
    if !exists(conn, "SELECT 1 FROM journals WHERE id = ?1", [journal.0])? {
        return Err(AccessRefused::NoJournal.into());
    }
    Ok(())
}

fn exists(
    conn: &Connection,
    question: &str,
    params: impl rusqlite::Params,
) -> Result<bool, StoreError> {
    Ok(conn.prepare_cached(question)?.exists(params)?)
}

fn device_of(conn: &Connection, number: u32) -> Result<DeviceRow, Stop> {
    let mut statement = conn.prepare_cached(&format!("{DEVICES} WHERE number = ?1"))?;
    let found = statement.query_row([number], |row| Ok(device(row))).optional()?;
    found.transpose()?.ok_or_else(|| AccessRefused::NoDevice.into())
}

fn invite_of(conn: &Connection, number: u32) -> Result<InviteRow, Stop> {
    let mut statement = conn.prepare_cached(&format!("{INVITES} WHERE number = ?1"))?;
    let found = statement.query_row([number], |row| Ok(invite(row))).optional()?;
    found.transpose()?.ok_or_else(|| AccessRefused::NoInvite.into())
}

/// A row of [`DEVICES`].
fn device(row: &Row<'_>) -> Result<DeviceRow, StoreError> {
    Ok(DeviceRow {
        number: row.get(0)?,
        key_id: row.get(1)?,
        name: row.get(2)?,
        journal: JournalId(row.get(3)?),
        rights: rights(row.get(4)?)?,
        secret: row.get::<_, Vec<u8>>(5)?.into(),
        salt: row.get(6)?,
        reserved: row.get(7)?,
        joined: row.get(8)?,
        revoked: row.get(9)?,
    })
}

/// A row of [`INVITES`].
fn invite(row: &Row<'_>) -> Result<InviteRow, StoreError> {
    let joiner = match row.get(11)? {
        Some(at) => {
            Some(Joiner { public: row.get(8)?, own_public: row.get(9)?, device: row.get(10)?, at })
        }
        None => None,
    };
    Ok(InviteRow {
        number: row.get(0)?,
        key_id: row.get(1)?,
        secret: row.get::<_, Vec<u8>>(2)?.into(),
        journal: JournalId(row.get(3)?),
        rights: rights(row.get(4)?)?,
        name: row.get(5)?,
        made: row.get(6)?,
        expires: row.get(7)?,
        joiner,
    })
}

fn rights(bits: u8) -> Result<Rights, StoreError> {
    Rights::from_bits(bits).ok_or_else(|| StoreError::Corrupt(format!("rights of {bits}")))
}

/// Numbers are kept signed; no sequence number comes near the end (RFC 8613 §7.2.1: 40 bits).
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trail_has_an_end() {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch(include_str!("../../migrations/sqlite/0002.sql")).unwrap();
        let entry = |at| AuditEntry {
            at,
            what: AuditKind::Refused("revoked".to_owned()),
            device: "lost".to_owned(),
            journal: "notes".to_owned(),
            address: String::new(),
            detail: String::new(),
        };
        let last = MAX_AUDIT as i64 + 37;
        conn.execute_batch("BEGIN").unwrap();
        for at in 1..=last {
            change(&conn, &AccessChange::AuditOnly, Some(&entry(at))).unwrap().unwrap();
        }
        conn.execute_batch("COMMIT").unwrap();
        let kept: usize =
            conn.query_row("SELECT count(*) FROM audit", [], |row| row.get(0)).unwrap();
        assert_eq!(kept, MAX_AUDIT);
        let trail = trail(&conn, usize::MAX).unwrap();
        assert_eq!((trail.len(), &trail[0]), (MAX_AUDIT, &entry(38)));
        assert_eq!(trail[MAX_AUDIT - 1], entry(last));
    }
}
