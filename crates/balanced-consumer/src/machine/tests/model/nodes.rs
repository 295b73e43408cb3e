//! The nodes, and what becomes of the actions that reach them.

use std::collections::btree_map::Entry;

use super::*;

impl World {
    pub(super) fn effect(&mut self, n: usize, incarnation: Incarnation, action: Action) {
        let member = &mut self.members[n];
        if !member.alive {
            return;
        }
        let failure = failure(&action);
        let (fails, applies) = match self.faulty && failure.is_some() {
            true => (self.rng.random_bool(0.15), self.rng.random_bool(0.5)),
            false => (false, true),
        };
        let local = matches!(
            action,
            Action::OpenSession { .. } | Action::CloseSession | Action::Stop { .. }
        );
        let cut_off = !local && member.session != Some(incarnation);
        let answer = match !cut_off && (applies || !fails) {
            true => self.apply(n, incarnation, action),
            false => None,
        };
        if let Some(event) = if fails || cut_off { failure } else { answer } {
            self.tell(n, incarnation, event);
        }
    }

    /// Does what an action asks for and says the answer.
    fn apply(
        &mut self,
        n: usize,
        incarnation: Incarnation,
        action: Action,
    ) -> Option<SessionEvent> {
        Some(match action {
            Action::OpenSession { .. } => {
                self.members[n].session = Some(incarnation);
                SessionEvent::SessionOpened
            }
            Action::CloseSession => {
                self.end_session((n, incarnation));
                SessionEvent::SessionClosed
            }
            Action::Register => match self.registrations.get(&n) {
                Some(holder) if *holder != incarnation => {
                    let error = "the node of an earlier session is still there".to_owned();
                    SessionEvent::RegisterFailed { error }
                }
                _ => {
                    self.registrations.insert(n, incarnation);
                    self.group_changed();
                    SessionEvent::Registered
                }
            },
            Action::Unregister => {
                self.registrations.remove(&n);
                self.group_changed();
                SessionEvent::Unregistered
            }
            Action::ReadView => SessionEvent::ViewRead(self.view(n, incarnation)),
            Action::ReadOwners => SessionEvent::OwnersRead(self.all_owners()),
            action => return self.apply_to_partition(n, incarnation, action),
        })
    }

    fn all_owners(&self) -> Owners {
        let owners = self.owners.iter();
        Owners {
            owners: owners
                .map(|(tp, owner)| (tp.clone(), owner.text.clone()))
                .collect(),
            ids_zxid: 0,
        }
    }

    fn apply_to_partition(
        &mut self,
        n: usize,
        incarnation: Incarnation,
        action: Action,
    ) -> Option<SessionEvent> {
        let session = (n, incarnation);
        Some(match action {
            Action::Claim { tp, thread } => self.claim(session, tp, thread),
            Action::Position { tp, .. } => SessionEvent::Positioned { tp },
            Action::Stop { tp } => SessionEvent::Stopped { tp },
            Action::Commit { tp } => SessionEvent::Committed { tp },
            Action::Release { tp, token } => {
                let is_ours = |owner: &Owner| {
                    owner.session == session && token.is_none_or(|token| token == owner.token)
                };
                if self.owners.get(&tp).is_some_and(is_ours) {
                    self.remove_owner(&tp);
                }
                SessionEvent::Released { tp }
            }
            Action::CheckOwner { tp, token } => {
                let ownership = match self.owners.get(&tp) {
                    None => Ownership::Gone,
                    Some(owner) if owner.session == session && owner.token == token => {
                        self.members[n].owner_watches.insert(tp.clone());
                        Ownership::Ours
                    }
                    Some(Owner { text, .. }) => Ownership::Foreign {
                        owner: text.clone(),
                    },
                };
                SessionEvent::OwnerChecked {
                    tp,
                    token,
                    ownership,
                }
            }
            _ => return None,
        })
    }

