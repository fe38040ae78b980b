//! What each change does to the tables. Cascades are the schema's.

use super::{
    accounts, archive, blocks, cards,
    database::{Database, key},
    devices,
    failure::{is_missing_reference, store_error},
    grants, invitations, messages, outbox, overflow, push_apps, pushes, rosters, sessions,
    sign_ins,
    sql::Sql,
    wiping,
};
use crate::StoreError;
use domain::{Address, Change, DeviceId, MessageId, TenantId};
use rusqlite::{Result, params};

/// All changes of a step; on an error the caller undoes those before it.
pub(super) fn step(
    database: &mut Database<'_>,
    changes: &[Change],
) -> std::result::Result<(), StoreError> {
    for change in changes {
        match apply(database, change) {
            Ok(rows) if rows > 0 || !writes_a_row(change) => {}
            // Nothing was written: it was there already, or could not be.
            Ok(_) => of_nothing(database, change)?,
            Err(error) if is_missing_reference(&error) => {
                of_nothing(database, change)?;
                return Err(store_error(error));
            }
            Err(error) => return Err(store_error(error)),
        }
    }
    Ok(())
}

/// Says how many rows it wrote.
fn apply(database: &mut Database<'_>, change: &Change) -> Result<usize> {
    match change {
        Change::PutUser(user) => accounts::put(database, user),
        Change::RemoveUser(address) => remove_user(database, address.as_str()),
        Change::PutContact(contact) => rosters::put(database, contact),
        Change::RemoveContact { user, peer } => {
            database.run(Sql::RemoveContact, [user.as_str(), peer.as_str()])
        }
        Change::Block { user, peer } => blocks::block(database, user, peer),
        Change::Unblock { user, peer } => database.run(Sql::Unblock, [user.as_str(), &**peer]),
        Change::PutCard { user, card } => cards::put(database, user, card),
        Change::PutSignInTokens(tokens) => sign_ins::put(database, tokens),
        Change::PutGrant(grant) => grants::put(database, grant),
        Change::RemoveGrant(user, id) => database.run(Sql::RemoveGrant, params![user.as_str(), id]),
        Change::PutSession(session) => sessions::put(database, session),
        Change::Invite(invitation) => invitations::put(database, invitation),
        Change::Redeem(token) => database.run(Sql::Redeem, [&**token]),
        Change::PutDevice(device) => devices::put(database, device),
        Change::RemoveDevice(id) => {
            let id = id.as_str();
            database.run(Sql::RemoveDevice, params![key(id), id])
        }
        Change::PutDoor(door) => devices::put_door(database, door),
        Change::RemoveDoor(id) => {
            let params = params![key(id.device.as_str()), id.number];
            database.run(Sql::RemoveDoor, params)
        }
        Change::Archive(message) => {
            let rows = messages::archive(database, message)?;
            if rows > 0 {
                archive::index(database, message)?;
            }
            Ok(rows)
        }
        Change::Enqueue { device, message } => waits(database, Sql::Enqueue, device, message),
        Change::GoOver { device, message } => waits(database, Sql::GoOver, device, message),
        Change::Refill { device, most } => overflow::refill(database, device, *most),
        Change::EnqueueForUser { user, message } => {
            let params = params![user.as_str(), message.as_str()];
            database.run(Sql::EnqueueForUser, params)
        }
        Change::ReturnQueue(id) => {
            database.run(Sql::ReturnQueue, [key(id.as_str())])?;
            database.run(Sql::ForgetQueue, [key(id.as_str())])
        }
        Change::AdoptQueue { user, device } => {
            let params = params![user.as_str(), key(device.as_str())];
            database.run(Sql::AdoptQueue, params)?;
            database.run(Sql::DisownQueue, [user.as_str()])
        }
        Change::Delivered { device, message } => waits(database, Sql::Delivered, device, message),
        Change::Read {
            user,
            writer,
            up_to,
        } => {
            let params = params![user.as_str(), &**writer, up_to.as_str()];
            database.run(Sql::MarkRead, params)
        }
        Change::Owe(push) => outbox::owe(database, push),
        Change::Settle(id) => database.run(Sql::Settle, [id.as_str()]),
        Change::PutTenant(tenant) => pushes::put_tenant(database, tenant),
        Change::RemoveTenant(tenant) => database.run(Sql::RemoveTenant, [tenant.as_str()]),
        Change::PutPushApp(app) => push_apps::put(database, app),
        Change::RemovePushApp(app) => push_apps::remove(database, app),
        Change::QueuePush(queued) => pushes::queue(database, queued),
        Change::SettlePush(settled) => pushes::settle(database, settled),
    }
}

