//! Who has signed in over which connection, whatever they asked for and whichever shard let them in: when a user is signed out,
//! those connections end over which nobody has signed in who still is. So a proxy's or a gateway's stays.

use domain::{Address, IdMap, User};
use hub::Accounts;
use sip::Flow;
use smallvec::SmallVec;
use std::{
    collections::BTreeSet,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// So many users of a connection are known, more than a phone has accounts. With one more it is a gateway's, and stays whoever is
/// signed out.
const MOST: usize = 8;

/// Who has signed in over a connection.
#[derive(Clone, Debug, Default)]
struct Who {
    /// Each with the mark of what they signed in by.
    known: SmallVec<[(Address, i64); 1]>,
    and_others: bool,
}

impl Who {
    /// A user signs in: false if that is known.
    fn add(&mut self, user: &User) -> bool {
        let mark = user.secrets.mark;
        let mut known = self.known.iter_mut();
        if let Some((_, known)) = known.find(|(known, _)| *known == user.address) {
            return mem::replace(known, mark) != mark;
        }
        if self.known.len() == MOST {
            return !mem::replace(&mut self.and_others, true);
        }
        self.known.push((user.address.clone(), mark));
        true
    }

    /// Whether anybody is signed in still, beside this user.
    fn is_any_beside(&self, user: Option<&Address>, accounts: &Accounts) -> bool {
        let is_still = |(address, mark): &(Address, i64)| {
            let account = accounts.get(address);
            account.is_some_and(|account| account.secrets.mark == *mark)
        };
        let mut others = self
            .known
            .iter()
            .filter(|(address, _)| Some(address) != user);
        self.and_others || others.any(is_still)
    }
}

/// What all shards know together, of the connections that are open. It is written when somebody signs in over one for the first
/// time, and read when somebody is signed out.
#[derive(Clone, Debug, Default)]
pub(crate) struct SignedIn(Arc<Mutex<Table>>);

#[derive(Debug, Default)]
struct Table {
    /// By the connection's number.
    connections: IdMap<u64, (Flow, Who)>,
    by_user: BTreeSet<(Address, u64)>,
}

/// What one shard has told the others, and need not tell again.
#[derive(Debug)]
pub(crate) struct SignIns {
    of_all: SignedIn,
    told: IdMap<u64, Who>,
}

impl SignIns {
    pub(crate) fn new(of_all: SignedIn) -> Self {
        Self {
            of_all,
            told: IdMap::default(),
        }
    }

    /// A user has signed in over this flow. True if this shard has not told so before: who is signed out in the same moment may
    /// then be overlooked, and the caller looks once more whether they are.
    pub(crate) fn note(&mut self, flow: Flow, user: &User) -> bool {
        let is_new =
            flow.transport.is_reliable() && self.told.entry(flow.id).or_default().add(user);
        if is_new {
            self.of_all.table().add(flow, user);
        }
        is_new
    }

    /// A connection is gone.
    pub(crate) fn lost(&mut self, flow: Flow) {
        if self.told.remove(&flow.id).is_some() {
            self.of_all.table().remove(flow.id);
        }
    }

    /// The connections over which this user has signed in, and nobody who still is.
    pub(crate) fn left_by(&self, user: &Address, accounts: &Accounts) -> Vec<Flow> {
        let table = self.of_all.table();
        let all = (user.clone(), u64::MIN)..=(user.clone(), u64::MAX);
        let numbers = table.by_user.range(all).map(|(_, number)| number);
        let known = numbers.filter_map(|number| table.connections.get(number));
        let left = known.filter(|(_, who)| !who.is_any_beside(None, accounts));
        left.map(|(flow, _)| *flow).collect()
    }

    /// Whether a connection is others' as well as this user's.
    pub(crate) fn is_shared(&self, flow: Flow, user: &Address, accounts: &Accounts) -> bool {
        let table = self.of_all.table();
        let known = table.connections.get(&flow.id);
        known.is_some_and(|(_, who)| who.is_any_beside(Some(user), accounts))
    }
}

impl SignedIn {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn add(&mut self, flow: Flow, user: &User) {
        let new = || (flow, Who::default());
        let (_, who) = self.connections.entry(flow.id).or_insert_with(new);
        if who.add(user) && !who.and_others {
            self.by_user.insert((user.address.clone(), flow.id));
        }
    }

    fn remove(&mut self, number: u64) {
        let gone = self.connections.remove(&number);
        for (user, _) in gone.into_iter().flat_map(|(_, who)| who.known) {
            self.by_user.remove(&(user, number));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::user::Secrets;
    use sip::Transport;

    fn flow(transport: Transport, id: u64) -> Flow {
        Flow {
            transport,
            local: ([192, 0, 2, 1], 5060).into(),
            remote: ([203, 0, 113, 7], 40_000).into(),
            id,
        }
    }

    fn user(number: usize, mark: i64) -> User {
        User {
            address: Address::new(&format!("user{number}"), "r.example").unwrap(),
            display_name: String::new(),
            secrets: Secrets {
                md5: String::new(),
                sha256: String::new(),
                scram: None,
                mark,
            },
            forward: None,
        }
    }

    /// Two shards of one server, and its accounts: so many users, each with mark 1.
    fn world(users: usize) -> ([SignIns; 2], SignedIn, Accounts) {
        let (of_all, accounts) = (SignedIn::default(), Accounts::default());
        (0..users).for_each(|number| accounts.put(user(number, 1)));
        let shards = [(); 2].map(|()| SignIns::new(of_all.clone()));
        (shards, of_all, accounts)
    }

    #[test]
    fn a_connection_is_left_when_nobody_is_signed_in_any_more_whichever_shard_let_them_in() {
        let ([mut one, mut other], _, accounts) = world(2);
        let [first, second] = [1, 2].map(|id| flow(Transport::Tls, id));
        let [alice, bob] = [user(0, 1), user(1, 1)];
        assert!(one.note(first, &alice) && other.note(first, &alice));
        assert!(!one.note(first, &alice), "that is known");
        assert!(one.note(second, &alice) && other.note(second, &bob));
        let left = |shard: &SignIns, by: &User| shard.left_by(&by.address, &accounts);
        assert_eq!(left(&one, &alice), [], "she is signed in");
        accounts.put(user(0, 2));
        assert_eq!(left(&one, &alice), [first]);
        assert_eq!(left(&other, &alice), [first]);
        assert!(other.is_shared(second, &alice.address, &accounts));
        assert!(!one.is_shared(second, &bob.address, &accounts));
        accounts.remove(&bob.address);
        assert_eq!(left(&one, &bob), [second], "of both who were there");
        // By her new password she is there again.
        assert!(one.note(first, &user(0, 2)));
        assert_eq!(left(&one, &alice), [second]);
    }

    #[test]
    fn who_signs_in_as_hundreds_of_users_takes_no_more_room_than_a_few_do_and_stays() {
        let ([mut shard, other], of_all, accounts) = world(500);
        let gateway = flow(Transport::Tcp, 1);
        let told = (0..500).filter(|it| shard.note(gateway, &user(*it, 1)));
        assert_eq!(told.count(), MOST + 1, "that there are others says all");
        let table = || of_all.table();
        assert_eq!(table().connections.len(), 1);
        assert_eq!(table().by_user.len(), MOST);
        for number in 0..500 {
            let user = user(number, 1).address;
            accounts.remove(&user);
            assert_eq!(other.left_by(&user, &accounts), []);
        }
        shard.lost(gateway);
        assert!(table().connections.is_empty() && table().by_user.is_empty());
    }

    #[test]
    fn nothing_is_kept_of_connections_that_are_gone_or_of_datagrams() {
        let (mut shards, of_all, _) = world(4);
        for (place, shard) in shards.iter_mut().enumerate() {
            shard.note(flow(Transport::Edge, 1), &user(0, 1));
            shard.note(flow(Transport::Tls, 2), &user(place, 1));
            assert!(!shard.note(flow(Transport::Udp, 0), &user(3, 1)));
        }
        for shard in &mut shards {
            for (transport, id) in [(Transport::Edge, 1), (Transport::Tls, 2)] {
                shard.lost(flow(transport, id));
            }
            assert!(shard.told.is_empty());
        }
        let table = of_all.table();
        assert!(table.connections.is_empty() && table.by_user.is_empty());
    }
}