    fn claim(
        &mut self,
        session: SessionId,
        tp: TopicPartition,
        thread: ConsumerThreadId,
    ) -> SessionEvent {
        self.members[session.0].owner_watches.insert(tp.clone());
        self.zxid += 1;
        let token = Token(self.zxid);
        let text = thread.to_string();
        match self.owners.entry(tp.clone()) {
            Entry::Vacant(vacant) => {
                vacant.insert(Owner {
                    session,
                    text,
                    token,
                });
                SessionEvent::Claimed { tp, token }
            }
            Entry::Occupied(occupied) if occupied.get().session == session => {
                let token = occupied.get().token;
                SessionEvent::Claimed { tp, token }
            }
            Entry::Occupied(occupied) => {
                let owner = occupied.get().text.clone();
                SessionEvent::ClaimRefused { tp, owner }
            }
        }
    }

    fn view(&mut self, n: usize, incarnation: Incarnation) -> View {
        self.members[n].view_watch = true;
        let members = self.registrations.keys();
        View {
            members: members
                .map(|m| (self.members[*m].id.as_str(), self.subscription(*m)))
                .collect(),
            partitions: TopicPartitions::from([("t".into(), (0..self.partitions).collect())]),
            poison: self.blocked.then(poison).into_iter().collect(),
            registration: match self.registrations.get(&n) {
                Some(holder) if *holder == incarnation => OwnRegistration::Ours,
                Some(_) => OwnRegistration::Foreign,
                None => OwnRegistration::Missing,
            },
            ..View::default()
        }
    }

    /// Every third member has two streams.
    pub(super) fn subscription(&self, n: usize) -> Subscription {
        Subscription::from([("t".into(), 1 + u32::from(n % 3 == 2))])
    }

    pub(super) fn group_changed(&mut self) {
        for n in 0..self.members.len() {
            if std::mem::take(&mut self.members[n].view_watch) {
                let incarnation = self.members[n].machine.incarnation();
                self.tell(n, incarnation, SessionEvent::Changed);
            }
        }
    }

    pub(super) fn remove_owner(&mut self, tp: &TopicPartition) {
        self.owners.remove(tp);
        for n in 0..self.members.len() {
            if self.members[n].owner_watches.remove(tp) {
                let incarnation = self.members[n].machine.incarnation();
                self.tell(
                    n,
                    incarnation,
                    SessionEvent::OwnerNodeChanged { tp: tp.clone() },
                );
            }
        }
    }

    pub(super) fn end_session(&mut self, session: SessionId) {
        let (n, incarnation) = session;
        self.members[n].session.take_if(|live| *live == incarnation);
        if self.registrations.get(&n) == Some(&incarnation) {
            self.registrations.remove(&n);
            self.group_changed();
        }
        let owned = self
            .owners
            .iter()
            .filter(|(_, owner)| owner.session == session);
        let owned: Vec<_> = owned.map(|(tp, _)| tp.clone()).collect();
        for tp in owned {
            self.remove_owner(&tp);
        }
    }
}

/// The event that says that an action failed, where it can.
fn failure(action: &Action) -> Option<SessionEvent> {
    let error = error();
    Some(match action.clone() {
        Action::OpenSession { .. } => SessionEvent::SessionFailed { error },
        Action::Register => SessionEvent::RegisterFailed { error },
        Action::ReadView => SessionEvent::ViewFailed { error },
        Action::ReadOwners => SessionEvent::OwnersFailed,
        Action::Claim { tp, .. } => SessionEvent::ClaimFailed { tp, error },
        Action::Position { tp, .. } => SessionEvent::PositionFailed { tp, error },
        Action::Commit { tp } => SessionEvent::CommitFailed { tp, error },
        Action::Release { tp, .. } => SessionEvent::ReleaseFailed { tp, error },
        Action::CheckOwner { tp, token } => SessionEvent::OwnerCheckFailed { tp, token, error },
        _ => return None,
    })
}