/// What was theirs is overwritten.
fn remove_user(database: &mut Database<'_>, address: &str) -> Result<usize> {
    wiping::wiping(database, |database| {
        archive::forget(database, address)?;
        database.run(Sql::RemoveUser, [address])
    })
}

/// A message waits for a device, or does not any more.
fn waits(
    database: &mut Database<'_>,
    sql: Sql,
    device: &DeviceId,
    message: &MessageId,
) -> Result<usize> {
    database.run(sql, params![key(device.as_str()), message.as_str()])
}

/// Whether a change that wrote nothing may be wrong.
fn writes_a_row(change: &Change) -> bool {
    matches!(
        change,
        Change::PutDevice(_)
            | Change::Redeem(_)
            | Change::Enqueue { .. }
            | Change::GoOver { .. }
            | Change::EnqueueForUser { .. }
    )
}

/// Names what a change speaks of that is not there.
fn of_nothing(database: &mut Database<'_>, change: &Change) -> std::result::Result<(), StoreError> {
    match change {
        Change::PutDevice(device) => {
            needs_user(database, &device.user)?;
            // Two ids of one key: made by no chance that anybody has to plan for.
            let id = &device.id;
            let detail = format!("the key of device {id} is another device's");
            Err(StoreError::Failed(detail))
        }
        Change::PutContact(contact) => needs_user(database, &contact.user),
        Change::Block { user, .. } | Change::PutCard { user, .. } => needs_user(database, user),
        Change::PutSignInTokens(tokens) if tokens.data.is_empty() => Ok(()),
        Change::PutSignInTokens(tokens) => needs_user(database, &tokens.user),
        Change::PutGrant(grant) => needs_user(database, &grant.user),
        Change::PutSession(session) if session.data.is_empty() => Ok(()),
        Change::PutSession(session) => needs_user(database, &session.user),
        Change::Invite(invitation) => match &invitation.inviter {
            Some(inviter) => needs_user(database, inviter),
            None => Ok(()),
        },
        Change::Redeem(token) => needs(Ok(None), "invitation", token),
        Change::PutDoor(door) => needs_device(database, &door.id.device),
        Change::Owe(push) => needs_device(database, &push.device),
        Change::AdoptQueue { device, .. } => needs_device(database, device),
        Change::Enqueue { device, message } | Change::GoOver { device, message } => {
            needs_message(database, message)?;
            needs_device(database, device)
        }
        Change::EnqueueForUser { user, message } => {
            needs_message(database, message)?;
            needs_user(database, user)
        }
        Change::QueuePush(queued) => needs_tenant(database, &queued.tenant),
        Change::SettlePush(settled) => needs_tenant(database, &settled.tenant),
        Change::PutPushApp(_)
        | Change::RemovePushApp(_)
        | Change::PutTenant(_)
        | Change::RemoveTenant(_)
        | Change::PutUser(_)
        | Change::RemoveUser(_)
        | Change::RemoveContact { .. }
        | Change::RemoveGrant(..)
        | Change::Unblock { .. }
        | Change::RemoveDevice(_)
        | Change::RemoveDoor(_)
        | Change::ReturnQueue(_)
        | Change::Refill { .. }
        | Change::Archive(_)
        | Change::Delivered { .. }
        | Change::Read { .. }
        | Change::Settle(_) => Ok(()),
    }
}

fn needs_user(
    database: &mut Database<'_>,
    address: &Address,
) -> std::result::Result<(), StoreError> {
    let found = database.one(Sql::UserExists, [address.as_str()], |_| Ok(()));
    needs(found, "user", address.as_str())
}

fn needs_tenant(database: &mut Database<'_>, id: &TenantId) -> std::result::Result<(), StoreError> {
    let found = database.one(Sql::TenantExists, [id.as_str()], |_| Ok(()));
    needs(found, "tenant", id.as_str())
}

fn needs_device(database: &mut Database<'_>, id: &DeviceId) -> std::result::Result<(), StoreError> {
    let found = database.one(Sql::DeviceExists, [key(id.as_str())], |_| Ok(()));
    needs(found, "device", id.as_str())
}

fn needs_message(
    database: &mut Database<'_>,
    id: &MessageId,
) -> std::result::Result<(), StoreError> {
    let found = database.one(Sql::MessageExists, [id.as_str()], |_| Ok(()));
    needs(found, "message", id.as_str())
}

fn needs(
    found: Result<Option<()>>,
    kind: &'static str,
    name: &str,
) -> std::result::Result<(), StoreError> {
    let name = name.to_owned();
    found
        .map_err(store_error)?
        .ok_or(StoreError::Missing { kind, name })
}
