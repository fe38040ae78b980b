//! A push on its way: what is in it for everybody to read, and what its device alone can.

use domain::device::SealingKey;
use hub::{PushOrder, Secret};

use super::store::Store;
use crate::phone::Caller;
use crate::phone::machine::Push;

/// The push as the app of a phone sees it that has this key. `Err`: it tells everybody what is the device's alone.
pub(super) fn read(
    order: &PushOrder,
    key: Option<&SealingKey>,
    store: &Store,
) -> Result<Push, String> {
    let notification = &order.notification;
    let secrets = secrets(order, store);
    let payload = push::payload::fcm(notification)
        .map_err(|outcome| format!("a push that cannot be sent: {outcome:?}"))?;
    let clear = String::from_utf8_lossy(&payload);
    let tells = |secret: &&String| !secret.is_empty() && clear.contains(*secret);
    if let Some(secret) = secrets.iter().find(tells) {
        return Err(format!("a push says {secret:?} in the clear: {clear}"));
    }
    let json = serde_json::from_slice(&payload).map_err(|error| error.to_string())?;
    let mut push = Push::read(&json, Some(notification.channel), |_| None);
    let opens = key.is_some() && order.key.as_ref() == key;
    if let [name, number, text] = &secrets
        && opens
        && order.secret != Secret::None
    {
        push.caller = Some(Caller {
            name: name.clone(),
            number: number.clone(),
        });
        push.text = Some(text.clone()).filter(|text| !text.is_empty());
    }
    Ok(push)
}

/// Name and number of who calls or writes, and the text.
fn secrets(order: &PushOrder, store: &Store) -> [String; 3] {
    match &order.secret {
        Secret::None => Default::default(),
        Secret::Caller { name, number } => [name.clone(), number.clone(), String::new()],
        Secret::Message(id) => {
            let message = store.archive.iter().find(|it| it.id == *id);
            message.map_or_else(Default::default, |it| {
                let text = super::store::text(it).unwrap_or_default();
                [it.from_name.clone(), it.from.clone(), text]
            })
        }
    }
}
